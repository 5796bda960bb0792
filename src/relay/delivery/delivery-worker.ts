/**
 * Delivers to one destination, for as long as this process holds it: takes what is due in its order, at its pace, so many at
 * a time, and records what came of each.
 *
 *   idle ──news──▶ sending ──nothing due──▶ idle
 *    ▲                └──paused, disabled, open, asked to wait──▶ holding ──over──▶ sending
 *
 * What is due while it holds stays where it is, in the table, and is sent in order afterwards. Each delivery goes
 *
 *   fetched ──▶ prepared (read, transformed) ──▶ noted as begun ──▶ sent ──▶ recorded
 *
 * It has its place in the destination's concurrency and rate until its answer, and a slot of the process from its note to its
 * answer only.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../../clock.ts";
import { isPassing } from "../../database/failures.ts";
import type { Database } from "../../database/types.ts";
import type { Logger } from "../../logger.ts";
import { metrics } from "../../metrics.ts";
import type { AttemptStarts } from "./attempt-notes.ts";
import { Backlog, type Fetched } from "./prefetcher.ts";
import { DestinationHealth } from "./destination-health.ts";
import { openSender, type Sender } from "../senders/http/http-sender.ts";
import type { Guard } from "../senders/http/guard.ts";
import type { Taken } from "./leases.ts";
import { createPace, type Pace } from "./rate-limiter.ts";
import type { Payloads } from "./payloads.ts";
import { Packer, type Unpackable } from "./request-builder.ts";
import { resultOf } from "./delivery-result.ts";
import type { Heard, Recorder } from "./recorder.ts";
import type { Slots } from "./concurrency-limit.ts";
import type { Transforms } from "../content/transform.ts";
import type { Exchange, OpenDestination } from "../model/types.ts";
import { judge, UNPACKED, type Verdict } from "./classification.ts";

export interface CourierDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  starts: AttemptStarts;
  recorder: Recorder;
  transforms: Transforms;
  payloads: Payloads;
  guard: Guard;
  /** how many may be under way in this process */
  slots: Slots;
  /** the database's time, in milliseconds since 1970 */
  now(): number;
}

const TROUBLE_PAUSE_MS = 1000;
/** Where no reason is given, Node makes an error for each abort. */
const NEWS = "news";
/** What is sent and recorded at a time, in multiples of the concurrency: recording may lag behind, but not far. */
const AT_ONCE = 4;

export class Courier {
  readonly id: string;
  readonly epoch: number;
  readonly #deps: CourierDeps;
  readonly #backlog: Backlog;
  readonly #health: DestinationHealth;
  #destination: OpenDestination;
  #sender: Sender;
  #packer: Packer;
  #pace: Pace | null;
  readonly #underWay = new Set<Promise<void>>();
  /** of those: not answered yet */
  #unanswered = 0;
  readonly #giveUp = new AbortController();
  #stopping = false;
  #lost = false;
  #news = new AbortController();
  #waking = false;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: CourierDeps, { epoch, health }: Taken, destination: OpenDestination) {
    this.id = destination.id;
    this.epoch = epoch;
    this.#deps = deps;
    this.#destination = destination;
    this.#health = new DestinationHealth(health, () => deps.now());
    this.#backlog = new Backlog(deps.database, destination.id, deps.payloads);
    this.#sender = openSender({ ...destination, guard: deps.guard });
    this.#packer = new Packer(destination, deps.transforms, deps.payloads);
    this.#pace = this.#newPace(epoch > 1);
    // Every exchange under way listens to it.
    setMaxListeners(0, this.#giveUp.signal);
    deps.slots.join(this);
  }

  get version(): number {
    return this.#destination.version;
  }

  get concurrency(): number {
    return this.#destination.concurrency;
  }

  /** whether it takes nothing now, by somebody's decision */
  get #closed(): boolean {
    return this.#destination.paused || this.#destination.disabled;
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

  /** The destination was changed. */
  async change(destination: OpenDestination): Promise<void> {
    const before = this.#destination;
    if (JSON.stringify(destination) === JSON.stringify(before)) return;
    const closed = this.#closed;
    const sender = this.#sender;
    this.#destination = destination;
    this.#deps.slots.changed();
    this.#sender = openSender({ ...destination, guard: this.#deps.guard });
    this.#packer = new Packer(destination, this.#deps.transforms, this.#deps.payloads);
    if (JSON.stringify(before.rate) !== JSON.stringify(destination.rate)) this.#pace = this.#newPace(true);
    this.#backlog.drop();
    void Promise.allSettled(this.#underWay).then(() => sender[Symbol.asyncDispose]());
    this.#wake();
    if (destination.version === before.version || this.#closed) return;
    await this.#relieve(closed || destination.url !== before.url);
  }

  /** Somebody resumed, enabled or changed it: a circuit that is open is closed. */
  async #relieve(all: boolean): Promise<void> {
    this.#health.relieve(all);
    this.poke();
    await this.#keepHealth();
  }

  async #keepHealth(): Promise<void> {
    const health = this.#health.takeAll();
    if (health !== null) await this.#deps.recorder.keep({ destinationId: this.id, epoch: this.epoch, health });
  }

  /**
   * Stops; what is under way is waited for, unless the destination is lost.
   * @param graceMs after so long it is cut; the attempt is recorded so, and made again by the next holder
   */
  async stop(graceMs = this.#destination.timeoutMs): Promise<void> {
    this.#stopping = true;
    this.#deps.slots.dismiss(this);
    this.#wake();
    await this.#running;
    const timer = setTimeout(() => this.#giveUp.abort(), this.#lost ? 0 : graceMs);
    await Promise.allSettled(this.#underWay);
    clearTimeout(timer);
    this.#deps.slots.leave(this);
    await this.#keepHealth();
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

  /** What happens in the same round of the event loop is looked at once, so that what it sends shares a note. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#news.abort(NEWS);
    });
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
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, this.#health.keepInMs(), 60_000), this.#news.signal);
      if (this.#health.keepInMs() <= 0) await this.#keepHealth();
    }
  }

  /** Sends what can be sent. @returns in how many milliseconds to look again, if no news come before */
  async #turn(): Promise<number> {
    while (!this.#stopping) {
      const heldMs = this.#heldMs();
      if (heldMs > 0) {
        this.#backlog.drop();
        return heldMs;
      }
      const { concurrency } = this.#destination;
      const atOnce = this.#health.probing ? 1 : concurrency;
      if (this.#unanswered >= atOnce || this.#underWay.size >= AT_ONCE * concurrency) return Infinity;
      const delivery = await this.#backlog.next(Math.max(16, 2 * atOnce));
      if (delivery === null) return Infinity;
      // Fetching took its time; what has changed meanwhile counts.
      const held = this.#stopping || this.#heldMs() > 0;
      const waitMs = held ? 0 : (this.#pace?.waitMs(performance.now()) ?? 0);
      if (!held && waitMs === 0) {
        this.#send(delivery);
        continue;
      }
      this.#backlog.unshift(delivery);
      if (!held) return waitMs;
    }
    return 0;
  }

  /** For how long nothing may be sent; 0 when something may. */
  #heldMs(): number {
    return this.#closed || this.#lost ? Infinity : this.#health.heldMs();
  }

  #send(delivery: Fetched): void {
    // Its place is taken before anything is awaited, so that nothing else takes it meanwhile.
    this.#pace?.took();
    this.#unanswered += 1;
    const following = this.#follow(delivery, this.#pace).finally(() => {
      this.#underWay.delete(following);
      this.#wake();
    });
    this.#underWay.add(following);
  }

  /** Never rejects. */
  async #follow(delivery: Fetched, pace: Pace | null): Promise<void> {
    const { clock, logger } = this.#deps;
    let finished = false;
    try {
      finished = await this.#deliver(delivery, pace);
    } catch (error) {
      const about = { error, delivery_id: delivery.id, destination_id: this.id };
      logger[isPassing(error) ? "warn" : "error"](about, "a delivery could not be made; trying again");
      // It stays scheduled and is fetched again.
      await clock.sleep(TROUBLE_PAUSE_MS, this.#giveUp.signal);
    }
    this.#backlog.done(delivery, finished);
  }

  /** @returns whether the delivery is finished */
  async #deliver(delivery: Fetched, pace: Pace | null): Promise<boolean> {
    let made: Made | Unpackable | null = null;
    try {
      made = await this.#attempt(delivery);
    } finally {
      this.#unanswered -= 1;
      this.#settlePace(pace, made !== null && "exchange" in made);
      this.#wake();
    }
    if (made === null) return false;
    if ("cause" in made) {
      const unpacked = { ...UNPACKED, cause: made.cause, reason: made.detail };
      return (await this.#record(delivery, null, unpacked)) === "recorded";
    }
    const verdict = judge(made.exchange, { schedule: made.destination.schedule, tries: delivery.tries });
    const heard = await this.#record(delivery, made, verdict);
    // What is not recorded was made all the same: the next holder has to know of it.
    if (heard !== "fenced") this.#deps.starts.finished(this.id, delivery.id);
    return heard === "recorded" && verdict.kind !== "retry";
  }

  /** Makes an attempt, if one may still be made when it is prepared and has its slot. */
  async #attempt(delivery: Fetched): Promise<Made | Unpackable | null> {
    const { database, slots, now } = this.#deps;
    const prepared = await this.#packer.prepare(database, delivery, this.epoch, this.#giveUp.signal);
    if (prepared === null || "cause" in prepared) return prepared;
    if (!this.#mayGoOn() || !(await slots.acquire(this))) return null;
    // Waiting for the slot can take long. What is true by now is taken together: where it goes, its keys, and what is noted.
    const [destination, packer, sender] = [this.#destination, this.#packer, this.#sender];
    try {
      if (!this.#mayGoOn() || !(await this.#begin(delivery, destination))) return null;
      const { body, sha256 } = prepared;
      const headers = packer.headersOf(delivery, body, now());
      return { destination, exchange: await sender.send({ headers, body, signal: this.#giveUp.signal }), sha256 };
    } finally {
      slots.give(this);
    }
  }

  #mayGoOn(): boolean {
    return !this.#stopping && this.#heldMs() === 0;
  }

  /** Notes the attempt. @returns whether it may be made */
  async #begin({ id, attempts, jobId }: Fetched, { url, timeoutMs }: OpenDestination): Promise<boolean> {
    const answer = await this.#deps.starts.begin({
      destinationId: this.id,
      epoch: this.epoch,
      deliveryId: id,
      jobId,
      number: attempts + 1,
      url,
      timeoutMs,
    });
    if (answer === "lost") this.#lose();
    if (answer !== "begun") return false;
    if (!this.#stopping) return true;
    this.#deps.starts.finished(this.id, id);
    return false;
  }

  #settlePace(pace: Pace | null, sent: boolean): void {
    const now = performance.now();
    if (sent) pace?.done(now);
    else pace?.spared();
    // Sent under another pace, so the one that counts by now does not know of it.
    if (sent && pace !== this.#pace) this.#pace?.fill(now);
  }

  /** Another worker has the destination. */
  #lose(): void {
    this.#lost = true;
    this.#wake();
  }

  /** @param made null where no attempt was made */
  async #record(delivery: Fetched, made: Made | null, verdict: Verdict): Promise<Heard> {
    const { recorder, now } = this.#deps;
    const { kind } = verdict;
    const { destination, exchange, sha256 } = made ?? { destination: this.#destination, exchange: null, sha256: null };
    const about = { delivery, destination, epoch: this.epoch, health: this.#health, now: now() };
    const result = resultOf({ ...about, exchange, verdict, sha256 });
    if (result.disable !== null) this.#destination = { ...this.#destination, disabled: true };
    metrics.deliveries.inc({ outcome: kind });
    if (exchange) metrics.deliverySeconds.observe(exchange.durationMs / 1000);
    if (kind === "delivered") metrics.deliveryLagSeconds.observe((now() - delivery.occurredAt.getTime()) / 1000);
    const heard = await recorder.record(result);
    if (heard === "fenced") this.#lose();
    return heard;
  }
}

interface Made {
  /** as it was when the attempt was made */
  destination: OpenDestination;
  exchange: Exchange;
  sha256: Buffer;
}
