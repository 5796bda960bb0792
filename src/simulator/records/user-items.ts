/**
 * The Items of a user that only reports read: those of payroll accounts and of Plaid Check have no access token of the client's, but
 * /user/items/get lists them beside the Items that the user linked.
 */
import { INSTITUTIONS } from "../catalogue/institutions.ts";
import { errorObject, ITEM_ERRORS } from "../plaid-error.ts";
import type { Random } from "../random.ts";

export interface UserItem {
  itemId: string;
  institutionId: string;
  institutionName: string;
  products: string[];
  /** its user must log in again */
  broken: boolean;
}

export function drawUserItem(random: Random): UserItem {
  const institution = random.pick(INSTITUTIONS.filter((one) => one.country_codes.includes("US")));
  return {
    itemId: random.id(),
    institutionId: institution.institution_id,
    institutionName: institution.name,
    products: ["cra_base_report", "cra_income_insights"],
    broken: false,
  };
}

/** Plaid's Item */
export const userItemObject = (item: UserItem): Record<string, unknown> => ({
  auth_method: null,
  available_products: [],
  billed_products: item.products,
  consent_expiration_time: null,
  error: item.broken ? errorObject(ITEM_ERRORS.ITEM_LOGIN_REQUIRED) : null,
  institution_id: item.institutionId,
  institution_name: item.institutionName,
  item_id: item.itemId,
  products: item.products,
  update_type: "background",
  webhook: null,
});
