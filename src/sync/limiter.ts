/**
 * Keeps to Plaid's limits, together with every other process on the database: the generic cell rate algorithm, in one
 * statement a request, for the client, the item and its institution. A request is counted under all of them or none.
 *
 * A limit of L a minute is kept in every window of a minute if bursts and the steady rate together stay within L. An
 * item's few requests come in bursts (a backfill's pages), so half of L may go at once and the other half steadily; a
 * client's many come evenly, so a tenth may go at once.
 *
 * A 429 slows whom Plaid limited. Plaid's code mostly names the endpoint alone, though it limits both items and clients; so
 * such a refusal slows the item, and the client only when item after item is refused.
 */
import type { Clock } from "../clock.ts";
import type { Queryable } from "../database/types.ts";
import { limitScope, PlaidError, type LimitScope } from "../plaid/errors.ts";
import { limitOf, type Limit } from "../plaid/limits.ts";
import { ACQUIRE, FORGIVE, SLOW } from "./queries.ts";

export interface Asking {
  integrationId: string;
  environment: "production" | "sandbox";
  endpoint: string;
  /** the item that the request is about, if any */
  itemId: string | null;
  /** the item's institution, as far as it is known */
  institutionId: string | null;
}

/** What Plaid said with its 429. */
export interface Refusal {
  errorCode: string;
  /** how long it asked to wait, if it did */
  retryAfterMs: number | undefined;
}

export interface Limiter {
  /**
   * Waits until the request may go; or, when that would take longer than `patienceMs`, says how long (ms) without
   * waiting or counting it.
   * @throws the reason of `signal` when it aborts meanwhile
   */
  acquire(asking: Asking, patienceMs: number, signal: AbortSignal): Promise<number>;
  /** Plaid said 429: whom it limited rests with this endpoint, in all processes, longer each time. */
  refused(asking: Asking, refusal: Refusal): Promise<void>;
  /** Plaid answered, so it limits none of them now: the next rest is a short one again. */
  answered(asking: Asking): Promise<void>;
}

const MINUTE_MS = 60_000;
const ITEM_BURST = 0.5;
const CLIENT_BURST = 0.1;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 5 * MINUTE_MS;
/**
 * So many items in a row that are refused, each for the first time in five minutes, with no request of any other answered
 * between: then it is the client that Plaid limits. Items that are refused all the time count once.
 */
const REFUSED_ITEMS = 5;
/** What is forgotten beyond it rests longer than it had to the next time. */
const STRUCK_MAX = 10_000;

/** `factor` multiplies the published limits. */
export function createLimiter(q: Queryable, clock: Clock, factor: number): Limiter {
  /** by the client's key: the items that were refused since it was answered last */
  const refusedItems = new Map<string, Set<string>>();
  /** keys that this process saw refused since they were answered last */
  const struck = new Set<string>();
  const slow = async (key: string, retryAfterMs: number | undefined): Promise<number> => {
    if (struck.size >= STRUCK_MAX) struck.clear();
    struck.add(key);
    const { rows } = await q.query<{ strikes: number }>(SLOW, [key, retryAfterMs ?? FIRST_REST_MS, LONGEST_REST_MS]);
    return rows[0]?.strikes ?? 1;
  };
  return {
    async acquire(asking, patienceMs, signal) {
      const buckets = bucketsOf(asking, factor);
      const { rows } = await q.query<{ wait_ms: number }>(ACQUIRE, [
        buckets.map(({ key }) => key),
        buckets.map(({ stepMs }) => stepMs),
        buckets.map(({ burstMs }) => burstMs),
        patienceMs,
      ]);
      const waitMs = rows[0]?.wait_ms ?? 0;
      if (waitMs > patienceMs) return Math.ceil(waitMs);
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
      return 0;
    },
    async refused(asking, { errorCode, retryAfterMs }) {
      const scope = scopeOf(asking, errorCode);
      const strikes = await slow(keyOf(asking, scope), retryAfterMs);
      if (scope !== "item" || strikes > 1) return;
      const client = keyOf(asking, "client");
      const items = (refusedItems.get(client) ?? new Set()).add(asking.itemId ?? "");
      refusedItems.set(client, items);
      if (items.size < REFUSED_ITEMS) return;
      refusedItems.delete(client);
      await slow(client, retryAfterMs);
    },
    async answered(asking) {
      refusedItems.delete(keyOf(asking, "client"));
      const keys = bucketsOf(asking, factor).flatMap(({ key }) => (struck.delete(key) ? [key] : []));
      if (keys.length > 0) await q.query(FORGIVE, [keys]);
    },
  };
}

/**
 * Makes a request whose turn has come, and tells the limiter what came of it: a 429 slows whom Plaid limited, for every
 * process.
 * @throws what `request` throws; whatever Postgres fails with
 */
export async function askWithin<T>(limiter: Limiter, asking: Asking, request: () => Promise<T>): Promise<T> {
  let answer: T;
  try {
    answer = await request();
  } catch (error) {
    if (error instanceof PlaidError && error.rateLimited) {
      const { errorCode, retryAfterSeconds: seconds } = error;
      await limiter.refused(asking, { errorCode, retryAfterMs: seconds === undefined ? undefined : seconds * 1000 });
    }
    throw error;
  }
  await limiter.answered(asking);
  return answer;
}

interface Bucket {
  key: string;
  stepMs: number;
  burstMs: number;
}

function keyOf({ integrationId, endpoint, itemId, institutionId }: Asking, scope: LimitScope): string {
  const client = `${endpoint} ${integrationId}`;
  if (scope === "client") return client;
  return scope === "item" ? `${client} ${itemId}` : `${client} institution ${institutionId}`;
}

/** Whom a 429 limits; a code that names someone who is not known, or who has no limit there, leaves the next that may be meant. */
function scopeOf({ endpoint, environment, itemId, institutionId }: Asking, errorCode: string): LimitScope {
  if (itemId === null) return "client";
  const scope = limitScope(errorCode);
  if (scope === "institution") return institutionId === null ? "item" : "institution";
  const { perItem, perClient } = limitOf(endpoint, environment);
  return perItem === undefined && perClient !== undefined ? "client" : scope;
}

function bucketsOf(asking: Asking, factor: number): Bucket[] {
  const { perItem, perClient }: Limit = limitOf(asking.endpoint, asking.environment);
  const client = bucket(keyOf(asking, "client"), perClient, factor, CLIENT_BURST);
  if (asking.itemId === null) return [client];
  const item = bucket(keyOf(asking, "item"), perItem, factor, ITEM_BURST);
  if (asking.institutionId === null) return [client, item];
  return [client, item, bucket(keyOf(asking, "institution"), undefined, factor, 0)];
}

/** Without a published limit there is no step: only a 429 slows it. */
function bucket(key: string, perMinute: number | undefined, factor: number, share: number): Bucket {
  if (perMinute === undefined) return { key, stepMs: 0, burstMs: 0 };
  const allowed = perMinute * factor;
  const stepMs = MINUTE_MS / (allowed * (1 - share));
  return { key, stepMs, burstMs: Math.max(0, allowed * share - 1) * stepMs };
}
