/**
 * Which destinations this process delivers to. One worker at a time holds a destination: it alone paces it, keeps its
 * lanes in order and breaks its circuit, so none of these needs a word with other processes for each delivery.
 *
 *   free ──take (a new epoch)──▶ held ──give back──▶ free
 *                                 └──its worker is gone──▶ free
 *
 * A worker says every second that it lives. It is gone when its lease is over, or as soon as the session by which it
 * said so has ended, which Postgres notices when a process is killed. What a worker says of an epoch that is over is
 * not heard (RECORD), so a worker that was paused past its lease can repeat a delivery but not decide about it.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { openSession, type Session } from "../database/session.ts";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import type { Health } from "./courier/breaker.ts";
import { BEAT, LOOK, RELEASE, RETIRE, TAKE } from "./queries/couriers.ts";

const BEAT_MS = 1000;
/** Whoever has not been able to say that it lives stops sending this long before others may take over. */
const MARGIN_MS = 5000;

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
}

type TakenRow = Health & { fair: number; destination_id: string | null; epoch: number };

export class Holdings implements AsyncDisposable {
  readonly worker = randomUUID();
  readonly #options: HoldingsOptions;
  readonly #session: Session;
  readonly #stop = new AbortController();
  #beating: Promise<void> = Promise.resolve();
  #leaseUntil = 0;
  /** the lease was over for a while, as in a process that was frozen: what is held has to be looked at first */
  #unsure = false;

  constructor(options: HoldingsOptions) {
    this.#options = options;
    this.#session = openSession(options.database, "tartan relay");
  }

  /** The first word; others count on this worker from now on. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beating = this.#goOn();
  }

  /** Whether nobody else can have taken over: while this is not so, nothing is sent. */
  safe(): boolean {
    return !this.#unsure && performance.now() < this.#leaseUntil - MARGIN_MS;
  }

  async #beat(): Promise<void> {
    const { leaseSeconds } = this.#options;
    const said = performance.now();
    if (this.#leaseUntil > 0 && said > this.#leaseUntil - MARGIN_MS) this.#unsure = true;
    await this.#session.query(BEAT, [this.worker, leaseSeconds]);
    this.#leaseUntil = said + leaseSeconds * 1000;
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
    const { rows } = await this.#options.database.query<TakenRow>(TAKE, [this.worker, known]);
    const taken = rows.flatMap(({ fair: _fair, destination_id, epoch, ...health }) =>
      destination_id === null ? [] : [{ destinationId: destination_id, epoch, health }],
    );
    return { fair: rows[0]?.fair ?? 0, taken };
  }

  /** Whether what is held is held still, has changed, and has something due. */
  async look(held: readonly { id: string; epoch: number }[]): Promise<Looked[]> {
    const leased = this.#leaseUntil;
    const values = [held.map(({ id }) => id), this.worker, held.map(({ epoch }) => epoch)];
    const { rows } = await this.#options.database.query<Looked>(LOOK, values);
    // Seen under a lease that holds: nobody takes anything away from now on.
    if (leased > performance.now()) this.#unsure = false;
    return rows;
  }

  async giveBack(destinationId: string, epoch: number): Promise<void> {
    await this.#options.database.query(RELEASE, [this.worker, destinationId, epoch]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await this.#options.database.query(RETIRE, [this.worker]).catch(() => undefined);
    await this.#session[Symbol.asyncDispose]();
  }
}
