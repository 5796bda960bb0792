/** Describes a webhook, and what a run changed, in one line each. */
import type { WebhookRecord } from "../model/records.ts";
import { cyan, dim, green, red, short, state, yellow } from "./print.ts";

interface Counts {
  added?: number;
  modified?: number;
  removed?: number;
}

/** The parts of `update_info` that a line shows. */
interface Outcome {
  outcome?: string;
  counts?: Record<string, Counts>;
  duration_ms?: number;
  error?: { error_code?: string };
}

/** As wide as the longest of Plaid's usual names. */
const NAME_WIDTH = 36;
const ITEM_WIDTH = 14;

/** `withAnother`: the line of the previous webhook already describes the run. */
export function describeWebhook(webhook: WebhookRecord, withAnother: boolean): string {
  const info = (webhook.update_info ?? {}) as Outcome;
  const time = dim(new Date(webhook.received_at).toTimeString().slice(0, 8));
  const proof = webhook.source === "PLAID" ? green("✓ signed") : yellow("✓ secret");
  const name = cyan(`${webhook.webhook_type ?? "?"}/${webhook.webhook_code ?? "?"}`.padEnd(NAME_WIDTH));
  const about = `${time}  ${proof}  ${name}  ${dim(short(webhook.item_id, ITEM_WIDTH).padEnd(ITEM_WIDTH))}`;
  if (withAnother) return `${about}  ${dim("╰ served by the same run")}`;
  const took = info.duration_ms === undefined ? "" : dim(` ${info.duration_ms} ms`);
  return `${about}  ${describeChanges(info)}${took}`;
}

/** What a run changed: `+3 ~1 transactions`, or its outcome when there was nothing to mirror. */
export function describeChanges(updateInfo: object): string {
  const { outcome, counts = {}, error } = updateInfo as Outcome;
  if (outcome !== "synced") return `${state(outcome ?? "recorded")} ${error?.error_code ?? ""}`.trimEnd();
  const changes = Object.entries(counts)
    .map(([resource, { added = 0, modified = 0, removed = 0 }]) => {
      const parts = [added && green(`+${added}`), modified && yellow(`~${modified}`), removed && red(`−${removed}`)];
      const some = parts.filter(Boolean);
      return some.length > 0 ? `${some.join(" ")} ${resource}` : "";
    })
    .filter(Boolean);
  return changes.length > 0 ? changes.join(", ") : dim("nothing changed");
}
