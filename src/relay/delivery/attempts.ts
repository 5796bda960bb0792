/**
 * Makes the attempts at deliveries of one destination. Each attempt is
 *
 *   built (payload loaded, rendered or transformed) ──▶ admitted (concurrency limit of the process) ──▶ noted
 *     ──▶ started (concurrency limit of the destination) ──▶ sent ──▶ recorded
 *
 * More attempts are noted than the destination may have under way, so that a commit with the notes of the next requests is made while the
 * present ones are sent.
 *
 * Before each step that follows a wait it checks again that the destination may still be sent to.
 */
import { setMaxListeners } from "node:events";
import type { Database } from "../../database/types.ts";
import { metrics } from "../../metrics.ts";
import type { Transforms } from "../content/transform.ts";
import type { Exchange, LoadedDestination } from "../model/types.ts";
import type { Guard } from "../senders/http/guard.ts";
import { openSender } from "../senders/registry.ts";
import type { Sender } from "../senders/sender.ts";
import type { AttemptNotes } from "./attempt-notes.ts";
import { classify, UNSENDABLE, type Classification } from "./classification.ts";
import type { ConcurrencyLimit, LimitUser } from "./concurrency-limit.ts";
import { resultOf } from "./delivery-result.ts";
import { DestinationHealth } from "./destination-health.ts";
import { DestinationLimit } from "./destination-limit.ts";
import type { LeasedDestination } from "./leases.ts";
import type { PayloadMemory } from "./payloads.ts";
import type { PrefetchedDelivery } from "./prefetcher.ts";
import type { Recorder, RecordOutcome } from "./recorder.ts";
import { RequestBuilder, type NoRequest } from "./request-builder.ts";

export interface AttemptDeps {
  database: Database;
  notes: AttemptNotes;
  recorder: Recorder;
  transforms: Transforms;
  payloads: PayloadMemory;
  guard: Guard;
  /** of requests under way in this process */
  limit: ConcurrencyLimit;
  /** the database's time, in milliseconds since 1970 */
  now(): number;
}

interface Sent {
  /** as it was when the attempt was made */
  destination: LoadedDestination;
  exchange: Exchange;
  sha256: Buffer;
}

/**
 * How long a noted attempt waits to be started. What waits is few, and the answers before it come fast; when they suddenly do not come, it gives
 * its place in the limit of the process back.
 */
const START_WITHIN_MS = 500;

export class DestinationAttempts implements AsyncDisposable {
  readonly health: DestinationHealth;
  /** when the last request ended, by performance.now(), and how long it took */
  lastAnswer = { at: -Infinity, tookMs: Infinity };
  readonly #deps: AttemptDeps;
  readonly #epoch: number;
  readonly #user: LimitUser;
  readonly #wake: () => void;
  readonly #cut = new AbortController();
  /** of requests under way at the destination */
  readonly #started = new DestinationLimit(() => this.#destination.concurrency);
  #destination: LoadedDestination;
  #sender: Sender;
  #builder: RequestBuilder;
  #stopping = false;
  #lost = false;

  /** @param wake called when the destination is lost, so that the worker looks again */
  constructor(
    deps: AttemptDeps,
    { epoch, health }: LeasedDestination,
    destination: LoadedDestination,
    user: LimitUser,
    wake: () => void,
  ) {
    this.#deps = deps;
    this.#epoch = epoch;
    this.#destination = destination;
    this.#user = user;
    this.#wake = wake;
    this.health = new DestinationHealth(health, () => deps.now());
    this.#sender = openSender(destination, deps);
    this.#builder = new RequestBuilder(destination, deps.transforms, deps.payloads);
    // Every exchange under way listens to it.
    setMaxListeners(0, this.#cut.signal);
  }

  get destination(): LoadedDestination {
    return this.#destination;
  }

  /** True after another worker leased the destination. */
  get lost(): boolean {
    return this.#lost;
  }

  /** True while the destination is paused or disabled. */
  get isClosed(): boolean {
    return this.#destination.paused || this.#destination.disabled;
  }

  /** For how long nothing may be sent; 0: send now. */
  heldMs(): number {
    return this.isClosed || this.#lost ? Infinity : this.health.heldMs();
  }

  /** Aborts when the attempts under way are cut short. */
  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  /** Uses the changed destination from now on. @returns the sender of the attempts under way, which the caller disposes */
  change(destination: LoadedDestination): Sender {
    const sender = this.#sender;
    this.#destination = destination;
    this.#sender = openSender(destination, this.#deps);
    this.#builder = new RequestBuilder(destination, this.#deps.transforms, this.#deps.payloads);
    this.#started.changed();
    return sender;
  }

  /** No attempt begins any more; those under way go on until `cut`. */
  stop(): void {
    this.#stopping = true;
    this.#started.cancelWaiting();
  }

  /** Ends the attempts under way; they are recorded as stopped, and the next worker makes them again. */
  cut(): void {
    this.#cut.abort();
  }

  /**
   * Makes an attempt at the delivery and records its result.
   * @param onAnswered called when the attempt is over or was not made; `sent`: whether a request left
   * @returns whether the delivery is finished
   */
  async deliver(delivery: PrefetchedDelivery, onAnswered: (sent: boolean) => void): Promise<boolean> {
    let made: Sent | NoRequest | null = null;
    try {
      made = await this.#attempt(delivery);
    } finally {
      onAnswered(made !== null && "exchange" in made);
    }
    if (made === null) return false;
    if ("cause" in made) {
      const unsendable = { ...UNSENDABLE, cause: made.cause, reason: made.detail };
      return (await this.#record(delivery, null, unsendable)) === "recorded";
    }
    const classification = classify(made.exchange, { schedule: made.destination.schedule, tries: delivery.tries });
    const outcome = await this.#record(delivery, made, classification);
    // An attempt that is not recorded was made all the same, so its note stays for the next worker.
    if (outcome !== "fenced") this.#deps.notes.finished(this.#destination.id, delivery.id);
    return outcome === "recorded" && classification.outcome !== "retry";
  }

  /** Makes an attempt, if one may still be made when its request is built and admitted. */
  async #attempt(delivery: PrefetchedDelivery): Promise<Sent | NoRequest | null> {
    const { database, limit, now } = this.#deps;
    const built = await this.#builder.buildBody(database, delivery, this.#epoch, this.#cut.signal);
    if (built === null || "cause" in built) return built;
    if (!this.#maySend() || !(await limit.acquire(this.#user))) return null;
    // Being admitted can take long. URL, keys and note are read together now, so that they belong to one version of the destination.
    const [destination, builder, sender] = [this.#destination, this.#builder, this.#sender];
    try {
      if (!this.#maySend()) return null;
      const isLate = await this.#note(delivery, destination);
      if (isLate === null || !(await this.#start(delivery, destination, isLate))) return null;
      try {
        const { body, sha256 } = built;
        const headers = builder.buildHeaders(delivery, body, now());
        const exchange = await sender.send({ headers, body, signal: this.#cut.signal });
        this.lastAnswer = { at: performance.now(), tookMs: exchange.durationMs };
        return { destination, exchange, sha256 };
      } finally {
        this.#started.release();
      }
    } finally {
      limit.release(this.#user);
    }
  }

  /** Waits until the destination may have one more request under way. @returns whether the noted attempt may still be made then */
  async #start({ id }: PrefetchedDelivery, destination: LoadedDestination, isLate: () => boolean): Promise<boolean> {
    const started = await this.#started.acquire(START_WITHIN_MS);
    // The destination may have been changed, or its circuit opened, by the answers for which this one waited.
    if (started && !isLate() && this.#maySend() && destination === this.#destination) return true;
    if (started) this.#started.release();
    this.#deps.notes.finished(destination.id, id);
    return false;
  }

  #maySend(): boolean {
    return !this.#stopping && this.heldMs() === 0;
  }

  /** Notes the attempt. @returns null if it may not be made, else whether it is too late by now */
  async #note(
    { id, attempts, jobId }: PrefetchedDelivery,
    destination: LoadedDestination,
  ): Promise<(() => boolean) | null> {
    const { answer, isLate } = await this.#deps.notes.note({
      destinationId: destination.id,
      epoch: this.#epoch,
      deliveryId: id,
      jobId,
      number: attempts + 1,
      url: destination.url,
      timeoutMs: destination.timeoutMs,
    });
    if (answer === "lost") this.#lose();
    return answer === "noted" ? isLate : null;
  }

  #lose(): void {
    this.#lost = true;
    this.#wake();
  }

  /** @param sent null where no attempt was made */
  async #record(
    delivery: PrefetchedDelivery,
    sent: Sent | null,
    classification: Classification,
  ): Promise<RecordOutcome> {
    const { recorder, now } = this.#deps;
    const { outcome } = classification;
    const { destination, exchange, sha256 } = sent ?? { destination: this.#destination, exchange: null, sha256: null };
    const about = { delivery, destination, epoch: this.#epoch, health: this.health, now: now() };
    const result = resultOf({ ...about, exchange, classification, sha256 });
    if (result.disable !== null) this.#destination = { ...this.#destination, disabled: true };
    metrics.deliveries.inc({ outcome });
    if (exchange) metrics.deliverySeconds.observe(exchange.durationMs / 1000);
    if (outcome === "delivered") metrics.deliveryLagSeconds.observe((now() - delivery.occurredAt.getTime()) / 1000);
    const recorded = await recorder.record(result);
    if (recorded === "fenced") this.#lose();
    return recorded;
  }

  /** Stores the health if that was not done. */
  async keepHealth(): Promise<void> {
    const health = this.health.takeUnkept();
    if (health === null) return;
    await this.#deps.recorder.keep({ destinationId: this.#destination.id, epoch: this.#epoch, health });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keepHealth();
    await this.#sender[Symbol.asyncDispose]();
  }
}
