/** Webhooks that can be sent without their cause, with plausible fields: for /sandbox/item/fire_webhook and the control. */
import { bookOf, type Item } from "../item.ts";
import { errorObject, ITEM_ERRORS } from "../plaid-error.ts";
import { ALL_BOOKS } from "../products/index.ts";
import { readable } from "../products/shelf.ts";
import type { Simulation } from "../simulation.ts";
import * as notices from "./notices.ts";

/** what a ready-made webhook may need to know of its Item */
interface Facts {
  now: number;
  accountIds: readonly string[];
  historyComplete: boolean;
  reportId: string;
  webhook: string;
}

/** A webhook of this kind about an Item; null when the simulator has none ready. */
export function readyMade(sim: Simulation, item: Item, type: string, code: string): notices.WebhookNotice | null {
  const kind = `${type}/${code}`;
  for (const book of ALL_BOOKS) {
    const notice = book.readyMade(kind, () => readable(sim, item, book));
    if (notice) return notice;
  }
  return READY_MADE[kind]?.(factsOf(sim, item)) ?? null;
}

const factsOf = (sim: Simulation, item: Item): Facts => ({
  now: sim.time.now(),
  accountIds: item.removed ? [] : bookOf(item).accounts.map((account) => account.id),
  historyComplete: item.stage === "HISTORICAL",
  reportId: item.random.fork("report").uuid(),
  webhook: item.webhook ?? "",
});

const WEEK_MS = 7 * 86_400_000;

const READY_MADE: Record<string, (facts: Facts) => notices.WebhookNotice> = {
  "TRANSACTIONS/SYNC_UPDATES_AVAILABLE": (facts) => notices.syncUpdatesAvailable(true, facts.historyComplete),
  "TRANSACTIONS/INITIAL_UPDATE": () => notices.initialUpdate(0),
  "TRANSACTIONS/HISTORICAL_UPDATE": () => notices.historicalUpdate(0),
  "TRANSACTIONS/DEFAULT_UPDATE": () => notices.defaultUpdate(0),
  "TRANSACTIONS/TRANSACTIONS_REMOVED": () => notices.transactionsRemoved([]),
  "TRANSACTIONS/RECURRING_TRANSACTIONS_UPDATE": (facts) => notices.recurringUpdate(facts.accountIds),
  "ITEM/ERROR": () => notices.itemError(ITEM_ERRORS.ITEM_LOGIN_REQUIRED),
  "ITEM/LOGIN_REPAIRED": notices.loginRepaired,
  "ITEM/AUTHORIZATION_GRANTED": notices.authorizationGranted,
  "ITEM/NEW_ACCOUNTS_AVAILABLE": notices.newAccountsAvailable,
  "ITEM/PENDING_DISCONNECT": (facts) => notices.pendingDisconnect(facts.now + WEEK_MS),
  "ITEM/PENDING_EXPIRATION": (facts) => notices.pendingExpiration(facts.now + WEEK_MS),
  "ITEM/WEBHOOK_UPDATE_ACKNOWLEDGED": (facts) => notices.webhookUpdateAcknowledged(facts.webhook),
  "ITEM/USER_PERMISSION_REVOKED": notices.permissionRevokedNotice,
  "ITEM/USER_ACCOUNT_REVOKED": (facts) => notices.accountRevoked(facts.accountIds[0] ?? ""),
  "AUTH/AUTOMATICALLY_VERIFIED": (facts) => notices.verification(facts.accountIds[0] ?? "", false),
  "AUTH/VERIFICATION_EXPIRED": (facts) => notices.verification(facts.accountIds[0] ?? "", true),
  "AUTH/SMS_MICRODEPOSITS_VERIFICATION": (facts) => ({
    type: "AUTH",
    code: "SMS_MICRODEPOSITS_VERIFICATION",
    fields: { account_id: facts.accountIds[0] ?? "", status: "MANUALLY_VERIFIED" },
  }),
  "ASSETS/PRODUCT_READY": (facts) => ({
    type: "ASSETS",
    code: "PRODUCT_READY",
    fields: { asset_report_id: facts.reportId, report_type: "FULL" },
    withUser: true,
    withoutItem: true,
  }),
  "ASSETS/ERROR": (facts) => ({
    type: "ASSETS",
    code: "ERROR",
    fields: {
      asset_report_id: facts.reportId,
      error: errorObject({
        type: "ASSET_REPORT_ERROR",
        code: "PRODUCT_NOT_ENABLED",
        message: "the 'assets' product is not enabled for the following access tokens",
      }),
    },
    withUser: true,
    withoutItem: true,
  }),
  "INVESTMENTS_TRANSACTIONS/HISTORICAL_UPDATE": () => ({
    type: "INVESTMENTS_TRANSACTIONS",
    code: "HISTORICAL_UPDATE",
    fields: { cancelled_investments_transactions: 0, error: null, new_investments_transactions: 0 },
    withUser: true,
  }),
  "INCOME/INCOME_VERIFICATION": () => ({
    type: "INCOME",
    code: "INCOME_VERIFICATION",
    fields: { verification_status: "VERIFICATION_STATUS_PROCESSING_COMPLETE" },
    withUser: true,
  }),
  "INCOME/INCOME_VERIFICATION_RISK_SIGNALS": () => ({
    type: "INCOME",
    code: "INCOME_VERIFICATION_RISK_SIGNALS",
    fields: { risk_signals_status: "RISK_SIGNALS_PROCESSING_COMPLETE" },
    withUser: true,
  }),
};
