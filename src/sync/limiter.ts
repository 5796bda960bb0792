/**
 * Applies Plaid's limits, together with every other process on the database: the generic cell rate algorithm, for the client, the
 * item and its institution. A request is counted under all of them or none.
 *
 * A limit of L a minute holds in every window of a minute if bursts and the steady rate together stay within L. An
 * item's few requests come in bursts (a backfill's pages), so half of L may go at once and the other half steadily. A
 * client's many requests come evenly, so a tenth may go at once.
 *
 * A 429 slows what Plaid limited. Plaid's code mostly names only the endpoint, although both items and clients have limits there.
 * So such a refusal slows the item, and the client only when item after item is refused.
 */
import type { Clock } from "../clock.ts";
import type { Queryable } from "../database/types.ts";
import { limitScope, PlaidError, type LimitScope } from "../plaid/errors.ts";
import { limitOf, type Limit } from "../plaid/limits.ts";
import { RESET_STRIKES, SLOW } from "./limit-queries.ts";
import { openPermits, type Bucket } from "./permits.ts";

export interface Asking {
  integrationId: string;
  environment: "production" | "sandbox";
  endpoint: string;
  /** the item of the request, if any */
  itemId: string | null;
  /** the item's institution, as far as it is known */
  institutionId: string | null;
  /** whose share of the client's limit is used too, and how much of the limit that is */
  share?: { of: string; part: number };
}

/** What Plaid said with its 429. */
export interface RateLimitRefusal {
  errorCode: string;
  /** the wait that Plaid requested, if any */
  retryAfterMs: number | undefined;
}

export interface Limiter {
  /**
   * Waits until the request may go. If that would take longer than `patienceMs`, returns how long (ms) without
   * waiting or counting the request.
   * @throws the reason of `signal` when it aborts meanwhile
   */
  acquire(asking: Asking, patienceMs: number, signal: AbortSignal): Promise<number>;
  /** Plaid answered 429: pauses this endpoint for what Plaid limited, in all processes, longer each time. */
  refused(asking: Asking, refusal: RateLimitRefusal): Promise<void>;
  /** Plaid answered, so it limits none of them now: the next pause is short again. */
  answered(asking: Asking): Promise<void>;
}

const MINUTE_MS = 60_000;
const ITEM_BURST = 0.5;
const CLIENT_BURST = 0.1;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 5 * MINUTE_MS;
/**
 * When this many items in a row are refused, each for the first time in five minutes, with no successful answer
 * between, Plaid limits the client. An item that is refused repeatedly counts once.
 */
const REFUSED_ITEMS = 5;
/** A key that is dropped beyond this bound pauses longer than needed the next time. */
const STRUCK_MAX = 10_000;

/** `factor` multiplies the published limits. */
export function createLimiter(q: Queryable, clock: Clock, factor: number): Limiter {
  /** key of the client → the items that were refused since its last successful answer */
  const refusedItems = new Map<string, Set<string>>();
  /** keys that this process saw refused since their last successful answer */
  const struck = new Set<string>();
  const permits = openPermits(q);
  const slow = async (key: string, retryAfterMs: number | undefined): Promise<number> => {
    if (struck.size >= STRUCK_MAX) struck.clear();
    struck.add(key);
    const { rows } = await q.query<{ strikes: number }>(SLOW, [key, retryAfterMs ?? FIRST_REST_MS, LONGEST_REST_MS]);
    return rows[0]?.strikes ?? 1;
  };
  return {
    async acquire(asking, patienceMs, signal) {
      const buckets = bucketsOf(asking, factor);
      const waitMs = await permits.ask(buckets, patienceMs);
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
      if (keys.length > 0) await q.query(RESET_STRIKES, [keys]);
    },
  };
}

/**
 * Makes an admitted request, and reports its result to the limiter: a 429 slows what Plaid limited, in every
 * process.
 * @throws the error of `request`; the error of Postgres
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

function keyOf({ integrationId, endpoint, itemId, institutionId }: Asking, scope: LimitScope): string {
  const client = `${endpoint} ${integrationId}`;
  if (scope === "client") return client;
  return scope === "item" ? `${client} ${itemId}` : `${client} institution ${institutionId}`;
}

/** What a 429 limits. If the code names an item or institution that is unknown or has no limit there, the next wider key. */
function scopeOf({ endpoint, environment, itemId, institutionId }: Asking, errorCode: string): LimitScope {
  if (itemId === null) return "client";
  const scope = limitScope(errorCode);
  if (scope === "institution") return institutionId === null ? "item" : "institution";
  const { perItem, perClient } = limitOf(endpoint, environment);
  return perItem === undefined && perClient !== undefined ? "client" : scope;
}

function bucketsOf(asking: Asking, factor: number): Bucket[] {
  const { perItem, perClient }: Limit = limitOf(asking.endpoint, asking.environment);
  const { itemId, institutionId, share } = asking;
  const buckets = [bucket(keyOf(asking, "client"), perClient, factor, CLIENT_BURST)];
  if (share !== undefined && perClient !== undefined)
    buckets.push(bucket(`${keyOf(asking, "client")} share ${share.of}`, perClient, factor * share.part, CLIENT_BURST));
  if (itemId !== null) buckets.push(bucket(keyOf(asking, "item"), perItem, factor, ITEM_BURST));
  if (itemId !== null && institutionId !== null)
    buckets.push(bucket(keyOf(asking, "institution"), undefined, factor, 0));
  return buckets;
}

/** Without a published limit there is no step: only a 429 slows the endpoint. */
function bucket(key: string, perMinute: number | undefined, factor: number, share: number): Bucket {
  if (perMinute === undefined) return { key, stepMs: 0, burstMs: 0 };
  const allowed = perMinute * factor;
  const stepMs = MINUTE_MS / (allowed * (1 - share));
  return { key, stepMs, burstMs: Math.max(0, allowed * share - 1) * stepMs };
}
