/**
 * Balances as the bank has them at this moment (https://plaid.com/docs/api/products/signal/#accountsbalanceget). Plaid asks the bank
 * for each request, and bills each: so only somebody who asks for them by name gets them, and no webhook touches them. The
 * balances that Plaid has cached are in the accounts, free of charge; the two are read at different times and may differ.
 */
import { ITEM } from "./subjects.ts";
import { numeric, text, timestamptz, type Resource } from "./types.ts";

export const balances: Resource = {
  name: "balances",
  touchedBy: [],
  subject: ITEM,
  fetch: {
    kind: "snapshot",
    endpoint: "/accounts/balance/get",
    // One bank has no present balances of cards and loans, and refuses the request unless it says how old one may be. Any is welcome.
    body: () => ({ options: { min_last_updated_datetime: "2000-01-01T00:00:00Z" } }),
  },
  billed: "each",
  tables: [
    {
      name: "balances",
      row: "the balance of an account when it was last asked for",
      rows: [{ at: "accounts" }],
      sensitive: { verification_name: "hidden" },
      key: ["account_id"],
      columns: [
        text("type"),
        text("subtype"),
        numeric("balances_available", "balances.available"),
        numeric("balances_current", "balances.current"),
        numeric("balances_limit", "balances.limit"),
        text("balances_iso_currency_code", "balances.iso_currency_code"),
        text("balances_unofficial_currency_code", "balances.unofficial_currency_code"),
        timestamptz("balances_last_updated_datetime", "balances.last_updated_datetime"),
      ],
      event: {
        rows: "real-time balances",
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
