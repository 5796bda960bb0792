/**
 * The relay of one process: dispatches what happened, holds its share of the destinations and delivers to them, works on
 * replays, and looks for what is overdue. Several processes on one database share the work.
 *
 *   journal.outbox ──Dispatcher──▶ relay.deliveries ──Courier of the destination──▶ the receiver ──Recorder──▶ relay.attempts
 *
 * Each step begins with what is in the tables; notifications only save waiting for the next look.
 */
import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Logger } from "../logger.ts";
import { AttemptStarts, NO_ATTEMPTS } from "./delivery/attempt-notes.ts";
import { Courier, type CourierDeps } from "./delivery/delivery-worker.ts";
import { openDestinations } from "./destinations/destinations.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { createGuard } from "./senders/http/guard.ts";
import { Holdings, type Looked, type Taken } from "./delivery/leases.ts";
import { startJobs } from "./jobs/job-runner.ts";
import { BUSY } from "./delivery/queries.ts";
import { Payloads } from "./delivery/payloads.ts";
import { Recorder } from "./delivery/recorder.ts";
import { Slots } from "./delivery/concurrency-limit.ts";
import { startSweep } from "./ledger/overdue.ts";
import { openTransforms, type Transforms } from "./content/transform.ts";

export interface RelayOptions {
  database: Database;
  vault: Vault;
  clock: Clock;
  logger: Logger;
  /** deliveries under way at the same time in this process */
  concurrency: number;
  leaseSeconds: number;
  /** how long stopping waits for the answers to what was sent; 30 by default, the longest timeout there is */
  stopSeconds?: number;
  pollMs: number;
  /** addresses and CIDR ranges, besides public ones, that may be delivered to */
  allowedAddresses: readonly string[];
}

export interface Relay extends AsyncDisposable {
  /** Resolves when nothing waits for dispatch and nothing is due at destinations that take deliveries, in any process. */
  idle(): Promise<void>;
}

const IDLE_POLL_MS = 10;
const TROUBLE_PAUSE_MS = 1000;
/** How long a process that stops tries to record what came of its last deliveries, while Postgres is away. */
const RECORD_MS = 5000;
/** Destinations that could not be opened are tried again: the key that sealed their secrets may be here by then. */
const REOPEN_MS = 60_000;
const ALL_AGAIN_MS = 1000;

class Worker implements Relay {
  readonly #options: RelayOptions;
  readonly #holdings: Holdings;
  readonly #dispatcher: Dispatcher;
  readonly #recorder: Recorder;
  readonly #transforms: Transforms;
  readonly #deps: CourierDeps;
  readonly #couriers = new Map<string, Courier>();
  /** held, but not to be opened: their secrets are sealed with a key that is not here */
  readonly #unopened = new Map<string, Taken>();
  /** couriers that stop, by destination: until one has, nobody here takes its destination again */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #background: AsyncDisposable[] = [];
  /** aborted when there may be something to dispatch, and something to hold or drop */
  #outboxNews = new AbortController();
  #holdingNews = new AbortController();
  #stopping = false;
  #reopenAt = 0;
  #allPokedAt = -Infinity;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: RelayOptions) {
    const { database, clock, logger, concurrency, allowedAddresses } = options;
    this.#options = options;
    const guard = createGuard({ allow: allowedAddresses });
    this.#holdings = new Holdings({ ...options, onEnded: () => this.#holdingNews.abort() });
    this.#dispatcher = new Dispatcher(database, this.#holdings.worker);
    this.#recorder = new Recorder(options);
    this.#transforms = openTransforms({});
    this.#deps = {
      database,
      clock,
      logger,
      recorder: this.#recorder,
      transforms: this.#transforms,
      payloads: new Payloads(),
      guard,
      starts: new AttemptStarts(database),
      slots: new Slots(concurrency),
      now: () => this.#holdings.now(),
    };
  }

  async start(): Promise<void> {
    const { database } = this.#options;
    await this.#holdings.start();
    this.#background.push(
      await database.listen("tartan_outbox", () => this.#outboxNews.abort()),
      await database.listen("tartan_relay", () => this.#holdingNews.abort()),
      await database.listen("tartan_deliveries", (told) => this.#hear(told)),
      await startJobs(this.#options),
      await startSweep(this.#options),
    );
    this.#loops = Promise.all([this.#dispatching(), this.#holding()]);
  }

  /** Others have made deliveries: for the destinations that are told, or any. What this process made it knows better. */
  #hear(told: string): void {
    const [by = "", named = ""] = told.split(" ");
    if (by === this.#holdings.worker) return;
    // Anybody may notify; every destination is looked at once a second anyway.
    if (named === "" && performance.now() - this.#allPokedAt < ALL_AGAIN_MS) return;
    if (named === "") this.#allPokedAt = performance.now();
    for (const id of named === "" ? this.#couriers.keys() : named.split(",")) this.#couriers.get(id)?.poke();
  }

  async #dispatching(): Promise<void> {
    const { clock, logger, pollMs } = this.#options;
    while (!this.#stopping) {
      this.#outboxNews = new AbortController();
      try {
        const { rows, made } = await this.#dispatcher.dispatch();
        for (const [id, lanes] of made) this.#couriers.get(id)?.expect(lanes);
        if (rows > 0) continue;
      } catch (error) {
        logger.warn({ error }, "cannot dispatch events; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS);
        continue;
      }
      await clock.sleep(spread(pollMs), this.#outboxNews.signal);
    }
  }

  async #holding(): Promise<void> {
    const { clock, logger, pollMs } = this.#options;
    while (!this.#stopping) {
      this.#holdingNews = new AbortController();
      try {
        await this.#look();
        await this.#take();
      } catch (error) {
        logger.warn({ error }, "cannot look after the destinations; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS);
        continue;
      }
      await clock.sleep(spread(pollMs), this.#holdingNews.signal);
    }
  }

  /** Looks after what is held: drops what is gone, takes in changes, wakes those for whom something is due. */
  async #look(): Promise<void> {
    const unopened = [...this.#unopened.values()].map(({ destinationId: id, epoch }) => ({ id, epoch }));
    const looked = await this.#holdings.look([...this.#couriers.values(), ...unopened]);
    const changed: string[] = [];
    const reopen = performance.now() > this.#reopenAt;
    if (reopen) this.#reopenAt = performance.now() + REOPEN_MS;
    for (const state of looked) {
      const courier = this.#couriers.get(state.id);
      if (!courier) {
        if (isGone(state)) this.#unopened.delete(state.id);
      } else if (isGone(state)) this.#drop(courier);
      else if (state.version !== courier.version) changed.push(state.id);
      else if (state.due) courier.poke();
    }
    if (reopen) await this.#begin([...this.#unopened.values()]);
    for (const destination of await this.#open(changed)) {
      await this.#couriers.get(destination.id)?.change(destination);
    }
  }

  async #open(ids: readonly string[]) {
    const { database, vault, logger } = this.#options;
    if (ids.length === 0) return [];
    return await openDestinations(database, vault, ids, (destination_id, error) => {
      logger.error({ destination_id, error }, "a destination cannot be opened, so nothing is delivered to it");
    });
  }

  /** Takes what is free, or gives up what is more than the fair share. */
  async #take(): Promise<void> {
    const known = [...this.#couriers.keys(), ...this.#unopened.keys(), ...this.#leaving.keys()];
    const { fair, taken } = await this.#holdings.take(known);
    await this.#begin(taken);
    const surplus = [...this.#couriers.values()].slice(fair);
    for (const courier of surplus) this.#drop(courier);
  }

  /** Starts a courier for each; those that cannot be opened are tried again later. */
  async #begin(taken: readonly Taken[]): Promise<void> {
    const opened = new Map(
      (await this.#open(taken.map(({ destinationId }) => destinationId))).map((each) => [each.id, each]),
    );
    for (const each of taken) {
      const destination = opened.get(each.destinationId);
      if (!destination) {
        this.#unopened.set(each.destinationId, each);
        continue;
      }
      this.#unopened.delete(each.destinationId);
      const courier = new Courier(this.#deps, each, destination);
      this.#couriers.set(courier.id, courier);
      courier.start();
    }
  }

  /** Stops a courier in the background, and gives its destination back when nothing of it is under way any more. */
  #drop(courier: Courier, graceMs?: number): void {
    this.#couriers.delete(courier.id);
    const leaving = courier
      .stop(graceMs)
      .then(() => this.#holdings.giveBack(courier.id, courier.epoch, this.#deps.starts.leave(courier.id)))
      .catch((error: unknown) =>
        this.#options.logger.warn({ error }, "cannot give a destination back; it is taken anew"),
      )
      .finally(() => this.#leaving.delete(courier.id));
    this.#leaving.set(courier.id, leaving);
  }

  async idle(): Promise<void> {
    const { database, clock } = this.#options;
    for (;;) {
      const { rows } = await database.query<{ undispatched: number; due: number }>(BUSY);
      if (rows[0]?.undispatched === 0 && rows[0].due === 0) return;
      await clock.sleep(IDLE_POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#outboxNews.abort();
    this.#holdingNews.abort();
    await this.#loops;
    const stopMs = (this.#options.stopSeconds ?? 30) * 1000;
    for (const courier of this.#couriers.values()) this.#drop(courier, stopMs);
    const hurry = setTimeout(() => this.#recorder.hurry(), stopMs + RECORD_MS);
    await Promise.all(this.#leaving.values());
    clearTimeout(hurry);
    this.#recorder.hurry();
    for (const { destinationId, epoch } of this.#unopened.values()) {
      await this.#holdings.giveBack(destinationId, epoch, NO_ATTEMPTS).catch(() => undefined);
    }
    for (const each of this.#background.splice(0).toReversed()) await each[Symbol.asyncDispose]();
    await this.#recorder[Symbol.asyncDispose]();
    await this.#transforms[Symbol.asyncDispose]();
    await this.#holdings[Symbol.asyncDispose]();
  }
}

const isGone = ({ deleted, held, version }: Looked): boolean => deleted || !held || version === null;

/** Spread, so that idle processes do not all look at the same instant. */
const spread = (ms: number): number => ms - randomInt(Math.ceil(ms / 4));

/** Starts relaying; disposing finishes what is under way, or leaves it to others. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const worker = new Worker(options);
  await worker.start();
  return worker;
}
