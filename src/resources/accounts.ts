/**
 * Accounts of an Item, with the balances that Plaid has cached (https://plaid.com/docs/api/accounts/#accountsget: free,
 * and only accounts that are active). Balances move whenever transactions do, so those webhooks touch it too. Whether
 * access was revoked shows here for certain, since this reads the bank's data and /item/get does not.
 */
import { ITEM } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const accounts: Resource = {
  name: "accounts",
  touchedBy: [
    {
      type: "ITEM",
      codes: [
        "CREATED",
        "UPDATED",
        "NEW_ACCOUNTS_AVAILABLE",
        "USER_ACCOUNT_REVOKED",
        "USER_PERMISSION_REVOKED",
        "LOGIN_REPAIRED",
      ],
    },
    { type: "TRANSACTIONS", except: ["RECURRING_TRANSACTIONS_UPDATE"] },
    // Their answers come with the accounts, whose balances move with the value of what is held and with what is paid.
    { type: "HOLDINGS" },
    { type: "LIABILITIES" },
    { type: "AUTH", codes: ["AUTOMATICALLY_VERIFIED", "VERIFICATION_EXPIRED", "SMS_MICRODEPOSITS_VERIFICATION"] },
  ],
  subject: ITEM,
  fetch: { kind: "snapshot", endpoint: "/accounts/get" },
  updatedWith: ["transactions", "investments"],
  tables: [
    {
      name: "accounts",
      row: "an account with its balances",
      rows: [{ at: "accounts" }],
      sensitive: { verification_name: "hidden" },
      key: ["account_id"],
      columns: [
        text("persistent_account_id"),
        text("name"),
        text("official_name"),
        text("mask"),
        text("type"),
        text("subtype"),
        text("holder_category"),
        text("verification_status"),
        text("verification_name"),
        jsonb("verification_insights"),
        numeric("apy"),
        numeric("balances_available", "balances.available"),
        numeric("balances_current", "balances.current"),
        numeric("balances_limit", "balances.limit"),
        text("balances_iso_currency_code", "balances.iso_currency_code"),
        text("balances_unofficial_currency_code", "balances.unofficial_currency_code"),
        timestamptz("balances_last_updated_datetime", "balances.last_updated_datetime"),
      ],
      summary: { plaid_accounts: { list: ["account_id", "type", "name"] } },
      countShown: true,
      event: {
        rows: "accounts",
        example: {
          account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
          name: "Plaid Checking",
          type: "depository",
          subtype: "checking",
          balances: { available: 100, current: 110, limit: null, iso_currency_code: "USD" },
        },
      },
    },
  ],
};
