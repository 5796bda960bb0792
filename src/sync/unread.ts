/** The outcomes of webhooks after which no resource of their subject is read. */
import { knownWebhook } from "../plaid/catalogue.ts";
import { changesMirror } from "../resources/index.ts";

export const UNREAD = ["no_resource", "not_enabled", "no_subject", "unknown_webhook"] as const;
export type Unread = (typeof UNREAD)[number];

/**
 * Which of them, for a webhook about a subject of this kind (null: it names none):
 * - `not_enabled`: what such a webhook changes is billed by request, and the integration does not enable it
 * - `no_subject`: it changes something that is mirrored, and does not name whose; at most it names an item, which has nothing of it
 * - `unknown_webhook`: nothing that is mirrored, and the catalogue lacks it
 */
export function unreadOutcome(kind: string | null, type: string | null, code: string | null): Unread {
  if (kind !== null && changesMirror(kind, type, code)) return "not_enabled";
  if (changesMirror(null, type, code)) return "no_subject";
  return knownWebhook(type, code) === undefined ? "unknown_webhook" : "no_resource";
}
