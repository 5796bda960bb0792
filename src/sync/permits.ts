/**
 * Takes the permits of requests from the budgets that all processes share. Requests that ask while a statement is under way share the next
 * one: of what a permit costs Postgres, most is spent for the statement and little for the keys. They would wait for each other in Postgres
 * anyway, since those of one client lock the same row.
 */
import { setImmediate as turnEnds } from "node:timers/promises";
import type { Queryable } from "../database/types.ts";
import { ACQUIRE } from "./limit-queries.ts";

export interface Bucket {
  key: string;
  stepMs: number;
  burstMs: number;
}

export interface Permits {
  /**
   * Asks for one request under all of the buckets.
   * @returns how long (ms) it has to wait; it is counted only if that is at most `patienceMs`
   */
  ask(buckets: readonly Bucket[], patienceMs: number): Promise<number>;
}

interface Waiting {
  buckets: readonly Bucket[];
  patienceMs: number;
  resolve(waitMs: number): void;
  reject(error: unknown): void;
}

/** Requests of one statement at most. It holds the rows of their clients for a third of a millisecond and some 10 µs for each. */
const TOGETHER_MAX = 64;

export function openPermits(q: Queryable): Permits {
  const waiting: Waiting[] = [];
  let isWorking = false;
  const work = async (): Promise<void> => {
    isWorking = true;
    // Those that ask in this turn of the event loop come along, as the two requests of a run do.
    await turnEnds();
    while (waiting.length > 0) {
      const asked = waiting.splice(0, TOGETHER_MAX);
      try {
        const waits = await acquire(q, asked);
        for (const [n, each] of asked.entries()) each.resolve(waits[n] ?? 0);
      } catch (error) {
        for (const each of asked) each.reject(error);
      }
    }
    isWorking = false;
  };
  return {
    ask: (buckets, patienceMs) =>
      new Promise((resolve, reject) => {
        waiting.push({ buckets, patienceMs, resolve, reject });
        if (!isWorking) void work();
      }),
  };
}

async function acquire(q: Queryable, asked: readonly Waiting[]): Promise<readonly number[]> {
  const buckets = asked.flatMap(({ buckets }, n) => buckets.map((bucket) => ({ ...bucket, number: n + 1 })));
  const { rows } = await q.query<{ waits: number[] }>(ACQUIRE, [
    buckets.map(({ number }) => number),
    buckets.map(({ key }) => key),
    buckets.map(({ stepMs }) => stepMs),
    buckets.map(({ burstMs }) => burstMs),
    asked.map(({ patienceMs }) => patienceMs),
  ]);
  return rows[0]?.waits ?? [];
}
