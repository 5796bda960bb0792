/**
 * Carries a change of what an integration reveals or enables through to its rows: masks the stored rows of resources that are hidden,
 * and asks for those that are revealed or enabled to be read. Each part is a transaction of its own that waits for nobody and looks
 * whether the change is still the last one. What is noted as work is left for a repeated call, or for the loop of any process, when
 * this one ends. See integrations/reveals.ts for why no revealed row stays behind.
 */
import { systemClock, type Clock } from "../clock.ts";
import { cancellable, cancellableTransaction } from "../database/cancellable.ts";
import type { Database } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import {
  listRevealsUnderWay,
  noteRevealsDone,
  revealsUnderWay,
  takeReveal,
  type RevealsUnderWay,
} from "../integrations/reveals.ts";
import type { Logger } from "../logger.ts";
import { maskSome, type MaskPosition } from "../mirror/mask-stored.ts";
import { forgetDifferences } from "../sync/full-checks.ts";
import { requestEverywhere } from "../sync/request-everywhere.ts";

/** The first and the longest pause while a commit shares the lock of a resource, or a run holds rows. */
const PAUSE_MS = 20;
const PAUSE_MAX_MS = 1_000;
/** The process that makes a change does the work at once, so little is left to the loop. */
const EVERY_MS = 30_000;
/** Then the loop turns to the next integration: a commit may take half an hour. */
const PATIENCE_MS = 5_000;

/** When to leave the rest to others. */
export interface Effort {
  signal?: AbortSignal | undefined;
  /** after so long; absent: never */
  withinMs?: number;
  /** after so long in which others hold what is next; absent: never */
  patienceMs?: number;
}

interface LoopOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

/** Finishes what other calls left, until it is disposed. */
export async function startReveals({ database, clock, logger }: LoopOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const { signal } = stop;
  const finishAll = async (): Promise<boolean> => {
    const isDone = await finishAllReveals(database, { signal, patienceMs: PATIENCE_MS }).catch((error: unknown) => {
      if (signal.aborted) return true;
      throw error;
    });
    return !isDone;
  };
  const trouble = "cannot finish what integrations reveal and hide; trying again";
  const loop = await startWorkerLoop({
    database,
    clock,
    logger,
    channels: [],
    pollMs: EVERY_MS,
    trouble,
    work: finishAll,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/**
 * Finishes the work that other calls left. A failure of one integration does not stop the others; it is thrown at the end.
 * @returns whether nothing is left
 */
export async function finishAllReveals(database: Database, effort: Effort = {}): Promise<boolean> {
  const failures: unknown[] = [];
  let isDone = true;
  for (const id of await listRevealsUnderWay(database)) {
    try {
      if (!(await finishReveals(database, id, effort))) isDone = false;
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return isDone;
}

/**
 * Does the noted work of an integration. Several processes may do it at once, and repeat it.
 * @returns whether nothing is left
 */
export async function finishReveals(database: Database, id: string, effort: Effort = {}): Promise<boolean> {
  const q = cancellable(database, effort.signal);
  const began = systemClock.now();
  const isOver = (): boolean => systemClock.now() - began >= (effort.withinMs ?? Infinity);
  for (;;) {
    const work = await revealsUnderWay(database, id);
    if (work === null || work.toMask.length + work.toRead.length === 0) return true;
    const { version } = work;
    for (const read of work.toRead) {
      await requestEverywhere(q, id, read);
      await noteRevealsDone(q, id, { read, version });
    }
    for (const masked of work.toMask) {
      const end = await mask(database, id, masked, work, { ...effort, isOver });
      if (end === "left") return false;
      if (end === "masked") await forgetDifferences(q, id, masked);
      if (end === "masked") await noteRevealsDone(q, id, { masked, version });
    }
  }
}

/** Masks the rows of a resource. @returns `outdated` where another change came meanwhile, `left` where the effort ended */
async function mask(
  database: Database,
  id: string,
  resource: string,
  { version }: RevealsUnderWay,
  { signal, patienceMs = Infinity, isOver }: Effort & { isOver: () => boolean },
): Promise<"masked" | "outdated" | "left"> {
  let position: MaskPosition | null = { table: 0, after: null };
  for (let pausedMs = 0; position;) {
    const from: MaskPosition = position;
    const step = await cancellableTransaction(database, signal, async (tx) => {
      const isFree = await takeReveal(tx, id, resource);
      // With the lock: who reveals the resource from here on writes its rows after this part.
      if ((await revealsUnderWay(tx, id))?.version !== version) return null;
      return { to: isFree ? await maskSome(tx, id, resource, from) : from };
    });
    if (step === null) return "outdated";
    position = step.to;
    if (position === null) break;
    const isHeld = position === from;
    if (isOver() || (isHeld && pausedMs >= patienceMs)) return "left";
    const pauseMs = Math.min(Math.max(PAUSE_MS, pausedMs), PAUSE_MAX_MS);
    if (isHeld) await systemClock.sleep(pauseMs, signal);
    pausedMs = isHeld ? pausedMs + pauseMs : 0;
  }
  return "masked";
}
