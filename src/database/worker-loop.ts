/**
 * A loop that polls for work until it is disposed: at once when a notification or a call wakes it, otherwise after its poll interval.
 *
 *   working ──there may be more──▶ working
 *      │ ▲
 *      │ └──woken, or the poll interval is over── waiting ◀──nothing left── working
 *      └──an error: logged──▶ pausing for a second ──▶ working
 *
 * The tables decide whether there is work; a notification only saves waiting for the next poll.
 */
import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { NO_GATE, type Gate } from "../model/pressure.ts";
import type { Database } from "./types.ts";

export interface WorkerLoopOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
  /** NOTIFY channels that wake it */
  channels: readonly string[];
  /** the longest wait between two polls; a function where it changes */
  pollMs: number | (() => number);
  /** the log line of an error, such as "cannot dispatch events; trying again" */
  trouble: string;
  /** the work waits for its turn at it, while the loop holds nothing */
  gate?: Gate;
  /** Does some work. @returns whether there may be more, so that the loop does not wait */
  work(): Promise<boolean>;
}

export interface WorkerLoop extends AsyncDisposable {
  /** Ends the current wait, or skips the next one when the loop is working. */
  wake(): void;
}

const TROUBLE_PAUSE_MS = 1000;
/** Given to each abort: without a reason Node creates an error, with its stack. */
const WOKEN = "woken";

/** Starts the loop. Disposing waits until the work under way is finished. */
export async function startWorkerLoop(options: WorkerLoopOptions): Promise<WorkerLoop> {
  const loop = new Loop(options);
  await loop.start();
  return loop;
}

class Loop implements WorkerLoop {
  readonly #options: WorkerLoopOptions;
  readonly #listening: AsyncDisposable[] = [];
  readonly #stop = new AbortController();
  #hint = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: WorkerLoopOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { database, channels } = this.#options;
    for (const channel of channels) this.#listening.push(await database.listen(channel, () => this.wake()));
    this.#running = this.#run();
  }

  wake(): void {
    this.#hint.abort(WOKEN);
  }

  async #run(): Promise<void> {
    const { clock, logger, pollMs, trouble, gate = NO_GATE, work } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // A new controller before the work, so that a wake-up during the work skips the wait.
      this.#hint = new AbortController();
      try {
        if (await gate.pass(async () => !signal.aborted && (await work()), signal)) continue;
      } catch (error) {
        logger.warn({ error }, trouble);
        await clock.sleep(TROUBLE_PAUSE_MS, signal);
        continue;
      }
      if (!signal.aborted) await clock.sleep(spread(typeof pollMs === "number" ? pollMs : pollMs()), this.#hint.signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(WOKEN);
    this.wake();
    await this.#running;
    for (const each of this.#listening.splice(0)) await each[Symbol.asyncDispose]();
  }
}

/** Shortens a wait by up to a quarter, so that idle processes do not all poll at the same instant. */
const spread = (ms: number): number => ms - randomInt(Math.max(1, Math.ceil(ms / 4)));
