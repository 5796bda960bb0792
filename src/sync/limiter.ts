/**
 * Keeps to Plaid's limits, together with every other process on the database: the generic cell rate algorithm, in one
 * statement a request, for the client and for the item.
 *
 * A limit of L a minute is kept in every window of a minute if bursts and the steady rate together stay within L. An
 * item's few requests come in bursts (a backfill's pages), so half of L may go at once and the other half steadily; a
 * client's many come evenly, so a tenth may go at once.
 */
import type { Clock } from "../clock.ts";
import type { Queryable } from "../database/types.ts";
import { limitOf } from "../plaid/limits.ts";
import { ACQUIRE, SLOW } from "./queries.ts";

export interface Asking {
  integrationId: string;
  environment: "production" | "sandbox";
  endpoint: string;
  /** the item that the request is about, if any */
  itemId: string | null;
}

export interface Limiter {
  /**
   * Waits until the request may go; or, when that would take longer than `patienceMs`, says how long (ms) without
   * waiting or counting it.
   * @throws the reason of `signal` when it aborts meanwhile
   */
  acquire(asking: Asking, patienceMs: number, signal: AbortSignal): Promise<number>;
  /** Plaid said 429: the endpoint rests for this client, in all processes, longer each time. Returns for how long it asked. */
  slow(asking: Asking, retryAfterMs: number | undefined): Promise<void>;
}

const MINUTE_MS = 60_000;
const ITEM_BURST = 0.5;
const CLIENT_BURST = 0.1;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 5 * MINUTE_MS;

/** `factor` multiplies the published limits. */
export function createLimiter(q: Queryable, clock: Clock, factor: number): Limiter {
  return {
    async acquire(asking, patienceMs, signal) {
      const buckets = bucketsOf(asking, factor);
      const { rows } = await q.query<{ granted: boolean; wait_ms: number }>(ACQUIRE, [
        buckets.map(({ key }) => key),
        buckets.map(({ stepMs }) => stepMs),
        buckets.map(({ burstMs }) => burstMs),
        patienceMs,
      ]);
      const waitMs = Math.max(0, ...rows.map((row) => row.wait_ms));
      if (rows.some(({ granted }) => !granted)) return Math.ceil(waitMs);
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
      return 0;
    },
    async slow({ integrationId, endpoint }, retryAfterMs) {
      await q.query(SLOW, [clientKey(integrationId, endpoint), retryAfterMs ?? FIRST_REST_MS, LONGEST_REST_MS]);
    },
  };
}

interface Bucket {
  key: string;
  stepMs: number;
  burstMs: number;
}

const clientKey = (integrationId: string, endpoint: string): string => `${endpoint} ${integrationId}`;

function bucketsOf({ integrationId, environment, endpoint, itemId }: Asking, factor: number): Bucket[] {
  const { perItem, perClient } = limitOf(endpoint, environment);
  const client = bucket(clientKey(integrationId, endpoint), perClient, factor, CLIENT_BURST);
  if (itemId === null || perItem === undefined) return [client];
  // Sorted as the statement locks them: an item's key extends its client's.
  return [client, bucket(`${client.key} ${itemId}`, perItem, factor, ITEM_BURST)];
}

/** Without a published limit there is no step: only a 429 slows it. */
function bucket(key: string, perMinute: number | undefined, factor: number, share: number): Bucket {
  if (perMinute === undefined) return { key, stepMs: 0, burstMs: 0 };
  const allowed = perMinute * factor;
  const stepMs = MINUTE_MS / (allowed * (1 - share));
  return { key, stepMs, burstMs: Math.max(0, allowed * share - 1) * stepMs };
}
