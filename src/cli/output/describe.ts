/** Describes things in a line or less: a webhook, what a run changed, a route's filter, the state of a destination. */
import type { WebhookRecord } from "../../model/records.ts";
import type { Source } from "../../model/webhook.ts";
import type { RouteFilter } from "../../relay/model/types.ts";
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
const ID_WIDTH = 14;

/** What proves a webhook of each source, in eight characters. */
const PROOFS: Readonly<Record<Source, string>> = {
  PLAID: green("✓ signed"),
  BACKEND: yellow("✓ secret"),
  FROM_LISTENER: yellow("✓ login "),
  RECONCILER: yellow("✓ found "),
};

/** `withAnother`: the line of the previous webhook already describes the run. */
export function describeWebhook(webhook: WebhookRecord, withAnother: boolean): string {
  const info = (webhook.update_info ?? {}) as Outcome;
  const time = dim(new Date(webhook.received_at).toTimeString().slice(0, 8));
  const proof = PROOFS[webhook.source];
  const name = cyan(`${webhook.webhook_type ?? "?"}/${webhook.webhook_code ?? "?"}`.padEnd(NAME_WIDTH));
  const about = `${time}  ${proof}  ${name}  ${dim(short(webhook.subject?.id ?? webhook.item_id, ID_WIDTH).padEnd(ID_WIDTH))}`;
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

/** A route's filter in a few words, for tables. */
export function describeFilter({ types, history, ...rest }: RouteFilter): string {
  const others = Object.values(rest).flatMap((values) => (Array.isArray(values) ? values.map(String) : []));
  return [...(types ?? ["*"]), ...others, ...(history ? ["+ history"] : [])].join(" ");
}

/** What holds a destination's deliveries; its status where nothing does. */
export const stateOf = (status: string, breaker: string): string =>
  status === "active" && breaker !== "closed" ? breaker : status;
