/** Transactions of e-wallets (https://plaid.com/docs/api/products/virtual-accounts/#wallettransactionget). Each moves the balance of its wallet. */
import { WALLET, WALLET_TRANSACTION } from "./subjects.ts";
import { jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const walletTransactions: Resource = {
  name: "wallet_transactions",
  touchedBy: [{ type: "WALLET" }],
  subject: WALLET_TRANSACTION,
  fetch: { kind: "snapshot", endpoint: "/wallet/transaction/get" },
  tables: [
    {
      name: "wallet_transactions",
      row: "a transaction of an e-wallet and its status",
      rows: [{ at: "" }],
      sensitive: {
        "counterparty.name": "hidden",
        "counterparty.numbers": "last4",
        "counterparty.address.street": "hidden",
        "counterparty.date_of_birth": "hidden",
      },
      key: [],
      columns: [
        text("wallet_id"),
        text("status"),
        text("type"),
        numeric("amount_value", "amount.value"),
        text("amount_iso_currency_code", "amount.iso_currency_code"),
        text("reference"),
        text("scheme"),
        timestamptz("created_at"),
        timestamptz("last_status_update"),
        text("payment_id"),
        text("failure_reason"),
        text("payee_verification_status"),
        text("counterparty_name", "counterparty.name"),
        text("counterparty_numbers_bacs_account", "counterparty.numbers.bacs.account"),
        text("counterparty_numbers_bacs_sort_code", "counterparty.numbers.bacs.sort_code"),
        text("counterparty_numbers_international_iban", "counterparty.numbers.international.iban"),
        jsonb("related_transactions"),
        text("error_type", "error.error_type"),
        text("error_code", "error.error_code"),
      ],
      references: [{ column: "wallet_id", subject: WALLET, staleHours: "changed" }],
      event: {
        rows: "transactions of e-wallets",
        example: {
          transaction_id: "wallet-transaction-id-sandbox-53e58b32-fc1c-46fe-bbd6-e584b27a88",
          wallet_id: "wallet-id-production-53e58b32-fc1c-46fe-bbd6-e584b27a88",
          status: "EXECUTED",
          type: "PAYOUT",
          amount: { iso_currency_code: "GBP", value: 123.12 },
          reference: "Payout 99744",
          created_at: "2026-11-02T21:10:52Z",
          last_status_update: "2026-11-02T21:10:52Z",
        },
      },
    },
  ],
};
