/**
 * Which destinations this process delivers to. One worker at a time holds a destination: it alone paces it, keeps its
 * lanes in order and breaks its circuit, so none of these needs a word with other processes for each delivery.
 *
 *   free ──take (a new epoch)──▶ held ──give back──▶ free
 *                                 └──its worker is gone, and nothing it began can be under way──▶ free
 *
 * Both sides judge by the same rows. A holder begins an attempt only after Postgres has taken its note under the current
 * epoch (courier/attempt-starts.ts), and only while that note is fresh by the holder's own clocks. Another worker takes a
 * destination only when everything noted there is recorded or its time is over by the database's clock, or when the
 * holder's process has provably ended. So a worker that is cut off, frozen or slow never sends beside its successor.
 *
 * A worker says every second that it lives. It seems gone when its lease is over, or as soon as the session by which it
 * said so has ended, which Postgres notices when a process is killed.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../clock.ts";
import { openSession, type Session } from "../../database/session.ts";
import type { Database } from "../../database/types.ts";
import type { Logger } from "../../logger.ts";
import type { Attempts } from "./attempt-notes.ts";
import type { Health } from "./circuit-breaker.ts";
import { hasEnded, identifyProcess } from "./process-identity.ts";
import { BEAT, LOOK, RELEASE, RETIRE, TAKE } from "./queries.ts";

const BEAT_MS = 1000;
const OFFSET_WITHIN_MS = 500;

export interface Taken {
  destinationId: string;
  epoch: number;
  health: Health;
}

export interface Looked {
  id: string;
  version: number | null;
  deleted: boolean;
  held: boolean;
  due: boolean;
}

interface HoldingsOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
  leaseSeconds: number;
  /** called when the process of another worker is found to have ended */
  onEnded?: () => void;
}

type TakenRow = Health & { fair: number; destination_id: string | null; epoch: number };

/** The database's time, and another worker of this host, if there is one. */
type BeatRow = { now: Date } & ({ id: string; pid: number; started: string } | { id: null });

export class Holdings implements AsyncDisposable {
  readonly worker = randomUUID();
  readonly #options: HoldingsOptions;
  readonly #session: Session;
  readonly #process = identifyProcess();
  readonly #stop = new AbortController();
  #beating: Promise<void> = Promise.resolve();
  /** workers whose processes have ended */
  #ended: readonly string[] = [];
  /** what is added to the monotonic clock to get the database's */
  #offsetMs = Date.now() - performance.now();

  constructor(options: HoldingsOptions) {
    this.#options = options;
    this.#session = openSession(options.database, "tartan relay");
  }

  /** The first word; others count on this worker from now on. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beating = this.#goOn();
  }

  /** Milliseconds since 1970 by the database's clock: hosts whose clocks differ agree on when a hold ends. */
  now(): number {
    return performance.now() + this.#offsetMs;
  }

  async #beat(): Promise<void> {
    const { host = null, pid = null, started = null } = this.#process ?? {};
    const said = performance.now();
    const values = [this.worker, this.#options.leaseSeconds, host, pid, started];
    const { rows } = await this.#session.query<BeatRow>(BEAT, values);
    const [first] = rows;
    const heard = performance.now();
    // A slow answer says little about when the database said it.
    if (first && heard - said < OFFSET_WITHIN_MS) this.#offsetMs = first.now.getTime() - (said + heard) / 2;
    const before = this.#ended;
    this.#ended = rows.flatMap((row) => (row.id !== null && hasEnded(row) ? [row.id] : []));
    if (this.#ended.some((id) => !before.includes(id))) this.#options.onEnded?.();
  }

  async #goOn(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      await clock.sleep(BEAT_MS, signal);
      if (signal.aborted) return;
      await this.#beat().catch((error: unknown) =>
        logger.warn({ error }, "the relay cannot renew its lease; trying again"),
      );
    }
  }

  /**
   * Takes what is free, up to the fair share of a worker who knows those in `known`: it holds them, or is about to give
   * them back.
   * @returns what it took, and how many are fair
   */
  async take(known: readonly string[]): Promise<{ fair: number; taken: Taken[] }> {
    const { rows } = await this.#options.database.query<TakenRow>(TAKE, [this.worker, known, this.#ended]);
    const taken = rows.flatMap(({ fair: _fair, destination_id, epoch, ...health }) =>
      destination_id === null ? [] : [{ destinationId: destination_id, epoch, health }],
    );
    return { fair: rows[0]?.fair ?? 0, taken };
  }

  /** Whether what is held is held still, has changed, and has something due. */
  async look(held: readonly { id: string; epoch: number }[]): Promise<Looked[]> {
    const values = [held.map(({ id }) => id), this.worker, held.map(({ epoch }) => epoch)];
    const { rows } = await this.#options.database.query<Looked>(LOOK, values);
    return rows;
  }

  /** @param unrecorded the attempts there that were made here and could not be recorded */
  async giveBack(destinationId: string, epoch: number, unrecorded: Attempts): Promise<void> {
    const { delivery_ids, numbers, started_at } = unrecorded;
    const values = [this.worker, destinationId, epoch, delivery_ids, numbers, started_at];
    await this.#options.database.query(RELEASE, values);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await this.#options.database.query(RETIRE, [this.worker]).catch(() => undefined);
    await this.#session[Symbol.asyncDispose]();
  }
}
