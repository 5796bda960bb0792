/** E-wallets with their balances (https://plaid.com/docs/api/products/virtual-accounts/#walletget). A wallet is read when a transaction names it. */
import { WALLET } from "./subjects.ts";
import { numeric, text, type Resource } from "./types.ts";

export const wallets: Resource = {
  name: "wallets",
  touchedBy: [],
  subject: WALLET,
  fetch: { kind: "snapshot", endpoint: "/wallet/get" },
  tables: [
    {
      name: "wallets",
      row: "an e-wallet and its balance",
      rows: [{ at: "" }],
      sensitive: { numbers: "last4" },
      key: [],
      columns: [
        text("status"),
        numeric("balance_current", "balance.current"),
        numeric("balance_available", "balance.available"),
        text("balance_iso_currency_code", "balance.iso_currency_code"),
        text("numbers_bacs_account", "numbers.bacs.account"),
        text("numbers_bacs_sort_code", "numbers.bacs.sort_code"),
        text("numbers_international_iban", "numbers.international.iban"),
        text("numbers_international_bic", "numbers.international.bic"),
        text("recipient_id"),
      ],
      event: {
        rows: "e-wallets",
        example: {
          wallet_id: "wallet-id-production-53e58b32-fc1c-46fe-bbd6-e584b27a88",
          status: "ACTIVE",
          balance: { iso_currency_code: "GBP", current: 123.12, available: 100.96 },
          numbers: { bacs: { account: "12345678", sort_code: "123456" } },
        },
      },
    },
  ],
};
