/**
 * The Intake that wraps another one and keeps arrivals in a file while that one cannot. An arrival keeps the id and the time that it came with.
 *
 *              ┌── the inner engine answers ──┐
 *   straight ──┴── it is away, overloaded or takes longer than the deadline ──▶ spooling
 *       ▲                                                                          │ the database takes a batch again,
 *       │                                                                          ▼ and little is left
 *       └──the last batch is stored──────────────────────────────────────── handing over
 *
 * The order of arrival holds through both switches. When the spool takes over, everything that waits for the inner engine goes to the file
 * first, in its order; what the inner engine stored after all has the same id, so the drain passes it over. While anything is in the file,
 * all arrivals go there. To hand over, arrivals are held in memory for the duration of the last write and the last batch. That is bounded:
 * if it takes longer, they go to the file too.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../errors.ts";
import type {
  Arrival,
  ArrivedWebhook,
  Intake,
  Linked,
  LinkedItem,
  StaleNotice,
  UnprovenWebhook,
} from "../model/intake.ts";
import { NO_PRESSURE } from "../model/pressure.ts";
import type { SpoolFacts, SpoolStatus } from "../model/spool.ts";
import type { Accepted } from "../model/webhook.ts";
import { Backlog } from "./backlog.ts";
import { Drain } from "./drain.ts";
import { identified, isPassing, stopping, type Entry } from "./entry.ts";
import { FileIntake } from "./file-intake.ts";
import type { SpoolOptions } from "./options.ts";
import { Pending } from "./pending.ts";
import { createFile } from "./segment.ts";
import { showMetrics, spoolFacts, type Mode } from "./status.ts";
import { Writer } from "./writer.ts";

/** Plaid closes a connection after 10 s. */
export const DEADLINE_MS = 2_000;
const LOOK_EVERY_MS = 250;
/** How long arrivals may be held for the hand-over. */
const HOLD_MAX_MS = 1_000;
const HELD_MAX = 5_000;
const QUEUE_MAX = 20_000;
/** With more, the last batch would take too long. */
const HAND_OVER_FROM = 400;
const PAUSE_MS = 250;
const PAUSE_MAX_MS = 2_000;
/** What dead processes have left is looked for this often. */
const LEFT_OVER_EVERY_MS = 30_000;
/** A batch takes about as long, so the drain keeps half of its rate under a load that never ends. */
const GIVE_WAY_MS = 50;
/** How long a stop waits for a batch that is being restored. */
const STOP_MS = 3_000;

/**
 * Opens the spool, and takes what processes that are gone have left. Without a folder that it can use it passes everything on, and its status
 * says why. Disposing it settles every call that waits; what waits in its files stays there for the next start.
 */
export async function openSpool(options: SpoolOptions): Promise<Intake & SpoolStatus & AsyncDisposable> {
  const spool = new Spool(options);
  await spool.open();
  return spool;
}

class Spool implements Intake, SpoolStatus, AsyncDisposable {
  readonly #options: SpoolOptions;
  readonly #backlog: Backlog;
  readonly #writer: Writer;
  readonly #drain: Drain;
  readonly #file: FileIntake;
  /** at the inner engine; only while the mode is straight */
  readonly #pending: Pending;
  readonly #stop = new AbortController();
  #held: Entry[] = [];
  #mode: Mode = "straight";
  #since: Date | null = null;
  #off: string | null = null;
  #trouble: string | null = null;
  #wake = (): void => undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #looked = performance.now();

  constructor(options: SpoolOptions) {
    this.#options = options;
    const { root, logger, maxBytes, inner, vault, refusals, clock } = options;
    const { queueMax = QUEUE_MAX, create = createFile, pressure = NO_PRESSURE, stuckMs } = options;
    this.#pending = new Pending(inner, (error) => this.#takeOverAfter(error));
    this.#backlog = new Backlog({ root, logger, onFound: (facts) => this.#file.remember(facts) });
    const now = (): number => clock.now();
    this.#writer = new Writer({ backlog: this.#backlog, maxBytes, queueMax, create, logger, pressure, now, stuckMs });
    this.#file = new FileIntake(this.#writer, options);
    const [backlog, writer] = [this.#backlog, this.#writer];
    this.#drain = new Drain({ backlog, writer, inner, root, vault, refusals, clock, logger, create });
  }

  async open(): Promise<void> {
    const { root, logger, maxBytes } = this.#options;
    try {
      if (maxBytes === 0) this.#off = "TARTAN_SPOOL_MAX_MB is 0";
      else if ((await this.#backlog.begin()) > 0)
        this.#takeOver("webhooks that could not be stored before are tried again");
      await this.#takeLeftOver();
    } catch (error) {
      this.#off = `its folder cannot be used: ${describeError(error).message}`;
      logger.warn({ error, path: root }, "there is no spool: webhooks are refused while Postgres is away");
    }
    this.#timer = setInterval(() => this.#tick(), LOOK_EVERY_MS).unref();
    this.#running = this.#run();
  }

  accept(arrival: ArrivedWebhook): Promise<Accepted>;
  accept(arrival: LinkedItem): Promise<Linked>;
  accept(arrival: StaleNotice): Promise<Accepted | null>;
  accept(arrival: UnprovenWebhook): Promise<Accepted>;
  accept(given: Arrival): Promise<Accepted | null> {
    if (this.#stop.signal.aborted) return Promise.reject(stopping());
    const arrival = identified(given);
    return new Promise((resolve, reject) => {
      const entry: Entry = { arrival, since: performance.now(), resolve, reject };
      if (this.#mode === "straight" || this.#off !== null) this.#pending.pass(entry);
      else if (this.#mode === "spooling") this.#file.accept(entry);
      else this.#hold(entry);
    });
  }

  problem(): string | null {
    if (this.#off !== null) return this.#options.inner.problem();
    const { problem } = this.#writer;
    return problem !== null && this.#mode === "straight" ? this.#options.inner.problem() : problem;
  }

  status(): SpoolFacts {
    return spoolFacts({
      backlog: this.#backlog,
      writer: this.#writer,
      off: this.#off,
      mode: this.#mode,
      trouble: this.#trouble,
      since: this.#since,
    });
  }

  /** A disk that has just failed is left alone for a moment. */
  #mayTakeOver(): boolean {
    return this.#off === null && this.#writer.problem === null;
  }

  /** The inner engine has refused an arrival. @returns false where that is its sender's to know */
  #takeOverAfter(error: unknown): boolean {
    if (!this.#mayTakeOver() || !isPassing(error)) return false;
    this.#takeOver(describeError(error).message);
    return true;
  }

  /** Everything that waits for the inner engine goes to the file, in its order, and all that comes from now on. */
  #takeOver(reason: string): void {
    // Without a folder nothing can be written, but what another process has left can be drained.
    const moved = this.#off === null ? this.#pending.take() : [];
    if (this.#mode === "straight") {
      this.#mode = "spooling";
      this.#trouble = reason;
      this.#since = new Date(this.#options.clock.now());
      this.#options.logger.warn({ reason, webhooks: moved.length }, "webhooks go to the spool from now on");
    }
    for (const entry of moved) this.#file.accept(entry);
    this.#wake();
  }

  /** Keeps an arrival in memory until the hand-over is done or given up. */
  #hold(entry: Entry): void {
    this.#held.push(entry);
    if (this.#held.length > HELD_MAX) this.#giveUpHandingOver();
  }

  #giveUpHandingOver(): void {
    if (this.#mode !== "handing over") return;
    this.#mode = "spooling";
    for (const entry of this.#held.splice(0)) this.#file.accept(entry);
  }

  #tick(): void {
    const now = performance.now();
    const { deadlineMs = DEADLINE_MS, leftOverEveryMs = LEFT_OVER_EVERY_MS } = this.#options;
    const { oldest: pending } = this.#pending;
    if (pending && this.#mayTakeOver() && now - pending.since > deadlineMs)
      this.#takeOver(`Postgres has not answered within ${deadlineMs} ms`);
    const [held] = this.#held;
    if (held && now - held.since > HOLD_MAX_MS) this.#giveUpHandingOver();
    if (now - this.#looked > leftOverEveryMs) {
      this.#looked = now;
      void this.#takeLeftOver().catch((error: unknown) =>
        this.#options.logger.warn({ error }, "cannot look for what other processes left in the spool; trying again"),
      );
    }
    showMetrics(this.status(), this.#options.clock.now());
  }

  async #takeLeftOver(): Promise<void> {
    const found = await this.#backlog.takeLeftOver();
    if (found === 0) return;
    this.#options.logger.warn(
      { webhooks: found },
      "webhooks wait in the spool since a process ended; they are drained first",
    );
    this.#takeOver("a process has left webhooks in the spool");
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let pauseMs = PAUSE_MS;
    while (!signal.aborted) {
      if (this.#mode === "straight") {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      try {
        await this.#move();
        pauseMs = PAUSE_MS;
      } catch (error) {
        this.#noteTrouble(error);
        await this.#options.clock.sleep(pauseMs, signal);
        pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
      }
    }
  }

  /** Drains a batch, and hands over when little is left. */
  async #move(): Promise<void> {
    await this.#options.pressure?.giveWay("drain", GIVE_WAY_MS, this.#stop.signal);
    const did = await this.#drain.step();
    if (did) this.#trouble = null;
    if (!did && !this.#writer.isIdle) return await this.#writer.idle();
    // Arrivals are not held for a transaction that may not end soon.
    if (this.#backlog.hasPutBack) return did ? undefined : this.#writer.seal();
    if (did && this.#backlog.waiting + this.#writer.queued > HAND_OVER_FROM) return;
    this.#mode = "handing over";
    try {
      await this.#writer.idle();
      if (!this.#isHandingOver()) return;
      // Nothing is written until the mode changes, so no write to the file is under way.
      this.#writer.seal();
      while (this.#isHandingOver() && (await this.#drain.step()));
      if (this.#isHandingOver()) this.#goStraight();
    } finally {
      this.#giveUpHandingOver();
    }
  }

  /** The mode may have changed during an await. */
  #isHandingOver(): boolean {
    return this.#mode === "handing over";
  }

  #goStraight(): void {
    const seconds = Math.round((this.#options.clock.now() - (this.#since?.getTime() ?? 0)) / 1000);
    this.#mode = "straight";
    this.#since = null;
    this.#trouble = null;
    this.#file.forget();
    // As loud as its beginning: a log of warnings has both.
    this.#options.logger.warn(
      { ...this.#drain.takeCounts(), seconds },
      "the spool is drained; webhooks go to Postgres again",
    );
    for (const entry of this.#held.splice(0)) this.#pending.pass({ ...entry, since: performance.now() });
  }

  #noteTrouble(error: unknown): void {
    const { message } = describeError(error);
    if (this.#trouble !== message)
      this.#options.logger.warn(
        { error, webhooks: this.status().waiting },
        "the spool cannot be drained just now; trying again",
      );
    this.#trouble = message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake();
    while (this.#pending.size > 0) await delay(5);
    await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })]);
    this.#giveUpHandingOver();
    // Those that were held until a moment ago.
    while (this.#pending.size > 0) await delay(5);
    await this.#writer.idle();
    clearInterval(this.#timer);
    const { waiting } = this.status();
    if (waiting > 0)
      this.#options.logger.warn({ webhooks: waiting }, "webhooks wait in the spool; the next start drains them");
    await this.#backlog.end();
  }
}
