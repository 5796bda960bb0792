/** The outcomes of webhooks after which no resource of their subject is read, so that they need no run. */
import { knownWebhook } from "../plaid/catalogue.ts";
import { changesMirror } from "../resources/index.ts";

export const UNREAD = ["no_resource", "no_subject", "unknown_webhook"] as const;
export type Unread = (typeof UNREAD)[number];

/**
 * Which of them: `no_subject` where something is mirrored that such a webhook changes, whose subject this one does not name;
 * `unknown_webhook` where nothing is and the catalogue lacks it.
 */
export function unreadOutcome(type: string | null, code: string | null): Unread {
  if (changesMirror(null, type, code)) return "no_subject";
  return knownWebhook(type, code) === undefined ? "unknown_webhook" : "no_resource";
}
