/**
 * Delivers to one destination while this process leases it: takes due deliveries in order, sends them within the destination's
 * rate and concurrency limits, and records each result.
 *
 *   idle ──woken──▶ sending ──nothing due──▶ idle
 *    ▲                └──paused, disabled, circuit open, asked to wait──▶ holding ──over──▶ sending
 *
 * Deliveries that become due while it holds stay scheduled in the table and are sent in order afterwards. A delivery counts
 * towards the destination's concurrency and rate until its answer (attempts.ts has its steps).
 */
import type { Clock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Logger } from "../../logger.ts";
import type { Gate } from "../../model/pressure.ts";
import type { LoadedDestination } from "../model/types.ts";
import { DestinationAttempts, type AttemptDeps } from "./attempts.ts";
import type { LeasedDestination } from "./leases.ts";
import { DeliveryPrefetcher, type PrefetchedDelivery } from "./prefetcher.ts";
import { createRateLimiter, type RateLimiter } from "./rate-limiter.ts";

export interface DeliveryWorkerDeps extends AttemptDeps {
  clock: Clock;
  logger: Logger;
  /** bursts of deliveries take turns at it, of all destinations */
  gate: Gate;
}

const TROUBLE_PAUSE_MS = 1000;
/** Given to each abort: without a reason Node creates an error, with its stack. */
const WOKEN = "woken";
/** Deliveries that are sent or recorded at a time, in multiples of the concurrency: recording may lag, but not far. */
const AT_ONCE = 4;
const SLEEP_MAX_MS = 60_000;
/** Deliveries that begin together while webhooks wait: their notes and records share commits. */
const BURST = 16;
/** Attempts are noted ahead where answers take no longer than this, and one came within it. */
const AHEAD_MS = 100;

export class DeliveryWorker {
  readonly id: string;
  readonly epoch: number;
  readonly #deps: DeliveryWorkerDeps;
  readonly #prefetcher: DeliveryPrefetcher;
  readonly #attempts: DestinationAttempts;
  #rateLimiter: RateLimiter | null;
  /** deliveries that are being sent or recorded */
  readonly #underWay = new Set<Promise<void>>();
  /** those of them without an answer */
  #unanswered = 0;
  /** deliveries that may still begin in this burst */
  #burst = 0;
  readonly #stopSignal = new AbortController();
  #stopping = false;
  #hint = new AbortController();
  #waking = false;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: DeliveryWorkerDeps, lease: LeasedDestination, destination: LoadedDestination) {
    this.id = destination.id;
    this.epoch = lease.epoch;
    this.#deps = deps;
    this.#prefetcher = new DeliveryPrefetcher(deps.database, destination.id, deps.payloads);
    this.#attempts = new DestinationAttempts(deps, lease, destination, this, () => this.#wake());
    this.#rateLimiter = this.#newRateLimiter(lease.epoch > 1);
    deps.limit.join(this);
  }

  get version(): number {
    return this.#attempts.destination.version;
  }

  get concurrency(): number {
    return this.#attempts.destination.concurrency;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Looks for deliveries that are due. */
  wake(): void {
    this.#prefetcher.wake();
    this.#wake();
  }

  /** Deliveries were created with these ordering keys; null: without one. */
  onCreated(keys: Iterable<string | null>): void {
    this.#prefetcher.onCreated(keys);
    this.#wake();
  }

  /** The destination was changed. */
  async change(destination: LoadedDestination): Promise<void> {
    const before = this.#attempts.destination;
    if (JSON.stringify(destination) === JSON.stringify(before)) return;
    const wasClosed = this.#attempts.isClosed;
    const sender = this.#attempts.change(destination);
    this.#deps.limit.changed();
    if (JSON.stringify(before.rate) !== JSON.stringify(destination.rate)) {
      this.#rateLimiter = this.#newRateLimiter(true);
    }
    this.#prefetcher.discard();
    void Promise.allSettled(this.#underWay).then(() => sender[Symbol.asyncDispose]());
    this.#wake();
    if (destination.version === before.version || this.#attempts.isClosed) return;
    await this.#reset(wasClosed || destination.url !== before.url);
  }

  /** An operator resumed, enabled or changed the destination, which closes its circuit. */
  async #reset(all: boolean): Promise<void> {
    this.#attempts.health.reset(all);
    this.wake();
    await this.#attempts.keepHealth();
  }

  /**
   * Stops, and waits for the attempts under way unless another worker has the destination.
   * @param graceMs afterwards attempts are cut short and recorded as stopped; the next worker makes them again
   */
  async stop(graceMs = this.#attempts.destination.timeoutMs): Promise<void> {
    this.#stopping = true;
    this.#stopSignal.abort(WOKEN);
    this.#attempts.stop();
    this.#deps.limit.cancelWaiting(this);
    this.#wake();
    await this.#running;
    const timer = setTimeout(() => this.#attempts.cut(), this.#attempts.lost ? 0 : graceMs);
    await Promise.allSettled(this.#underWay);
    clearTimeout(timer);
    this.#deps.limit.leave(this);
    await this.#attempts[Symbol.asyncDispose]();
  }

  /** @param exhausted another worker, or this one under another limit, may just have sent as many as allowed */
  #newRateLimiter(exhausted: boolean): RateLimiter | null {
    const { rate } = this.#attempts.destination;
    if (rate === null) return null;
    const limiter = createRateLimiter(rate);
    if (exhausted) limiter.exhaust(performance.now());
    return limiter;
  }

  /** Wakes once for all calls of one turn of the event loop, so that the attempts that follow share a note. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#hint.abort(WOKEN);
    });
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    const { health } = this.#attempts;
    while (!this.#stopping) {
      this.#hint = new AbortController();
      let waitMs: number;
      try {
        waitMs = await this.#turn();
      } catch (error) {
        logger.warn({ error, destination_id: this.id }, "cannot look for due deliveries; trying again");
        waitMs = TROUBLE_PAUSE_MS;
      }
      if (this.#stopping) return;
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, health.keepInMs(), SLEEP_MAX_MS), this.#hint.signal);
      if (health.keepInMs() <= 0) await this.#attempts.keepHealth();
    }
  }

  /** Sends what may be sent. @returns in how many milliseconds to look again, unless it is woken before */
  async #turn(): Promise<number> {
    while (!this.#stopping) {
      const heldMs = this.#attempts.heldMs();
      if (heldMs > 0) {
        this.#prefetcher.discard();
        return heldMs;
      }
      const { concurrency } = this;
      const atOnce = this.#attempts.health.probing ? 1 : concurrency + this.#ahead();
      if (this.#unanswered >= atOnce || this.#underWay.size >= AT_ONCE * concurrency) return Infinity;
      if (this.#burst === 0) await this.#enter();
      if (this.#stopping) return 0;
      const delivery = await this.#prefetcher.next(Math.max(16, 2 * atOnce));
      if (delivery === null) return Infinity;
      // The destination may have changed while the prefetcher waited for Postgres.
      const held = this.#stopping || this.#attempts.heldMs() > 0;
      const waitMs = held ? 0 : (this.#rateLimiter?.waitMs(performance.now()) ?? 0);
      if (!held && waitMs === 0) {
        this.#send(delivery);
        continue;
      }
      this.#prefetcher.unshift(delivery);
      if (!held) return waitMs;
    }
    return 0;
  }

  /** Waits until a burst may begin: at once, unless webhooks wait. */
  async #enter(): Promise<void> {
    await this.#deps.gate.pass(async () => {
      this.#burst = BURST;
    }, this.#stopSignal.signal);
  }

  /**
   * How many attempts may be noted beyond the concurrency. A note allows its attempt for a short time, and an operator who cancels a delivery
   * expects that it is not sent, so none are noted ahead for a destination that answers slowly or has a rate.
   */
  #ahead(): number {
    const { lastAnswer } = this.#attempts;
    const isFast = lastAnswer.tookMs <= AHEAD_MS && performance.now() - lastAnswer.at <= AHEAD_MS;
    return isFast && this.#rateLimiter === null ? this.concurrency : 0;
  }

  #send(delivery: PrefetchedDelivery): void {
    this.#burst -= 1;
    // Reserved before anything is awaited, so that no other delivery uses the same place.
    this.#rateLimiter?.reserve();
    this.#unanswered += 1;
    const sending = this.#deliver(delivery, this.#rateLimiter).finally(() => {
      this.#underWay.delete(sending);
      this.#wake();
    });
    this.#underWay.add(sending);
  }

  /** Never rejects. */
  async #deliver(delivery: PrefetchedDelivery, limiter: RateLimiter | null): Promise<void> {
    const { clock, logger } = this.#deps;
    let finished = false;
    try {
      finished = await this.#attempts.deliver(delivery, (sent) => this.#onAnswered(limiter, sent));
    } catch (error) {
      const about = { error, delivery_id: delivery.id, destination_id: this.id };
      logger[isPassing(error) ? "warn" : "error"](about, "a delivery could not be made; trying again");
      // The delivery stays scheduled and is fetched again.
      await clock.sleep(TROUBLE_PAUSE_MS, this.#attempts.signal);
    }
    this.#prefetcher.done(delivery, finished);
  }

  #onAnswered(limiter: RateLimiter | null, sent: boolean): void {
    this.#unanswered -= 1;
    const now = performance.now();
    if (sent) limiter?.answered(now);
    else limiter?.unreserve();
    // A request sent under an earlier limiter is unknown to the current one.
    if (sent && limiter !== this.#rateLimiter) this.#rateLimiter?.exhaust(now);
    this.#wake();
  }
}
