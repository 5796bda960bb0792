/**
 * Delivers to one destination, for as long as this process holds it: takes what is due in its order, at its pace, so many at
 * a time, and records what came of each.
 *
 *   idle ──news──▶ sending ──nothing due──▶ idle
 *    ▲                └──paused, disabled, open, asked to wait──▶ holding ──over──▶ sending
 *
 * What is due while it holds stays where it is, in the table, and is sent in order afterwards.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../../clock.ts";
import type { Database } from "../../database/types.ts";
import { isOperatorEvent } from "../../journal/event-types.ts";
import type { NewEvent } from "../../journal/events.ts";
import type { Logger } from "../../logger.ts";
import { metrics } from "../../metrics.ts";
import { Backlog, type Fetched } from "./backlog.ts";
import { admission, afterAttempts, halfOpened, heldUntil, relieved, type Health } from "./breaker.ts";
import { openSender, type Sender } from "../http/exchange.ts";
import type { Guard } from "../http/guard.ts";
import type { Taken } from "../holdings.ts";
import { aboutDelivery, aboutDestination } from "./operator-events.ts";
import { createPace, type Pace } from "./pace.ts";
import type { Payloads } from "./payloads.ts";
import { Packer, type Packed, type Unpackable } from "./packer.ts";
import { KEEP_HEALTH } from "../queries/couriers.ts";
import type { Heard, Recorder } from "./recorder.ts";
import type { Slots } from "./slots.ts";
import type { Transforms } from "../content/transform.ts";
import type { Exchange, OpenDestination } from "../types.ts";
import { judge, UNPACKED, type Verdict } from "./verdict.ts";

export interface CourierDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  recorder: Recorder;
  transforms: Transforms;
  payloads: Payloads;
  guard: Guard;
  /** how many may be under way in this process */
  slots: Slots;
  /** whether nobody else can hold the destination by now */
  safe(): boolean;
}

/** How a destination fares is kept at once when it fares worse, and else not more often than this. */
const KEEP_HEALTH_MS = 5000;
const TROUBLE_PAUSE_MS = 1000;

export class Courier {
  readonly id: string;
  readonly epoch: number;
  readonly #deps: CourierDeps;
  readonly #backlog: Backlog;
  #destination: OpenDestination;
  #health: Health;
  #sender: Sender;
  #packer: Packer;
  #pace: Pace | null;
  #keptAt = 0;
  readonly #underWay = new Set<Promise<void>>();
  readonly #giveUp = new AbortController();
  #stopping = false;
  #lost = false;
  #news = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: CourierDeps, { epoch, health }: Taken, destination: OpenDestination) {
    this.id = destination.id;
    this.epoch = epoch;
    this.#deps = deps;
    this.#destination = destination;
    this.#health = health;
    this.#backlog = new Backlog(deps.database, destination.id, deps.payloads);
    this.#sender = openSender({ ...destination, guard: deps.guard });
    this.#packer = new Packer(destination, deps.transforms, deps.payloads);
    this.#pace = this.#newPace(epoch > 1);
    // Every exchange under way listens to it.
    setMaxListeners(0, this.#giveUp.signal);
  }

  /** whether it takes nothing now, by somebody's decision */
  get closed(): boolean {
    return this.#destination.paused || this.#destination.disabled;
  }

  get version(): number {
    return this.#destination.version;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Anything may be due. */
  poke(): void {
    this.#backlog.poke();
    this.#wake();
  }

  /** Deliveries were just made: in these lanes, or, as null has it, outside of them. */
  expect(lanes: Iterable<string | null>): void {
    this.#backlog.expect(lanes);
    this.#wake();
  }

  /** A slot is free. */
  resume(): void {
    this.#wake();
  }

  /** The destination was changed. */
  change(destination: OpenDestination): void {
    if (JSON.stringify(destination) === JSON.stringify(this.#destination)) return;
    const before = this.#sender;
    const paced = JSON.stringify(this.#destination.rate) === JSON.stringify(destination.rate);
    this.#destination = destination;
    this.#sender = openSender({ ...destination, guard: this.#deps.guard });
    this.#packer = new Packer(destination, this.#deps.transforms, this.#deps.payloads);
    if (!paced) this.#pace = this.#newPace(true);
    this.#backlog.drop();
    void Promise.allSettled(this.#underWay).then(() => before[Symbol.asyncDispose]());
    this.#wake();
  }

  /** Somebody enabled or mended it: it need not wait any longer. */
  async relieve(): Promise<void> {
    this.#health = relieved(this.#health);
    this.poke();
    const kept = [{ destination_id: this.id, epoch: this.epoch, ...this.#health }];
    await this.#deps.database.query(KEEP_HEALTH, [JSON.stringify(kept)]);
  }

  /**
   * Stops; what is under way is waited for, unless the destination is lost.
   * @param graceMs after so long it is given up, and delivered again by whoever comes next
   */
  async stop(graceMs = this.#destination.timeoutMs): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    const timer = setTimeout(() => this.#giveUp.abort(), this.#lost ? 0 : graceMs);
    await Promise.allSettled(this.#underWay);
    clearTimeout(timer);
    await this.#sender[Symbol.asyncDispose]();
  }

  /** @param sent whether others, or another pace, may just have sent as many as they were allowed to */
  #newPace(sent: boolean): Pace | null {
    const { rate } = this.#destination;
    if (rate === null) return null;
    const pace = createPace(rate);
    if (sent) pace.fill(performance.now());
    return pace;
  }

  #wake(): void {
    this.#news.abort();
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    while (!this.#stopping) {
      this.#news = new AbortController();
      let waitMs: number;
      try {
        waitMs = await this.#turn();
      } catch (error) {
        logger.warn({ error, destination_id: this.id }, "cannot look for due deliveries; trying again");
        waitMs = TROUBLE_PAUSE_MS;
      }
      if (this.#stopping) return;
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, 60_000), this.#news.signal);
    }
  }

  /** Sends what can be sent. @returns in how many milliseconds to look again, if no news come before */
  async #turn(): Promise<number> {
    const { slots } = this.#deps;
    while (!this.#stopping) {
      const heldMs = this.#heldMs();
      if (heldMs > 0) {
        this.#backlog.drop();
        return heldMs;
      }
      const atOnce = this.#health.breaker === "half_open" ? 1 : this.#destination.concurrency;
      if (this.#underWay.size >= atOnce) return Infinity;
      const delivery = await this.#backlog.next(Math.max(16, 2 * atOnce));
      if (delivery === null) return Infinity;
      // Fetching took its time; what has changed meanwhile counts.
      const waitMs = this.#heldMs() > 0 ? 0 : (this.#pace?.waitMs(performance.now()) ?? 0);
      if (waitMs > 0 || this.#heldMs() > 0 || !slots.take(this)) {
        this.#backlog.unshift(delivery);
        if (this.#heldMs() > 0) continue;
        return waitMs > 0 ? waitMs : Infinity;
      }
      this.#send(delivery);
    }
    return 0;
  }

  /** For how long nothing may be sent; 0 when something may. A breaker whose time is over lets one through. */
  #heldMs(): number {
    if (this.#destination.paused || this.#destination.disabled || this.#lost) return Infinity;
    if (!this.#deps.safe()) return TROUBLE_PAUSE_MS;
    const now = this.#deps.clock.now();
    const admitted = admission(this.#health, new Date(now));
    if (admitted === "none") return (this.#health.hold_until?.getTime() ?? now) - now;
    if (admitted === "probe") this.#health = halfOpened(this.#health);
    return 0;
  }

  #send(delivery: Fetched): void {
    const sending = this.#sendOne(delivery).finally(() => {
      this.#underWay.delete(sending);
      this.#deps.slots.give();
      this.#wake();
    });
    this.#underWay.add(sending);
  }

  /** Never rejects. */
  async #sendOne(delivery: Fetched): Promise<void> {
    const { clock, logger } = this.#deps;
    let finished = false;
    try {
      finished = await this.#deliver(delivery, this.#pace);
    } catch (error) {
      const about = { error, delivery_id: delivery.id, destination_id: this.id };
      logger.error(about, "a delivery could not be made for a reason nobody foresaw; trying again");
      // It stays scheduled and is fetched again at once.
      await clock.sleep(TROUBLE_PAUSE_MS, this.#giveUp.signal);
    }
    this.#backlog.done(delivery, finished);
  }

  /** @returns whether the delivery is finished */
  async #deliver(delivery: Fetched, pace: Pace | null): Promise<boolean> {
    const packed = await this.#pack(delivery, pace);
    // Packing may have taken long, and much may have changed.
    if (packed === null) return false;
    if ("cause" in packed) {
      await this.#record(delivery, null, { ...UNPACKED, cause: packed.cause, reason: packed.detail }, null);
      return true;
    }
    const exchange = await this.#sender.send({ ...packed, signal: this.#giveUp.signal });
    pace?.done(performance.now());
    if (exchange.cause === "stopped") return false;
    const { schedule } = this.#destination;
    const verdict = judge(exchange, { schedule, tries: delivery.tries });
    await this.#record(delivery, exchange, verdict, packed.sha256);
    return verdict.kind !== "retry" && !this.#lost;
  }

  /** The place in the pace is taken before anything is awaited, so that nobody else takes it meanwhile. */
  async #pack(delivery: Fetched, pace: Pace | null): Promise<Packed | Unpackable | null> {
    pace?.took();
    let sent = false;
    try {
      const packed = await this.#packer.pack(this.#deps.database, delivery, this.epoch, this.#giveUp.signal);
      if (packed === null || this.#lost || !this.#deps.safe()) return null;
      sent = !("cause" in packed);
      return packed;
    } finally {
      if (!sent) pace?.spared();
    }
  }

  async #record(delivery: Fetched, exchange: Exchange | null, verdict: Verdict, sha256: Buffer | null): Promise<void> {
    const events = exchange === null ? [] : this.#judgeHealth(exchange, verdict);
    const told = aboutDelivery(delivery, this.id, exchange, verdict);
    // What is said of an operator's event would be another one, and so on.
    const quiet = isOperatorEvent(delivery.eventType);
    const disable = verdict.disable ?? (events.some(({ type }) => type === "destination.disabled") ? "failing" : null);
    const heard: Heard = await this.#deps.recorder.record({
      deliveryId: delivery.id,
      destinationId: this.id,
      epoch: this.epoch,
      number: exchange === null ? null : delivery.attempts + 1,
      exchange,
      url: this.#destination.url,
      jobId: delivery.jobId,
      verdict: verdict.kind,
      cause: verdict.cause,
      detail: exchange === null ? verdict.reason : null,
      dueInMs: verdict.dueInMs,
      sha256,
      health: exchange === null ? null : this.#healthToKeep(verdict, events),
      disable,
      events: [...events, ...(quiet ? [] : told)],
    });
    metrics.deliveries.inc({ outcome: verdict.kind });
    if (exchange) metrics.deliverySeconds.observe(exchange.durationMs / 1000);
    if (verdict.kind === "delivered") {
      metrics.deliveryLagSeconds.observe((this.#deps.clock.now() - delivery.occurredAt.getTime()) / 1000);
    }
    if (heard === "fenced") this.#lost = true;
  }

  /** Takes an attempt into account. @returns what operators are told of it */
  #judgeHealth(exchange: Exchange, verdict: Verdict): NewEvent[] {
    const at = new Date(exchange.startedAt.getTime() + exchange.durationMs);
    const failed = verdict.kind !== "delivered";
    const before = this.#health;
    const { health, events } = afterAttempts(before, [{ failed, at, cause: verdict.cause }], this.#destination);
    this.#health =
      verdict.holdMs === null ? health : heldUntil(health, new Date(this.#deps.clock.now() + verdict.holdMs));
    const destination = this.#destination;
    // What was under way may say so too; it is told once, and nothing more is sent from now on.
    const disable = destination.disabled ? null : verdict.disable;
    if (disable !== null || events.includes("disabled")) this.#destination = { ...destination, disabled: true };
    return aboutDestination(this.id, before, this.#health, events, disable, destination);
  }

  #healthToKeep({ kind }: Verdict, events: readonly NewEvent[]): Health | null {
    const now = performance.now();
    if (kind === "delivered" && events.length === 0 && now - this.#keptAt < KEEP_HEALTH_MS) return null;
    this.#keptAt = now;
    return this.#health;
  }
}
