/**
 * Runs the delivery workers of this process: one for each destination that it leases. Leases its fair share of the destinations,
 * loads them, and starts, changes and stops their workers.
 *
 *   leased ──loaded──▶ worker runs ──deleted, lost or more than the fair share──▶ stopping ──▶ released
 *      └──its secrets cannot be unsealed──▶ kept without a worker, and tried again every minute
 */
import type { Clock } from "../../clock.ts";
import type { Database } from "../../database/types.ts";
import { startWorkerLoop, type WorkerLoop } from "../../database/worker-loop.ts";
import type { Vault } from "../../integrations/vault.ts";
import type { Logger } from "../../logger.ts";
import { NO_PRESSURE, SOME, type Pressure } from "../../model/pressure.ts";
import { openTransforms, type Transforms } from "../content/transform.ts";
import { loadDestinations } from "../destinations/load-destinations.ts";
import { parseHint } from "../model/deliveries-hint.ts";
import type { LoadedDestination } from "../model/types.ts";
import { createGuard } from "../senders/http/guard.ts";
import { AttemptNotes, NO_ATTEMPTS } from "./attempt-notes.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { DeliveryWorker, type DeliveryWorkerDeps } from "./delivery-worker.ts";
import { DestinationLeases, type LeaseCheck, type LeasedDestination } from "./leases.ts";
import { PayloadMemory } from "./payloads.ts";
import { Recorder } from "./recorder.ts";

export interface DeliveryOptions {
  database: Database;
  vault: Vault;
  clock: Clock;
  logger: Logger;
  /** requests under way at the same time in this process */
  concurrency: number;
  leaseSeconds: number;
  /** how long stopping waits for the answers to requests under way; 30 by default, the longest timeout of a destination */
  stopSeconds?: number;
  pollMs: number;
  /** addresses and CIDR ranges that may be delivered to although they are not public */
  allowedAddresses: readonly string[];
  /** dispatch and deliveries give way to webhooks that wait for a commit in this process */
  pressure?: Pressure;
}

const STOP_S = 30;
/** While webhooks wait, a burst of deliveries begins this often, to one destination after the other. */
const BURST_EVERY_MS = 100;
/** How long a process that stops tries to record its last results while Postgres is away. */
const RECORD_MS = 5000;
/** Destinations that could not be loaded are tried again: an operator may have added the missing key. */
const RELOAD_MS = 60_000;
/** A hint that names no destination wakes every worker, at most this often: anybody may notify, and each polls anyway. */
const WAKE_ALL_MS = 1000;

export class DeliveryWorkers implements AsyncDisposable {
  readonly #options: DeliveryOptions;
  readonly #leases: DestinationLeases;
  readonly #recorder: Recorder;
  readonly #transforms: Transforms;
  readonly #deps: DeliveryWorkerDeps;
  readonly #workers = new Map<string, DeliveryWorker>();
  /** leased, but not loaded: their secrets are sealed with a key that this process does not have */
  readonly #unloaded = new Map<string, LeasedDestination>();
  /** workers that stop, by destination; this process does not lease the destination again before its worker has stopped */
  readonly #stopping = new Map<string, Promise<void>>();
  #listening: AsyncDisposable | undefined;
  #loop: WorkerLoop | undefined;
  #reloadAt = 0;
  #allWokenAt = -Infinity;

  constructor(options: DeliveryOptions) {
    const { database, clock, logger, concurrency, allowedAddresses, pressure = NO_PRESSURE } = options;
    this.#options = options;
    this.#leases = new DestinationLeases({ ...options, onEnded: () => this.#loop?.wake() });
    this.#recorder = new Recorder(options);
    this.#transforms = openTransforms({});
    this.#deps = {
      database,
      clock,
      logger,
      recorder: this.#recorder,
      transforms: this.#transforms,
      payloads: new PayloadMemory(),
      guard: createGuard({ allow: allowedAddresses }),
      notes: new AttemptNotes(database),
      limit: new ConcurrencyLimit(concurrency),
      now: () => this.#leases.now(),
      gate: pressure.gate({ worker: "deliveries", from: SOME, everyMs: BURST_EVERY_MS, rest: Infinity }),
    };
  }

  /** Names this process in hints about deliveries, so that it can ignore its own. */
  get workerId(): string {
    return this.#leases.workerId;
  }

  async start(): Promise<void> {
    const { database, clock, logger, pollMs } = this.#options;
    await this.#leases.start();
    this.#listening = await database.listen("tartan_deliveries", (payload) => this.#onHint(payload));
    const trouble = "cannot check the leased destinations; trying again";
    const channels = ["tartan_relay"];
    this.#loop = await startWorkerLoop({
      database,
      clock,
      logger,
      channels,
      pollMs,
      trouble,
      work: () => this.#look(),
    });
  }

  /** This process created deliveries: destinations with the ordering keys of their new deliveries, null for one without. */
  onCreated(created: ReadonlyMap<string, ReadonlySet<string | null>>): void {
    for (const [id, keys] of created) this.#workers.get(id)?.onCreated(keys);
  }

  /** Another process created or rescheduled deliveries. */
  #onHint(payload: string): void {
    const { by, destinations } = parseHint(payload);
    if (by === this.workerId) return;
    if (destinations === null && performance.now() - this.#allWokenAt < WAKE_ALL_MS) return;
    if (destinations === null) this.#allWokenAt = performance.now();
    for (const id of destinations ?? this.#workers.keys()) this.#workers.get(id)?.wake();
  }

  async #look(): Promise<boolean> {
    await this.#check();
    await this.#acquire();
    return false;
  }

  /** Checks the leases: stops the workers of lost and deleted destinations, changes those of changed ones, wakes those with due deliveries. */
  async #check(): Promise<void> {
    const unloaded = [...this.#unloaded.values()].map(({ destinationId: id, epoch }) => ({ id, epoch }));
    const checks = await this.#leases.check([...this.#workers.values(), ...unloaded]);
    const changed: string[] = [];
    const reload = performance.now() > this.#reloadAt;
    if (reload) this.#reloadAt = performance.now() + RELOAD_MS;
    for (const check of checks) {
      const worker = this.#workers.get(check.id);
      if (!worker) {
        if (isGone(check)) this.#unloaded.delete(check.id);
      } else if (isGone(check)) this.#stop(worker);
      else if (check.version !== worker.version) changed.push(check.id);
      else if (check.due) worker.wake();
    }
    if (reload) await this.#begin([...this.#unloaded.values()]);
    for (const destination of await this.#load(changed)) {
      await this.#workers.get(destination.id)?.change(destination);
    }
  }

  async #load(ids: readonly string[]): Promise<LoadedDestination[]> {
    const { database, vault, logger } = this.#options;
    if (ids.length === 0) return [];
    return await loadDestinations(database, vault, ids, (destination_id, error) => {
      logger.error(
        { destination_id, error },
        "the secrets of a destination cannot be unsealed, so nothing is delivered to it",
      );
    });
  }

  /** Leases free destinations, or stops the workers beyond the fair share. */
  async #acquire(): Promise<void> {
    const known = [...this.#workers.keys(), ...this.#unloaded.keys(), ...this.#stopping.keys()];
    const { fair, leased } = await this.#leases.acquire(known);
    await this.#begin(leased);
    const surplus = [...this.#workers.values()].slice(fair);
    for (const worker of surplus) this.#stop(worker);
  }

  /** Starts a worker for each destination that can be loaded. */
  async #begin(leased: readonly LeasedDestination[]): Promise<void> {
    const loaded = new Map(
      (await this.#load(leased.map(({ destinationId }) => destinationId))).map((each) => [each.id, each]),
    );
    for (const lease of leased) {
      const destination = loaded.get(lease.destinationId);
      if (!destination) {
        this.#unloaded.set(lease.destinationId, lease);
        continue;
      }
      this.#unloaded.delete(lease.destinationId);
      const worker = new DeliveryWorker(this.#deps, lease, destination);
      this.#workers.set(worker.id, worker);
      worker.start();
    }
  }

  /** Stops a worker in the background, and releases its destination when none of its attempts is under way any more. */
  #stop(worker: DeliveryWorker, graceMs?: number): void {
    this.#workers.delete(worker.id);
    const stopping = worker
      .stop(graceMs)
      .then(() => this.#leases.release(worker.id, worker.epoch, this.#deps.notes.leave(worker.id)))
      .catch((error: unknown) =>
        this.#options.logger.warn({ error }, "cannot release a destination; it is leased again later"),
      )
      .finally(() => this.#stopping.delete(worker.id));
    this.#stopping.set(worker.id, stopping);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop?.[Symbol.asyncDispose]();
    const stopMs = (this.#options.stopSeconds ?? STOP_S) * 1000;
    for (const worker of this.#workers.values()) this.#stop(worker, stopMs);
    const timer = setTimeout(() => this.#recorder.stopRetrying(), stopMs + RECORD_MS);
    await Promise.all(this.#stopping.values());
    clearTimeout(timer);
    this.#recorder.stopRetrying();
    for (const { destinationId, epoch } of this.#unloaded.values()) {
      await this.#leases.release(destinationId, epoch, NO_ATTEMPTS).catch(() => undefined);
    }
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#recorder[Symbol.asyncDispose]();
    await this.#transforms[Symbol.asyncDispose]();
    await this.#leases[Symbol.asyncDispose]();
  }
}

const isGone = ({ deleted, held, version }: LeaseCheck): boolean => deleted || !held || version === null;
