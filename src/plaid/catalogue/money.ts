/** The webhooks about money that moves: transfers, payments and wallets. */
import { webhooksOf, type SubjectRule } from "./types.ts";

const LEDGER: SubjectRule = { kind: "transfer_ledger", id: "all" };
const RECURRING: SubjectRule = { kind: "recurring_transfer", field: "recurring_transfer_id" };
const ORIGINATOR: SubjectRule = { kind: "originator", field: "originator_client_id" };
const PAYMENT: SubjectRule = { kind: "payment", field: "payment_id" };
const CONSENT: SubjectRule = { kind: "payment_consent", field: "consent_id" };
const WALLET_TRANSACTION: SubjectRule = { kind: "wallet_transaction", field: "transaction_id" };

export const MONEY_WEBHOOKS = [
  ...webhooksOf("TRANSFER", [RECURRING], {
    TRANSFER_EVENTS_UPDATE: { meaning: "The client's ledger of transfers has new events.", about: [LEDGER] },
    RECURRING_NEW_TRANSFER: { meaning: "A recurring transfer made a transfer." },
    RECURRING_TRANSFER_SKIPPED: { meaning: "A recurring transfer could not make the transfer of a planned day." },
    RECURRING_CANCELLED: { meaning: "Plaid cancelled a recurring transfer." },
    PLATFORM_ONBOARDING_UPDATE: {
      meaning: "The onboarding of an originator on your platform has a new state.",
      about: [ORIGINATOR],
    },
  }),
  ...webhooksOf("PAYMENT_INITIATION", [PAYMENT], {
    PAYMENT_STATUS_UPDATE: { meaning: "A payment has a new state." },
    CONSENT_STATUS_UPDATE: { meaning: "A consent to payments has a new state.", about: [CONSENT] },
  }),
  ...webhooksOf("WALLET", [WALLET_TRANSACTION], {
    WALLET_TRANSACTION_STATUS_UPDATE: { meaning: "A transaction of a wallet has a new state." },
  }),
];
