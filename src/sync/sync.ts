/**
 * The worker: marks the subjects of accepted webhooks due, claims due subjects and runs them, up to its concurrency.
 * It polls for work when a notification comes, when a run has ended, and every `pollMs`.
 *
 *   working ──dispose──▶ stopping: nothing new is claimed; runs that are writing finish, runs that wait for Plaid give
 *                        their subject back ──▶ stopped
 *
 * While a run lasts its lease is renewed at a third of its length. Several workers on one database share the work.
 */
import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import { describeError, TartanError } from "../errors.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { Vault } from "../integrations/vault.ts";
import { openHintBy, openOutboxHint, type Hint } from "../events/hint.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { NO_PRESSURE, type Gate, type Pressure } from "../model/pressure.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { createLimiter } from "./limiter.ts";
import { sweepLoops } from "./loops.ts";
import { HINT_DUE } from "./mark-queries.ts";
import { markWaiting, type OnArrived } from "./marker.ts";
import { forgetOldRepairs, markOverdue } from "./notices.ts";
import { SWEEP_LIMITS } from "./limit-queries.ts";
import { BUSY } from "./queries.ts";
import { keepLease } from "./heartbeat.ts";
import { isLeaseLost } from "./lease.ts";
import { claim as claimDue, giveBack, giveUp, wake } from "./queue.ts";
import { DELAYS, growing, type Delays } from "./retry.ts";
import { run, type RunDeps } from "./run.ts";
import { sweepStaged } from "./staging.ts";
import type { Claim } from "./types.ts";
import { openAhead, type Ahead } from "./ahead.ts";

export interface SyncOptions {
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  /** subjects at the same time in this process */
  concurrency: number;
  leaseSeconds: number;
  pollMs: number;
  /** multiplies Plaid's published rate limits */
  limitFactor: number;
  delays?: Partial<Delays>;
  /** who else looks at accepted webhooks, in the transaction that marks them */
  onArrived?: OnArrived;
  /** marking and runs give way to webhooks that wait for a commit in this process */
  pressure?: Pressure;
}

export interface Sync extends AsyncDisposable {
  /**
   * Resolves when no subject of the database is due or running, in this process or another. With `retries`, also none
   * that waits for a retry or for Plaid.
   */
  idle(options?: { retries?: boolean }): Promise<void>;
}

const SWEEP_MS = 10 * 60_000;
const IDLE_POLL_MS = 10;
/** How often a worker makes subjects ready that became due by time. A lap over 10,000 integrations takes twenty steps. */
const WAKE_MS = 250;
const TROUBLE_PAUSE_MS = 1000;
/** After this time arrivals are tried again that wait for the end of another transaction. */
const DEFERRED_MS = 25;
/** While webhooks wait, a run begins at least this often, however long the others take; most begin when another one has ended. */
const RUN_EVERY_MS = 20;
/** While webhooks wait, the marker rests twice as long as it worked, so more arrivals share a transaction. */
const MARK_REST = 2;
const MARK_EVERY_MS = 100;
/** An abort without a reason makes an error with its stack, which cost a run a hundredth of its processor time. */
const NEWS = new Error("there may be something to claim");
const ENDED = new Error("the run has ended");

class Worker implements Sync {
  readonly #options: SyncOptions;
  readonly #deps: RunDeps;
  readonly #outbox: Hint;
  readonly #due: Hint;
  #stopping = false;
  /** running runs, and the controller that stops each */
  readonly #running = new Map<Promise<void>, AbortController>();
  /** claimed subjects that wait for a slot */
  readonly #ahead: Ahead;
  /** aborted when there may be something to claim */
  #hint = new AbortController();
  #servedLast = "";
  #nextSweep = 0;
  /** where the lap over the integrations continues, "" between laps */
  #wokenLast = "";
  #nextWake = 0;
  /** some arrivals wait for the end of another transaction */
  #deferred = false;
  readonly #pressure: Pressure;
  readonly #gate: Gate;
  /** the marker, and what listens */
  readonly #listening: AsyncDisposable[] = [];
  #working: Promise<void> = Promise.resolve();

  constructor(options: SyncOptions) {
    const { database, clock, limitFactor, delays, pressure = NO_PRESSURE } = options;
    this.#options = options;
    this.#pressure = pressure;
    this.#gate = pressure.gate({ worker: "runs", everyMs: RUN_EVERY_MS });
    this.#ahead = openAhead(options);
    const limiter = createLimiter(database, clock, limitFactor);
    this.#outbox = openOutboxHint(database);
    this.#due = openHintBy(database, HINT_DUE);
    this.#deps = { ...options, limiter, hint: this.#outbox, delays: { ...DELAYS, ...delays } };
  }

  async start(): Promise<void> {
    this.#listening.push(await this.#options.database.listen("tartan_due", () => this.#hint.abort(NEWS)));
    this.#working = this.#work();
    this.#listening.push(await this.#startMarking());
  }

  /** Marks in a loop of its own, so that claims do not wait for the marks of thousands of webhooks. */
  async #startMarking(): Promise<AsyncDisposable> {
    const { database, clock, logger, pollMs } = this.#options;
    return await startWorkerLoop({
      database,
      clock,
      logger,
      channels: ["tartan_arrived"],
      pollMs: () => (this.#deferred ? Math.min(DEFERRED_MS, pollMs) : pollMs),
      trouble: "cannot mark the subjects of webhooks; trying again",
      gate: this.#pressure.gate({ worker: "marker", everyMs: MARK_EVERY_MS, rest: MARK_REST }),
      work: () => this.#mark(),
    });
  }

  async #work(): Promise<void> {
    const { clock, database, concurrency, logger } = this.#options;
    while (!this.#stopping) {
      this.#hint = new AbortController();
      try {
        for (const late of this.#ahead.late()) await giveBack(database, late);
        await this.#sweep();
        await this.#wake();
        const count = this.#ahead.wanted(concurrency - this.#running.size);
        if (count > 0 && (await this.#claim(count)) === count) continue;
      } catch (error) {
        logger.warn({ error }, "cannot claim due subjects; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS);
        continue;
      }
      await this.#untilNews();
    }
  }

  /** Makes subjects ready that became due by time. */
  async #wake(): Promise<void> {
    const { database, clock, pollMs } = this.#options;
    if (clock.now() < this.#nextWake) return;
    const { after, more } = await wake(database, this.#wokenLast);
    this.#wokenLast = after;
    this.#nextWake = more ? 0 : clock.now() + Math.min(WAKE_MS, pollMs / 2);
  }

  /** Marks the arrivals of some rows of the outbox. @returns whether there are more */
  async #mark(): Promise<boolean> {
    const { database, onArrived } = this.#options;
    const { subjects, more, deferred } = await markWaiting(database, onArrived);
    this.#deferred = deferred;
    if (subjects > 0) {
      this.#hint.abort(NEWS);
      // This worker may be full while others are idle.
      this.#due.give();
    }
    return more;
  }

  /** Claims up to `count` subjects, for the free slots and ahead. @returns how many */
  async #claim(count: number): Promise<number> {
    const { database, leaseSeconds } = this.#options;
    const claims = await claimDue(database, this.#servedLast, count, leaseSeconds);
    this.#ahead.add(claims);
    this.#fill();
    this.#servedLast = claims.at(-1)?.integrationId ?? this.#servedLast;
    return claims.length;
  }

  /** Starts runs of claimed subjects while there are free slots. */
  #fill(): void {
    while (!this.#stopping && this.#running.size < this.#options.concurrency) {
      const claimed = this.#ahead.next();
      if (claimed === undefined) return;
      const stop = new AbortController();
      const running = this.#run(claimed, stop).finally(() => {
        this.#running.delete(running);
        this.#ahead.ended();
        this.#fill();
        this.#hint.abort(NEWS);
      });
      this.#running.set(running, stop);
    }
  }

  /** Waits for a notification, the end of a run, the next poll, or the stop. */
  async #untilNews(): Promise<void> {
    const { clock, pollMs } = this.#options;
    // A random spread, so that idle processes do not all poll at the same instant.
    const isDone = this.#wokenLast === "" && this.#ahead.waiting === 0;
    const longest = isDone ? pollMs : Math.min(WAKE_MS, pollMs);
    await clock.sleep(longest - randomInt(Math.ceil(longest / 4)), this.#hint.signal);
  }

  /** Runs a claim; never rejects. */
  async #run(claimed: Claim, stop: AbortController): Promise<void> {
    const beating = keepLease(this.#options, claimed, stop);
    try {
      // It holds a lease here, which is renewed, and nothing else.
      await this.#gate.pass(() => run(this.#deps, claimed, stop.signal), stop.signal);
    } catch (error) {
      await this.#release(claimed, error).catch((failure: unknown) => {
        this.#options.logger.warn({ error: failure }, "cannot give a subject back; its lease will expire");
      });
    } finally {
      beating.abort(ENDED);
    }
  }

  /** Gives back a subject whose run failed. */
  async #release(claimed: Claim, error: unknown): Promise<void> {
    const { database, logger } = this.#options;
    const { integrationId, kind, id, attempts } = claimed;
    const about = { integration_id: integrationId, kind, id, error };
    if (isLeaseLost(error)) return void logger.warn(about, "a lease was lost; nothing was written");
    if (this.#stopping) return await giveBack(database, claimed);
    if (error instanceof TartanError && error.code === "database_unavailable") {
      logger.warn(about, "Postgres was down during a run; the subject is tried again");
      return await giveBack(database, claimed, TROUBLE_PAUSE_MS);
    }
    logger.error(about, "a run failed for an unexpected reason; the subject is tried again later");
    metrics.runs.inc({ kind, outcome: "failed" });
    const sealed = error instanceof TartanError && error.code.startsWith("vault_");
    const { retryMs, retryMaxMs } = this.#deps.delays;
    const { name, code = name, message } = describeError(error);
    await giveUp(database, claimed, {
      inMs: growing(retryMs, retryMaxMs, attempts + 1),
      status: sealed ? "misconfigured" : "retrying",
      error: { class: "internal", error_type: "TARTAN", error_code: code, message, at: new Date().toISOString() },
    });
    this.#outbox.give();
  }

  async #sweep(): Promise<void> {
    const { database, clock } = this.#options;
    if (clock.now() < this.#nextSweep) return;
    this.#nextSweep = clock.now() + SWEEP_MS;
    await sweepLoops(database);
    await sweepStaged(database);
    await markOverdue(database);
    await forgetOldRepairs(database);
    await database.query(SWEEP_LIMITS);
  }

  async idle({ retries = false }: { retries?: boolean } = {}): Promise<void> {
    const { database, clock } = this.#options;
    for (;;) {
      const { rows } = await database.query<{ busy: number }>(BUSY, [retries]);
      if (rows[0]?.busy === 0 && this.#running.size === 0) return;
      await clock.sleep(IDLE_POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#hint.abort(NEWS);
    await this.#working;
    for (const each of this.#listening) await each[Symbol.asyncDispose]();
    for (const claimed of this.#ahead.rest()) await giveBack(this.#options.database, claimed).catch(() => undefined);
    for (const stop of this.#running.values()) stop.abort(new Error("the worker stops"));
    await Promise.allSettled(this.#running.keys());
    await this.#outbox[Symbol.asyncDispose]();
    await this.#due[Symbol.asyncDispose]();
  }
}

/** Starts the worker; disposing it finishes running subjects or gives them back. */
export async function startSync(options: SyncOptions): Promise<Sync> {
  const worker = new Worker(options);
  await worker.start();
  return worker;
}
