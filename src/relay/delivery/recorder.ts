/**
 * Records what came of deliveries, many in one commit: while one commit is under way, results gather for the next. A
 * result is told to its courier when it is committed; until then it is tried again, since a success that is
 * forgotten would be sent again.
 */
import type { Clock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { recordEvents, type NewEvent } from "../../events/events.ts";
import type { Logger } from "../../logger.ts";
import type { Health } from "./circuit-breaker.ts";
import { DISABLE, KEEP_HEALTH, RECORD } from "./queries.ts";
import { cutLookalikes, cutTokens } from "../../tokens.ts";
import type { Exchange } from "../model/types.ts";

const BATCH_MAX = 200;
const AGAIN_MS = 500;
const NOTHING = Buffer.alloc(0);

export interface DeliveryResult {
  deliveryId: string;
  destinationId: string;
  epoch: number;
  /** of the attempt; null where none was made, as when a transform failed */
  number: number | null;
  /** how many attempts count by now towards the schedule */
  tries: number;
  /** of the attempt, by the database's clock */
  startedAt: Date | null;
  exchange: Exchange | null;
  url: string;
  jobId: string | null;
  verdict: "delivered" | "retry" | "dead";
  cause: string | null;
  /** the cause in more words, where there are some */
  detail: string | null;
  dueInMs: number | null;
  sha256: Buffer | null;
  /** how the destination fares by now; null where that need not be kept */
  health: Health | null;
  disable: string | null;
  events: readonly NewEvent[];
}

/** How a destination fares by now, under the epoch in which that was seen. */
export interface HealthState {
  destinationId: string;
  epoch: number;
  health: Health;
}

/**
 * What a courier hears: its result is committed; or it is, but the delivery stays scheduled, as a job did it meanwhile; or the courier
 * no longer holds the destination.
 */
export type Heard = "recorded" | "overtaken" | "fenced";

type Committed = Exclude<Heard, "fenced">;

interface Waiting {
  result: DeliveryResult;
  resolve: (heard: Heard) => void;
}

interface RecorderOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

export class Recorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  #waiting: Waiting[] = [];
  /** what is to be kept of each destination with the next commit: the last word, in one place, so that none overtakes it */
  readonly #health = new Map<string, HealthState>();
  #keeping: (() => void)[] = [];
  #working: Promise<void> | null = null;
  #stopping = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Never rejects; while Postgres is away it waits. */
  record(result: DeliveryResult): Promise<Heard> {
    const { destinationId, epoch, health } = result;
    if (health !== null) this.#health.set(destinationId, { destinationId, epoch, health });
    return new Promise((resolve) => {
      this.#waiting.push({ result, resolve });
      this.#working ??= this.#work();
    });
  }

  /** Keeps how a destination fares without a result. Never rejects; resolves when it is kept, or given up by `hurry`. */
  keep(state: HealthState): Promise<void> {
    this.#health.set(state.destinationId, state);
    return new Promise((resolve) => {
      this.#keeping.push(resolve);
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    // What ends in the same turn of the loop shares the commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0 || this.#health.size > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      const keeping = this.#keeping.splice(0);
      const committed = await this.#commit(batch);
      if (!committed && !this.#stopping) {
        this.#waiting.unshift(...batch);
        this.#keeping.unshift(...keeping);
        continue;
      }
      if (!committed) this.#health.clear();
      for (const { resolve } of committed ? [] : batch) resolve("fenced");
      for (const resolve of keeping) resolve();
    }
    this.#working = null;
    for (const resolve of this.#keeping.splice(0)) resolve();
  }

  /** @returns whether it is done with; if not, all of it is to be tried again */
  async #commit(batch: readonly Waiting[]): Promise<boolean> {
    try {
      const heard = await this.#write(batch);
      for (const { result, resolve } of batch) resolve(heard.get(result.deliveryId) ?? "fenced");
      return true;
    } catch (error) {
      const { clock, logger } = this.#options;
      const passing = isPassing(error);
      const about = { error, results: batch.length };
      logger[passing ? "warn" : "error"](about, "results of deliveries could not be recorded; trying again");
      // One of them may be what took too long.
      const isSlow = error instanceof TartanError && error.code === "overloaded" && batch.length > 1;
      if (!passing || isSlow) return await this.#commitEach(batch);
      if (!this.#stopping) await clock.sleep(AGAIN_MS);
      return false;
    }
  }

  /** Something in the batch is not to be stored, or not just now. Each goes by itself, and then without what its receiver said. */
  async #commitEach(batch: readonly Waiting[]): Promise<boolean> {
    const [first, ...others] = batch;
    // Nothing but health: it is refused as it is, and the next attempt makes another.
    if (first === undefined) this.#health.clear();
    if (first === undefined) return true;
    if (others.length > 0) {
      for (const each of batch) {
        while (!(await this.#commit([each])) && !this.#stopping);
        // Told already, if it was committed.
        if (this.#stopping) each.resolve("fenced");
      }
      return true;
    }
    const { exchange } = first.result;
    if (exchange === null || exchange.head === NOTHING) {
      await this.#options.clock.sleep(AGAIN_MS);
      return false;
    }
    const bare = { ...first.result, exchange: { ...exchange, headers: {}, head: NOTHING } };
    return await this.#commit([{ ...first, result: bare }]);
  }

  /** @returns the deliveries that were heard, by id */
  async #write(batch: readonly Waiting[]): Promise<ReadonlyMap<string, Committed>> {
    const health = [...this.#health.values()];
    const alone =
      health.length === 0 && batch.every(({ result }) => result.disable === null && result.events.length === 0);
    // A single statement needs no transaction around it, and most batches are nothing else.
    if (alone) return heardOf(await record(this.#options.database, batch));
    const heard = await this.#options.database.transaction(async (tx) => {
      const known = await record(tx, batch);
      const results = batch.map(({ result }) => result).filter(({ deliveryId }) => known.has(deliveryId));
      if (health.length > 0) await tx.query(KEEP_HEALTH, [JSON.stringify(health.map(rowOf))]);
      // What was recorded before, by a COMMIT whose answer was lost, had its consequences then.
      const fresh = results.filter(({ deliveryId }) => known.get(deliveryId)?.new);
      for (const { destinationId, disable } of fresh) {
        if (disable !== null) await tx.query(DISABLE, [destinationId, disable]);
      }
      const events = fresh.flatMap((result) => eventsOf(result, known.get(result.deliveryId)?.overtaken));
      if (events.length > 0) await recordEvents(tx, events);
      return heardOf(known);
    });
    for (const state of health) {
      if (this.#health.get(state.destinationId) === state) this.#health.delete(state.destinationId);
    }
    return heard;
  }

  /** From now on what cannot be recorded at once is given up: it is delivered again by whoever comes next. */
  hurry(): void {
    this.#stopping = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hurry();
    await this.#working;
  }
}

interface RecordedRow {
  id: string;
  new: boolean;
  overtaken: boolean;
}

/** @returns the deliveries that were heard, by id */
async function record(q: Queryable, batch: readonly Waiting[]): Promise<ReadonlyMap<string, RecordedRow>> {
  const { rows } = await q.query<RecordedRow>(RECORD, [encode(batch)]);
  return new Map(rows.map((row) => [row.id, row]));
}

const heardOf = (rows: ReadonlyMap<string, RecordedRow>): ReadonlyMap<string, Committed> =>
  new Map([...rows].map(([id, { overtaken }]) => [id, overtaken ? "overtaken" : "recorded"]));

/** A delivery that a job scheduled anew has not given up, and does not fail yet. */
const eventsOf = ({ events }: DeliveryResult, overtaken = false): readonly NewEvent[] =>
  overtaken ? events.filter(({ type }) => !type.startsWith("delivery.")) : events;

function encode(batch: readonly Waiting[]): string {
  return JSON.stringify(
    batch.map(({ result }) => {
      const { exchange, sha256 } = result;
      return {
        id: result.deliveryId,
        destinationId: result.destinationId,
        epoch: result.epoch,
        number: result.number,
        tries: result.tries,
        startedAt: result.startedAt,
        durationMs: exchange === null ? null : Math.round(exchange.durationMs),
        url: result.url,
        address: exchange?.address ?? null,
        status: exchange?.status ?? null,
        cause: result.cause,
        detail: result.detail,
        // A receiver may send back what it was sent, tokens included.
        headers: exchange && withoutTokens(exchange.headers),
        head: exchange && cutTokens(exchange.head).bytes.toString("base64"),
        jobId: result.jobId,
        verdict: result.verdict,
        dueInMs: result.dueInMs,
        sha256: sha256?.toString("hex") ?? null,
      };
    }),
  );
}

const withoutTokens = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, cutLookalikes(value)]));

const rowOf = ({ destinationId, epoch, health }: HealthState): object => ({
  destination_id: destinationId,
  epoch,
  ...health,
});
