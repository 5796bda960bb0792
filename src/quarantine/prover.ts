/**
 * Proves webhooks that were kept because their key could not be fetched. Every process that receives webhooks has one.
 *
 *   asleep → (two seconds are over, credentials changed, Plaid answers again) a pass over the keys for which webhooks wait
 *     a key that can be had:  its webhooks are proven or refused, in order of receipt, in batches
 *     no such key at Plaid:   its webhooks are refused
 *     not to be had yet:      they go on waiting; the key source decides when Plaid is asked again
 *
 * The key source limits how often Plaid is asked, so a pass may look at every key.
 */
import type { Clock } from "../clock.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import type { Database } from "../database/types.ts";
import { databaseNow, noteFailure, settleSome, takeUpKeys, type Settled, type UnprovenKey } from "../journal/settle.ts";
import { forgetQuarantine } from "../journal/forget-unproven.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { FoundKey, KeyRefusal, KeySource } from "../plaid/verify.ts";
import { judgeWith } from "./judge.ts";
import { gaugeQuarantine } from "./gauges.ts";

export interface ProverOptions {
  database: Database;
  directory: Directory;
  keys: KeySource;
  clock: Clock;
  logger: Logger;
}

const POLL_MS = 2_000;
/** A key that could not be had is not taken up again before, unless something happened that makes it likelier. */
const AGAIN_MS = 5_000;
const KEYS_AT_ONCE = 20;

/** Starts the prover; disposing it waits for the batch under way. */
export async function startProver(options: ProverOptions): Promise<AsyncDisposable> {
  const { database, clock, logger, keys } = options;
  let isUrgent = true;
  const stop = new AbortController();
  const loop = await startWorkerLoop({
    database,
    clock,
    logger,
    channels: [],
    pollMs: POLL_MS,
    trouble: "unproven webhooks cannot be examined; trying again",
    work: async () => {
      const everything = isUrgent;
      isUrgent = false;
      await pass(options, everything, stop.signal);
      await gaugeQuarantine(database);
      return isUrgent;
    },
  });
  const hurry = (): void => {
    isUrgent = true;
    loop.wake();
  };
  keys.onRecovered?.(hurry);
  const listening = await database.listen("tartan_integrations", hurry);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await listening[Symbol.asyncDispose]();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/** @param everything also keys that were taken up a moment ago */
async function pass(options: ProverOptions, everything: boolean, signal: AbortSignal): Promise<void> {
  const { database } = options;
  const now = await databaseNow(database);
  const since = everything ? now : new Date(now.getTime() - AGAIN_MS);
  /** integrations for which Plaid is not asked again in this pass */
  const without = new Set<string>();
  while (!signal.aborted) {
    const some = await takeUpKeys(database, { since, without: [...without], limit: KEYS_AT_ONCE });
    if (some.length === 0) return;
    for (const key of some) {
      if (signal.aborted) return;
      if (!without.has(key.integrationId) && !(await prove(options, key, signal))) without.add(key.integrationId);
    }
  }
}

/** @returns false where the next key of the integration could not be had either */
async function prove(options: ProverOptions, key: UnprovenKey, signal: AbortSignal): Promise<boolean> {
  const { database, directory, keys, logger } = options;
  const integration = await directory.find(key.integrationId);
  if (integration === null) {
    const forgotten = await forgetQuarantine(database, key.integrationId);
    metrics.unproven.inc({ outcome: "forgotten" }, forgotten);
    return false;
  }
  const found = await keys.findWaiting(integration, key.keyId);
  if ("reason" in found && found.reason === "key_unavailable") {
    await noteFailure(database, key, found.detail);
    return found.mayWait === "key";
  }
  const sum = await settleAll(options, integration, key, found, signal);
  if (sum.proven + sum.duplicates > 0)
    logger.info({ ...key, webhooks: sum.proven, duplicates: sum.duplicates }, "unproven webhooks are proven");
  if (sum.refused.size > 0)
    logger.warn({ ...key, refused: Object.fromEntries(sum.refused) }, "unproven webhooks are refused");
  return true;
}

async function settleAll(
  { database, keys, logger }: ProverOptions,
  integration: KnownIntegration,
  key: UnprovenKey,
  found: FoundKey | KeyRefusal,
  signal: AbortSignal,
): Promise<Settled> {
  const sum: Settled = { proven: 0, duplicates: 0, refused: new Map() };
  const judge = judgeWith({ keys, integration, found, logger });
  while (!signal.aborted) {
    const settled = await settleSome(database, key, judge);
    if (settled === null) break;
    count(settled);
    sum.proven += settled.proven;
    sum.duplicates += settled.duplicates;
    for (const [reason, webhooks] of settled.refused)
      sum.refused.set(reason, (sum.refused.get(reason) ?? 0) + webhooks);
  }
  return sum;
}

function count({ proven, duplicates, refused }: Settled): void {
  metrics.unproven.inc({ outcome: "proven" }, proven);
  metrics.unproven.inc({ outcome: "duplicate" }, duplicates);
  metrics.webhooksAccepted.inc({ source: "PLAID" }, proven);
  for (const [reason, webhooks] of refused) {
    metrics.unproven.inc({ outcome: "refused" }, webhooks);
    metrics.webhooksRefused.inc({ reason }, webhooks);
  }
}
