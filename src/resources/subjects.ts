/**
 * The kinds of subject that resources belong to, and which webhooks are about them (plaid/catalogue.ts).
 */
import type { SubjectKind } from "./types.ts";

/** As long as Tartan knows it. */
const ALWAYS = 36_500;

/** It is reconciled by checks of its own. */
export const ITEM: SubjectKind = {
  kind: "item",
  column: "item_id",
  access: { by: "access_token" },
  hasEvents: true,
  hasPast: true,
};
export const INSTITUTION: SubjectKind = {
  kind: "institution",
  column: "institution_id",
  access: { by: "id", as: "institution_id" },
  hasEvents: false,
  reconciledDays: ALWAYS,
};
export const ISSUE: SubjectKind = {
  kind: "issue",
  column: "issue_id",
  access: { by: "id", as: "issue_id" },
  hasEvents: true,
  reconciledDays: 30,
};
export const PARTNER_CUSTOMER: SubjectKind = {
  kind: "partner_customer",
  column: "end_customer_client_id",
  access: { by: "id", as: "end_customer_client_id" },
  hasEvents: true,
  reconciledDays: ALWAYS,
};
/** A user of Plaid's. One who was created in the older way is asked about by a token of their own. */
export const USER: SubjectKind = {
  kind: "user",
  column: "plaid_user_id",
  access: { by: "id", as: "user_id", orToken: "user_token" },
  hasEvents: true,
  reconciledDays: 90,
};
export const ASSET_REPORT: SubjectKind = {
  kind: "asset_report",
  column: "asset_report_id",
  access: { by: "token", as: "asset_report_token", namedAt: "report.asset_report_id" },
  hasEvents: true,
  reconciledDays: 7,
};
/** Not reconciled: Plaid forgets a session within hours. */
export const LINK_SESSION: SubjectKind = {
  kind: "link_session",
  column: "link_session_id",
  access: { by: "token", as: "link_token", inWebhook: "link_token" },
  hasEvents: true,
};
/** The account of an item that a processor reads with a token of its own. */
export const PROCESSOR_ACCOUNT: SubjectKind = {
  kind: "processor_account",
  column: "account_id",
  access: { by: "token", as: "processor_token", namedAt: "account.account_id" },
  hasEvents: true,
  hasPast: true,
  reconciledDays: ALWAYS,
};

/** A subject that Plaid finds by its id, in the field that its column is named after. */
const byId = (kind: string, column: string, reconciledDays?: number): SubjectKind => ({
  kind,
  column,
  access: { by: "id", as: column },
  hasEvents: true,
  ...(reconciledDays !== undefined && { reconciledDays }),
});

/** All that a client has of transfers: its one ledger, with the id `all`. */
export const TRANSFER_LEDGER: SubjectKind = {
  kind: "transfer_ledger",
  column: null,
  access: { by: "nothing" },
  hasEvents: true,
  hasPast: true,
  reconciledDays: ALWAYS,
};
/** Not reconciled by itself: the events of the ledger name the transfers that have changed. */
export const TRANSFER = byId("transfer", "transfer_id");
export const RECURRING_TRANSFER = byId("recurring_transfer", "recurring_transfer_id", ALWAYS);
export const ORIGINATOR = byId("originator", "originator_client_id", ALWAYS);
export const PAYMENT = byId("payment", "payment_id", 90);
export const PAYMENT_CONSENT = byId("payment_consent", "consent_id", 400);
export const WALLET = byId("wallet", "wallet_id", ALWAYS);
export const WALLET_TRANSACTION = byId("wallet_transaction", "transaction_id", 30);
export const IDENTITY_VERIFICATION = byId("identity_verification", "identity_verification_id", 90);
export const SCREENING = byId("screening", "watchlist_screening_id", ALWAYS);
export const ENTITY_SCREENING = byId("entity_screening", "entity_watchlist_screening_id", ALWAYS);
