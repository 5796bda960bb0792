/**
 * Records the results of deliveries, many in one commit: while one commit is under way, results gather for the next. The
 * delivery worker learns of a result when it is committed. Until then the recorder tries again, since a success that is lost
 * would be sent a second time.
 */
import type { Clock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { recordEvents, type NewEvent } from "../../events/events.ts";
import type { Logger } from "../../logger.ts";
import { disableDestinations } from "../destinations/disable.ts";
import { KEEP_HEALTH, RECORD } from "./attempt-queries.ts";
import { encodeHealth, encodeResults, NO_BYTES, type HealthState } from "./recorded-rows.ts";
import type { DeliveryResult } from "./delivery-result.ts";

const BATCH_MAX = 200;
const AGAIN_MS = 500;

/**
 * `recorded`: the result is committed. `overtaken`: it is committed, but a job rescheduled the delivery during the attempt, so the
 * delivery stays scheduled. `fenced`: the worker no longer leases the destination.
 */
export type RecordOutcome = "recorded" | "overtaken" | "fenced";

type Accepted = Exclude<RecordOutcome, "fenced">;

interface PendingResult {
  result: DeliveryResult;
  resolve: (outcome: RecordOutcome) => void;
}

interface RecorderOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

export class Recorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  #pending: PendingResult[] = [];
  /** the health that the next commit stores, one state for each destination, so that none overtakes a later one */
  readonly #health = new Map<string, HealthState>();
  #keeping: (() => void)[] = [];
  #working: Promise<void> | null = null;
  #stopping = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Never rejects; waits while Postgres is away. */
  record(result: DeliveryResult): Promise<RecordOutcome> {
    const { destinationId, epoch, health } = result;
    if (health !== null) this.#health.set(destinationId, { destinationId, epoch, health });
    return new Promise((resolve) => {
      this.#pending.push({ result, resolve });
      this.#working ??= this.#work();
    });
  }

  /** Stores a destination's health without a result. Never rejects; resolves when it is stored, or when `stopRetrying` gave it up. */
  keep(state: HealthState): Promise<void> {
    this.#health.set(state.destinationId, state);
    return new Promise((resolve) => {
      this.#keeping.push(resolve);
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    // Results of the same turn of the event loop share a commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0 || this.#health.size > 0) {
      const batch = this.#pending.splice(0, BATCH_MAX);
      const keeping = this.#keeping.splice(0);
      const done = await this.#commit(batch);
      if (!done && !this.#stopping) {
        this.#pending.unshift(...batch);
        this.#keeping.unshift(...keeping);
        continue;
      }
      if (!done) this.#health.clear();
      for (const { resolve } of done ? [] : batch) resolve("fenced");
      for (const resolve of keeping) resolve();
    }
    this.#working = null;
    for (const resolve of this.#keeping.splice(0)) resolve();
  }

  /** @returns whether the batch is done with; if not, all of it has to be tried again */
  async #commit(batch: readonly PendingResult[]): Promise<boolean> {
    try {
      const accepted = await this.#write(batch);
      for (const { result, resolve } of batch) resolve(accepted.get(result.deliveryId) ?? "fenced");
      return true;
    } catch (error) {
      const { clock, logger } = this.#options;
      const passing = isPassing(error);
      const about = { error, results: batch.length };
      logger[passing ? "warn" : "error"](about, "results of deliveries could not be recorded; trying again");
      // A single result may have made the batch too slow.
      const isSlow = error instanceof TartanError && error.code === "overloaded" && batch.length > 1;
      if (!passing || isSlow) return await this.#commitEach(batch);
      if (!this.#stopping) await clock.sleep(AGAIN_MS);
      return false;
    }
  }

  /**
   * Postgres rejects a part of the batch, or not all of it fits now. Each result is committed by itself, and one that is rejected
   * again without the receiver's headers and body.
   */
  async #commitEach(batch: readonly PendingResult[]): Promise<boolean> {
    const [first, ...others] = batch;
    // The batch was health only. Postgres rejects it as it is, and the next attempt yields another.
    if (first === undefined) this.#health.clear();
    if (first === undefined) return true;
    if (others.length > 0) {
      for (const each of batch) {
        while (!(await this.#commit([each])) && !this.#stopping);
        // Resolved already, if it was committed.
        if (this.#stopping) each.resolve("fenced");
      }
      return true;
    }
    const { exchange } = first.result;
    if (exchange === null || exchange.head === NO_BYTES) {
      await this.#options.clock.sleep(AGAIN_MS);
      return false;
    }
    const bare = { ...first.result, exchange: { ...exchange, headers: {}, head: NO_BYTES } };
    return await this.#commit([{ ...first, result: bare }]);
  }

  /** @returns the outcomes of the results that were accepted, by delivery */
  async #write(batch: readonly PendingResult[]): Promise<ReadonlyMap<string, Accepted>> {
    const health = [...this.#health.values()];
    const alone =
      health.length === 0 && batch.every(({ result }) => result.disable === null && result.events.length === 0);
    // A single statement needs no transaction around it, and most batches are a single statement.
    if (alone) return outcomesOf(await record(this.#options.database, batch));
    const accepted = await this.#options.database.transaction(async (tx) => {
      const known = await record(tx, batch);
      const results = batch.map(({ result }) => result).filter(({ deliveryId }) => known.has(deliveryId));
      if (health.length > 0) await tx.query(KEEP_HEALTH, [encodeHealth(health)]);
      // A result that was recorded before, by a COMMIT whose answer was lost, had its consequences then.
      const fresh = results.filter(({ deliveryId }) => known.get(deliveryId)?.new);
      await disableDestinations(tx, fresh);
      const events = fresh.flatMap((result) => eventsOf(result, known.get(result.deliveryId)?.overtaken));
      if (events.length > 0) await recordEvents(tx, events);
      return outcomesOf(known);
    });
    for (const state of health) {
      if (this.#health.get(state.destinationId) === state) this.#health.delete(state.destinationId);
    }
    return accepted;
  }

  /** From now on a result that cannot be recorded at once is given up. The next worker delivers it again. */
  stopRetrying(): void {
    this.#stopping = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopRetrying();
    await this.#working;
  }
}

interface RecordedRow {
  id: string;
  new: boolean;
  overtaken: boolean;
}

/** @returns the results that were accepted, by delivery */
async function record(q: Queryable, batch: readonly PendingResult[]): Promise<ReadonlyMap<string, RecordedRow>> {
  const { rows } = await q.query<RecordedRow>(RECORD, [encodeResults(batch.map(({ result }) => result))]);
  return new Map(rows.map((row) => [row.id, row]));
}

const outcomesOf = (rows: ReadonlyMap<string, RecordedRow>): ReadonlyMap<string, Accepted> =>
  new Map([...rows].map(([id, { overtaken }]) => [id, overtaken ? "overtaken" : "recorded"]));

/** A delivery that a job rescheduled has neither given up nor begun to fail. */
const eventsOf = ({ events }: DeliveryResult, overtaken = false): readonly NewEvent[] =>
  overtaken ? events.filter(({ type }) => !type.startsWith("delivery.")) : events;
