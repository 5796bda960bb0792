/** What a run says of itself in the log and the metrics. */
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Unfit } from "../mirror/types.ts";
import { resourcesOf } from "../resources/index.ts";
import type { Committed } from "./commit.ts";
import type { Ending } from "./ending.ts";
import type { Claim } from "./types.ts";

export function report(logger: Logger, ending: Ending, { info, healed, wrong }: Committed): void {
  const { claim, decision, served, tookMs } = ending;
  const { kind, integrationId, id } = claim;
  metrics.runs.inc({ kind, outcome: decision.outcome });
  metrics.runSeconds.observe({ kind }, tookMs() / 1000);
  if (healed.length > 0) metrics.gaps.inc({ found: "rows" });
  if (wrong.length > 0) metrics.gaps.inc({ found: "check" });
  for (const { name: resource, tables } of resourcesOf(kind)) {
    for (const { name } of tables)
      for (const [change, rows] of Object.entries(info.counts?.[name] ?? {}))
        if (rows > 0) metrics.rows.inc({ resource, change }, rows);
  }
  if (decision.outcome === "synced") {
    for (const { receivedAt } of served) metrics.freshnessSeconds.observe((Date.now() - receivedAt.getTime()) / 1000);
  }
  const fields = {
    integration_id: integrationId,
    kind,
    id,
    outcome: decision.outcome,
    counts: info.counts,
    last_error: decision.error,
  };
  if (decision.status === "misconfigured") {
    logger.error(
      fields,
      "Plaid refuses our keys, a token or a request: fix the integration's credentials or link again",
    );
  } else logger.debug(fields, "run");
}

/** Logs each item and field once: the item shows it from then on. */
export function reportUnfit(logger: Logger, { integrationId, kind, id }: Claim, unfit: Unfit): void {
  if (!unfit.new) return;
  const { resource, field, expected, found } = unfit;
  metrics.unfitValues.inc({ resource, field });
  logger.warn(
    { integration_id: integrationId, kind, id, resource, field, expected, found },
    "a value does not fit its column; it is null there and whole in raw",
  );
}
