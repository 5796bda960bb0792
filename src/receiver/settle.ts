/**
 * Which webhooks need no sync run. Most of Plaid's webhook types are about data that Tartan does not mirror; such a webhook
 * is kept and passed on like any other, but nothing is fetched because of it, so it is processed as it is stored.
 */
import type { WebhookReading } from "../plaid/webhooks.ts";
import type { ReceiverDeps } from "./intake.ts";

/**
 * The outcome of a webhook that needs no run; undefined where a run is needed.
 *
 *   no_resource  nothing that Tartan mirrors changes with webhooks of this type and code
 *   no_subject   something does, but the body names no item or institution
 */
export function outcomeAtOnce(
  { touches }: Pick<ReceiverDeps, "touches">,
  { type, code, subject }: WebhookReading,
): "no_resource" | "no_subject" | undefined {
  if (!touches(subject?.kind ?? null, type, code)) return "no_resource";
  return subject === null ? "no_subject" : undefined;
}
