/**
 * One job that this process holds: takes its members as its pace admits, works on several at once, looks at those that wait for
 * something, and stores what became of each. It ends when the job does, is paused or cancelled, when the process stops, and when the
 * lease could not be renewed: then its requests are aborted before another process may claim the job.
 */
import { urgent } from "../database/pool.ts";
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import { PlaidError } from "../plaid/errors.ts";
import { Limited } from "../sync/ask.ts";
import { finishJob } from "./finish.ts";
import { fail, FAILED, type Context, type Kind, type Member, type Outcome } from "./kind.ts";
import { COUNT_BEGUN, END_LEASE, LOOK_AT, RENEW_LEASE, TAKE_MEMBERS } from "./queries.ts";
import type { FleetOptions } from "./runner.ts";
import { openStore, type Store, type Stored } from "./settle.ts";

export const LEASE_SECONDS = 30;
const RENEW_MS = 8_000;
/** Without a renewal for so long this process stops; the lease ends later. */
const LOST_MS = 22_000;
/** How long a stop waits for requests that are under way. */
const STOP_MS = 5_000;
/** Members that are worked on at once, and that are taken ahead. */
const AT_ONCE = 16;
const AHEAD = 48;
const LOOKS_AT_ONCE = 500;
const ATTEMPTS_MAX = 8;
const PAUSE_MAX_SECONDS = 300;
const TROUBLE_PAUSE_MS = 1000;
/** What the pace admits adds up for a second, so a fast one is kept with few statements. */
const LEAST_WAIT_MS = 50;
/** While webhooks wait for commits in this process, a round waits so long at most. */
const GIVE_WAY_MS = 500;

export interface Claimed {
  id: string;
  kind: Kind;
  integrationId: string | null;
  asked: Readonly<Record<string, unknown>>;
  fence: string;
}

type Looked = Member & { late: boolean; overdue: string | null };
type Taken = { status: string; waitMs: number } & (Member | { n: null });

export class HeldJob {
  /** resolves when this process no longer holds the job */
  readonly done: Promise<void>;
  readonly #options: Omit<Context, "job" | "signal"> & Pick<FleetOptions, "pollMs" | "pressure">;
  readonly #job: Claimed;
  readonly #context: Context;
  readonly #store: Store;
  /** aborted: nothing more is begun */
  readonly #stop = new AbortController();
  /** aborted: requests that are under way end */
  readonly #lost = new AbortController();
  /** taken, and not begun yet */
  #ahead: Member[] = [];
  readonly #running = new Map<number, Promise<void>>();
  #hint = new AbortController();
  /** the job's status is to be read though nothing more can be taken now */
  #unsure = false;
  #renewedAt: number;

  constructor(options: Omit<Context, "job" | "signal"> & Pick<FleetOptions, "pollMs" | "pressure">, job: Claimed) {
    const { id, integrationId, asked, fence } = job;
    this.#options = options;
    this.#job = job;
    this.#context = { ...options, job: { id, integrationId, asked }, signal: this.#lost.signal };
    this.#store = counting(job.kind, openStore(options.database, id, fence));
    this.#renewedAt = performance.now();
    this.done = this.#hold();
  }

  /** Somebody may have paused or cancelled the job, or changed its members. */
  lookAgain(): void {
    this.#unsure = true;
    this.#wake();
  }

  #wake(): void {
    this.#hint.abort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    const patience = setTimeout(() => this.#lost.abort(), STOP_MS);
    await this.done;
    clearTimeout(patience);
  }

  async #hold(): Promise<void> {
    const { logger, database } = this.#options;
    const { id, fence } = this.#job;
    const renewing = setInterval(() => void this.#renew(), RENEW_MS);
    try {
      await this.#work();
    } finally {
      this.#ahead = [];
      await Promise.all(this.#running.values());
      clearInterval(renewing);
      await database.query(END_LEASE, [id, fence]).catch((error: unknown) => {
        logger.warn({ job_id: id, error }, "cannot give a job back; its lease ends by itself");
      });
    }
  }

  async #renew(): Promise<void> {
    if (performance.now() - this.#renewedAt > LOST_MS) return this.#loseIt();
    const { database, logger } = this.#options;
    const { id, fence } = this.#job;
    try {
      const asked = performance.now();
      const { rowCount } = await urgent(database).query(RENEW_LEASE, [id, fence, LEASE_SECONDS]);
      if (rowCount === 0) this.#loseIt();
      else this.#renewedAt = asked;
    } catch (error) {
      logger.warn({ job_id: id, error }, "cannot renew the lease of a job; trying again");
    }
  }

  /** Another process may hold the job soon, so nothing of it goes on here. */
  #loseIt(): void {
    this.#stop.abort();
    this.#lost.abort();
    this.#wake();
  }

  async #work(): Promise<void> {
    const { clock, logger } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#hint = new AbortController();
      try {
        await this.#options.pressure?.giveWay("jobs", GIVE_WAY_MS, this.#stop.signal);
        const waitMs = await this.#round();
        if (waitMs === null) return;
        if (waitMs > 0) await clock.sleep(waitMs, this.#hint.signal);
      } catch (error) {
        if (error instanceof TartanError && error.code === "lease_lost") return this.#loseIt();
        logger.warn({ job_id: this.#job.id, error }, "a job about items cannot go on; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS, this.#stop.signal);
      }
    }
  }

  /** @returns how long there is nothing to do; null where the job does not go on here */
  async #round(): Promise<number | null> {
    const { pollMs } = this.#options;
    const looked = await this.#look();
    const taken = await this.#take();
    if (taken === null) return null;
    this.#begin();
    if (looked === LOOKS_AT_ONCE) return 0;
    const idle = looked === 0 && taken.count === 0 && this.#inHand() === 0;
    if (idle && (await this.#finished())) return null;
    // A wake-up comes when most of what was taken is worked on.
    return taken.waitMs > 0 ? Math.min(pollMs, Math.max(taken.waitMs, LEAST_WAIT_MS)) : pollMs;
  }

  #inHand(): number {
    return this.#ahead.length + this.#running.size;
  }

  /** Members taken, how long until the pace admits more; null where the job is not to be worked on here. */
  async #take(): Promise<{ count: number; waitMs: number } | null> {
    const { database, pollMs } = this.#options;
    const { id, fence, kind } = this.#job;
    const room = AHEAD - this.#inHand();
    const free = room < AHEAD / 2 ? 0 : room;
    if (free === 0 && !this.#unsure) return { count: 0, waitMs: pollMs };
    this.#unsure = false;
    const inHand = [...this.#running.keys(), ...this.#ahead.map(({ n }) => n)];
    const values = [id, fence, inHand, free, await this.#room(kind)];
    const { rows } = await database.query<Taken>(TAKE_MEMBERS, values);
    const [first] = rows;
    if (first?.status !== "running") return null;
    const members = rows.flatMap((row) => (row.n === null ? [] : [memberOf(row)]));
    this.#ahead.push(...members);
    return { count: members.length, waitMs: first.waitMs };
  }

  async #room({ room }: Kind): Promise<number> {
    if (!room) return AHEAD;
    const { rows } = await this.#options.database.query<{ count: number }>(COUNT_BEGUN, [this.#job.id]);
    return Math.max(0, Math.floor(await room(this.#context, (rows[0]?.count ?? 0) + this.#inHand())));
  }

  #begin(): void {
    while (this.#running.size < AT_ONCE && this.#ahead.length > 0) {
      const member = this.#ahead.shift() as Member;
      const work = this.#workOn(member).finally(() => {
        this.#running.delete(member.n);
        if (!this.#stop.signal.aborted) this.#begin();
        if (this.#inHand() <= AHEAD / 2) this.#wake();
      });
      this.#running.set(member.n, work);
    }
  }

  /** Never rejects. A member whose outcome is not stored is taken again. */
  async #workOn(member: Member): Promise<void> {
    const { logger, clock } = this.#options;
    const { n } = member;
    try {
      const outcome = await this.#outcomeOf(member);
      await this.#store({ n, outcome });
    } catch (error) {
      if (this.#lost.signal.aborted) return;
      if (error instanceof TartanError && error.code === "lease_lost") return this.#loseIt();
      logger.warn({ job_id: this.#job.id, item_id: member.itemId, error }, "an item of a job failed; trying again");
      await clock.sleep(TROUBLE_PAUSE_MS, this.#stop.signal);
    }
  }

  async #outcomeOf(member: Member): Promise<Outcome & { attempts: number }> {
    const { n } = member;
    const note = async (details: Member["details"]): Promise<void> => {
      await this.#store({ n, details });
      this.#lost.signal.throwIfAborted();
    };
    try {
      this.#lost.signal.throwIfAborted();
      return { ...(await this.#job.kind.work(this.#context, { ...member, note })), attempts: 0 };
    } catch (error) {
      if (this.#lost.signal.aborted) throw error;
      const outcome = afterError(member, error);
      if (outcome === null) throw error;
      return outcome;
    }
  }

  /** Looks at members that wait for something. @returns how many */
  async #look(): Promise<number> {
    const { database } = this.#options;
    const { id, fence, kind } = this.#job;
    if (!kind.arrived) return 0;
    const { rows } = await database.query<Looked>(LOOK_AT, [id, fence, LOOKS_AT_ONCE]);
    if (rows.length === 0) return 0;
    const arrived = await kind.arrived(this.#context, rows);
    const outcomes = rows.flatMap(({ n, late, overdue }) => {
      const outcome = arrived.get(n) ?? (late ? fail(overdue ?? "overdue") : undefined);
      return outcome ? [{ n, outcome: { ...outcome, attempts: 0 } }] : [];
    });
    await Promise.all(outcomes.map((each) => this.#store(each)));
    return rows.length;
  }

  #finished(): Promise<boolean> {
    return finishJob(this.#options.database, this.#job.id, this.#job.fence);
  }
}

/** Counts those that are finished. */
const counting =
  ({ name }: Kind, store: Store): Store =>
  async (stored: Stored) => {
    await store(stored);
    const phase = stored.outcome?.phase;
    if (phase === "done" || phase === "failed") metrics.jobItems.inc({ kind: name, outcome: phase });
  };

const memberOf = ({ n, integrationId, itemId, state, attempts, details }: Member): Member => ({
  n,
  integrationId,
  itemId,
  state,
  attempts,
  details,
});

/** What becomes of a member whose work threw; null where the error is not about it. */
function afterError(member: Member, error: unknown): (Outcome & { attempts: number }) | null {
  const { state, attempts } = member;
  const later = (inSeconds: number, tried: number, cause?: string): Outcome & { attempts: number } => ({
    state,
    phase: "queued",
    inSeconds,
    attempts: tried,
    ...(cause !== undefined && { cause }),
  });
  if (error instanceof Limited) return later(error.waitMs / 1000, attempts);
  if (error instanceof PlaidError) {
    const { errorType: error_type, errorCode, retryClass, retryAfterSeconds } = error;
    const passes = retryClass === "backoff" || retryClass === "restart";
    const pause = Math.min(
      PAUSE_MAX_SECONDS,
      Math.max(retryAfterSeconds ?? 0, 2 ** attempts * (0.75 + Math.random() / 2)),
    );
    if (passes && attempts < ATTEMPTS_MAX) return later(pause, attempts + 1, errorCode);
    return { ...fail(errorCode, { error_type }), attempts };
  }
  if (error instanceof TartanError && error.code !== "database_unavailable" && error.code !== "lease_lost")
    return { ...fail(error.code), state: FAILED, attempts };
  return null;
}
