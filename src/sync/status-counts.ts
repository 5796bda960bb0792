/**
 * How many subjects are in which status. There is no cheaper way to know than to read all of them: an index by status would be written by each
 * mark and each run. Reading a million took 1.2 s on a busy machine, so counts of many are kept for twenty times as long as reading them took.
 */
import type { Queryable } from "../database/types.ts";
import { BY_STATUS } from "./depth-queries.ts";

export interface StatusCounts {
  counts: Record<string, number>;
  /** when they were counted */
  at: Date;
}

/** Counts of fewer subjects than this are not kept: reading them takes some milliseconds. */
const KEPT_FROM = 50_000;
const TIMES_AS_LONG = 20;
/** Older counts are not shown: the answer waits for new ones. */
const SHOWN_MS_MAX = 60_000;

interface Kept extends StatusCounts {
  until: number;
}

const kept = new WeakMap<Queryable, Kept>();
const underWay = new WeakMap<Queryable, Promise<Kept>>();

/**
 * The counts of all processes' subjects. With fewer than 50,000 they are those of now. With more, somebody who asks often gets counts from
 * before, at once, while new ones are read beside; so these reads take a twentieth of a connection's time at most.
 */
export async function countStatuses(q: Queryable, now: () => number = Date.now): Promise<StatusCounts> {
  const before = kept.get(q);
  if (before === undefined || now() - before.at.getTime() > SHOWN_MS_MAX) return await readCounts(q, now);
  // Where it fails, the next answer that has to wait fails too.
  if (now() >= before.until) readCounts(q, now).catch(() => undefined);
  return before;
}

/** Simultaneous requests share one read. */
function readCounts(q: Queryable, now: () => number): Promise<Kept> {
  const reading = underWay.get(q) ?? read(q, now).finally(() => underWay.delete(q));
  underWay.set(q, reading);
  return reading;
}

async function read(q: Queryable, now: () => number): Promise<Kept> {
  const began = now();
  const { rows } = await q.query<{ status: string; count: number }>(BY_STATUS);
  const took = now() - began;
  const counts = Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  const found = { counts, at: new Date(began), until: began + took + took * TIMES_AS_LONG };
  if (rows.reduce((sum, { count }) => sum + count, 0) >= KEPT_FROM) kept.set(q, found);
  else kept.delete(q);
  return found;
}
