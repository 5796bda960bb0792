/**
 * The kinds of subject that resources belong to, and which webhooks are about them (plaid/catalogue.ts).
 */
import type { SubjectKind } from "./types.ts";

export const ITEM: SubjectKind = { kind: "item", column: "item_id", access: { by: "access_token" }, hasEvents: true };
export const INSTITUTION: SubjectKind = {
  kind: "institution",
  column: "institution_id",
  access: { by: "id", as: "institution_id" },
  hasEvents: false,
};
export const ISSUE: SubjectKind = {
  kind: "issue",
  column: "issue_id",
  access: { by: "id", as: "issue_id" },
  hasEvents: true,
};
export const PARTNER_CUSTOMER: SubjectKind = {
  kind: "partner_customer",
  column: "end_customer_client_id",
  access: { by: "id", as: "end_customer_client_id" },
  hasEvents: true,
};
