/** POST /partner/customer/oauth_institutions/get: how far an end customer of the partner is registered at institutions with OAuth. */
import { oauthInstitutions, partnerCustomer } from "../records/partner-customer.ts";
import { recordEndpoint } from "./record-endpoint.ts";

export const partnerCustomerOauthInstitutionsGet = recordEndpoint(
  "/partner/customer/oauth_institutions/get",
  partnerCustomer,
  "end_customer_client_id",
  {},
  oauthInstitutions,
);
