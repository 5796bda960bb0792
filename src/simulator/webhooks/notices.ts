/**
 * The webhooks about an Item, one function for each: type, code and the other fields, as Plaid's schema
 * has them.
 */
import { errorObject, REVOKED, type ErrorFacts } from "../plaid-error.ts";
import { momentText } from "../days.ts";

export interface WebhookNotice {
  type: string;
  code: string;
  fields: Record<string, unknown>;
  /** its schema has user_id, so it is sent when the Item belongs to a Plaid user (usr_…) */
  withUser?: true;
  /** it is not about an Item (but a payment, a report …) */
  withoutItem?: true;
  /** its schema has no environment */
  withoutEnvironment?: true;
}

const transactions = (code: string, fields: Record<string, unknown>): WebhookNotice => ({
  type: "TRANSACTIONS",
  code,
  fields,
});
const item = (code: string, fields: Record<string, unknown> = {}): WebhookNotice => ({
  type: "ITEM",
  code,
  fields,
  withUser: true,
});

export const syncUpdatesAvailable = (initial: boolean, historical: boolean): WebhookNotice => ({
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
export const verification = (accountId: string, expired: boolean): WebhookNotice => ({
  type: "AUTH",
  code: expired ? "VERIFICATION_EXPIRED" : "AUTOMATICALLY_VERIFIED",
  fields: { account_id: accountId },
});
export const webhookUpdateAcknowledged = (url: string): WebhookNotice => ({
  type: "ITEM",
  code: "WEBHOOK_UPDATE_ACKNOWLEDGED",
  fields: { error: null, new_webhook_url: url },
});

export const processorTokenUpdated = (accountId: string, url: string): WebhookNotice => ({
  type: "PROCESSOR_TOKEN",
  code: "WEBHOOK_UPDATE_ACKNOWLEDGED",
  fields: { account_id: accountId, error: null, new_webhook_url: url },
});

interface About {
  itemId: string;
  userId: string | null;
}

/** The body as it is sent: keys in alphabetical order, two spaces, no newline at the end. */
export function bodyText(notice: WebhookNotice, about: About): string {
  return plaidJson({
    ...notice.fields,
    ...(notice.withoutEnvironment ? {} : { environment: "sandbox" }),
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
