/**
 * What Plaid has to say about an Item, a function a webhook: type, code and the fields beside them, as Plaid's schema
 * documents has them.
 */
import { errorObject, ITEM_ERRORS, REVOKED, type ErrorFacts } from "../plaid-error.ts";
import { momentText } from "../days.ts";

export interface Notice {
  type: string;
  code: string;
  fields: Record<string, unknown>;
  /** its schema has user_id, so it is sent when the Item belongs to a Plaid user (usr_…) */
  withUser?: true;
  /** it is about something else than an Item (an asset report) */
  withoutItem?: true;
}

const transactions = (code: string, fields: Record<string, unknown>): Notice => ({
  type: "TRANSACTIONS",
  code,
  fields,
});
const item = (code: string, fields: Record<string, unknown> = {}): Notice => ({
  type: "ITEM",
  code,
  fields,
  withUser: true,
});

export const syncUpdatesAvailable = (initial: boolean, historical: boolean): Notice => ({
  ...transactions("SYNC_UPDATES_AVAILABLE", {
    initial_update_complete: initial,
    historical_update_complete: historical,
  }),
  withUser: true,
});
export const initialUpdate = (count: number) =>
  transactions("INITIAL_UPDATE", { error: null, new_transactions: count });
export const historicalUpdate = (count: number) =>
  transactions("HISTORICAL_UPDATE", { error: null, new_transactions: count });
export const defaultUpdate = (count: number) =>
  transactions("DEFAULT_UPDATE", { error: null, new_transactions: count });
export const transactionsRemoved = (ids: readonly string[]) =>
  transactions("TRANSACTIONS_REMOVED", { error: null, removed_transactions: ids });
export const recurringUpdate = (accountIds: readonly string[]) =>
  transactions("RECURRING_TRANSACTIONS_UPDATE", { account_ids: accountIds });

export const itemError = (facts: ErrorFacts) => item("ERROR", { error: errorObject(facts) });
export const loginRepaired = () => item("LOGIN_REPAIRED");
/** Can be fired in the Sandbox, though Plaid's document has no schema of it. */
export const authorizationGranted = () => item("AUTHORIZATION_GRANTED");
export const newAccountsAvailable = () => item("NEW_ACCOUNTS_AVAILABLE", { error: null });
export const pendingDisconnect = (at: number) =>
  item("PENDING_DISCONNECT", { disconnect_time: momentText(at), reason: "INSTITUTION_MIGRATION" });
export const pendingExpiration = (at: number) =>
  item("PENDING_EXPIRATION", { consent_expiration_time: momentText(at) });
export const accountRevoked = (accountId: string) => item("USER_ACCOUNT_REVOKED", { account_id: accountId });
export const permissionRevokedNotice = () => item("USER_PERMISSION_REVOKED", { error: errorObject(REVOKED) });
export const webhookUpdateAcknowledged = (url: string): Notice => ({
  type: "ITEM",
  code: "WEBHOOK_UPDATE_ACKNOWLEDGED",
  fields: { error: null, new_webhook_url: url },
});

/** what a ready-made webhook may need to know of its Item */
export interface Facts {
  now: number;
  accountIds: readonly string[];
  historyComplete: boolean;
  reportId: string;
}

const WEEK_MS = 7 * 86_400_000;

const READY_MADE: Record<string, (facts: Facts) => Notice> = {
  "TRANSACTIONS/SYNC_UPDATES_AVAILABLE": (facts) => syncUpdatesAvailable(true, facts.historyComplete),
  "TRANSACTIONS/INITIAL_UPDATE": () => initialUpdate(0),
  "TRANSACTIONS/HISTORICAL_UPDATE": () => historicalUpdate(0),
  "TRANSACTIONS/DEFAULT_UPDATE": () => defaultUpdate(0),
  "TRANSACTIONS/TRANSACTIONS_REMOVED": () => transactionsRemoved([]),
  "TRANSACTIONS/RECURRING_TRANSACTIONS_UPDATE": (facts) => recurringUpdate(facts.accountIds),
  "ITEM/ERROR": () => itemError(ITEM_ERRORS.ITEM_LOGIN_REQUIRED),
  "ITEM/LOGIN_REPAIRED": loginRepaired,
  "ITEM/AUTHORIZATION_GRANTED": authorizationGranted,
  "ITEM/NEW_ACCOUNTS_AVAILABLE": newAccountsAvailable,
  "ITEM/PENDING_DISCONNECT": (facts) => pendingDisconnect(facts.now + WEEK_MS),
  "ITEM/PENDING_EXPIRATION": (facts) => pendingExpiration(facts.now + WEEK_MS),
  "ITEM/USER_PERMISSION_REVOKED": permissionRevokedNotice,
  "ITEM/USER_ACCOUNT_REVOKED": (facts) => accountRevoked(facts.accountIds[0] ?? ""),
  "AUTH/DEFAULT_UPDATE": (facts) => ({
    type: "AUTH",
    code: "DEFAULT_UPDATE",
    fields: {
      account_ids_with_new_auth: [],
      account_ids_with_updated_auth: { [facts.accountIds[0] ?? ""]: ["ACCOUNT_NUMBER"] },
      error: null,
    },
  }),
  "AUTH/SMS_MICRODEPOSITS_VERIFICATION": (facts) => ({
    type: "AUTH",
    code: "SMS_MICRODEPOSITS_VERIFICATION",
    fields: { account_id: facts.accountIds[0] ?? "", status: "MANUALLY_VERIFIED" },
  }),
  "HOLDINGS/DEFAULT_UPDATE": () => ({
    type: "HOLDINGS",
    code: "DEFAULT_UPDATE",
    fields: { error: null, new_holdings: 1, updated_holdings: 0 },
    withUser: true,
  }),
  "INVESTMENTS_TRANSACTIONS/DEFAULT_UPDATE": () => ({
    type: "INVESTMENTS_TRANSACTIONS",
    code: "DEFAULT_UPDATE",
    fields: { cancelled_investments_transactions: 0, error: null, new_investments_transactions: 1 },
    withUser: true,
  }),
  "LIABILITIES/DEFAULT_UPDATE": (facts) => ({
    type: "LIABILITIES",
    code: "DEFAULT_UPDATE",
    fields: {
      account_ids_with_new_liabilities: [],
      account_ids_with_updated_liabilities: { [facts.accountIds[0] ?? ""]: ["past_amount_due"] },
      error: null,
    },
    withUser: true,
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
};

/** A webhook of this kind with plausible fields; null when the simulator has none ready. */
export function readyMade(type: string, code: string, facts: Facts): Notice | null {
  return READY_MADE[`${type}/${code}`]?.(facts) ?? null;
}

interface About {
  itemId: string;
  userId: string | null;
}

/** The body as it is sent: keys in alphabetical order, two spaces, no newline at the end. */
export function bodyText(notice: Notice, about: About): string {
  return plaidJson({
    ...notice.fields,
    environment: "sandbox",
    ...(notice.withoutItem ? {} : { item_id: about.itemId }),
    ...(notice.withUser && about.userId?.startsWith("usr_") ? { user_id: about.userId } : {}),
    webhook_code: notice.code,
    webhook_type: notice.type,
  });
}

export const plaidJson = (value: unknown): string => JSON.stringify(sorted(value), null, 2);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
