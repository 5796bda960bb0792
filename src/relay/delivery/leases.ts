/**
 * Decides which destinations this process delivers to. One worker at a time leases a destination. Only that worker limits the
 * destination's rate, keeps the order of its ordering keys and breaks its circuit, so deliveries need no coordination between
 * processes.
 *
 *   free ──acquire (a new epoch)──▶ leased ──release──▶ free
 *                                     └──its worker is gone, and no attempt of it can be under way──▶ free
 *
 * Both sides decide by the same rows. A worker begins an attempt only after Postgres has accepted its note under the current
 * epoch (attempt-notes.ts), and only while that note is fresh by the worker's own clocks. Another worker acquires the
 * destination only when every noted attempt is recorded or its time is over by the database's clock, or when the worker's
 * process has provably ended. So a worker that is cut off, frozen or slow never sends beside its successor.
 *
 * A worker renews its lease every second. It seems gone when its lease has expired, or as soon as the session that renewed it
 * has ended, which Postgres notices when a process is killed.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../clock.ts";
import { openSession, type Session } from "../../database/connection/session.ts";
import type { Database } from "../../database/types.ts";
import type { Logger } from "../../logger.ts";
import type { Attempts } from "./attempt-notes.ts";
import type { Health } from "./circuit-breaker.ts";
import { ACQUIRE, CHECK_LEASES, FORGET_WORKERS, RELEASE, RENEW } from "./lease-queries.ts";
import { hasEnded, identifyProcess } from "./process-identity.ts";

const RENEW_MS = 1000;
const OFFSET_WITHIN_MS = 500;

export interface LeasedDestination {
  destinationId: string;
  epoch: number;
  health: Health;
}

/** The state of a destination that this worker leases, or believes that it does. */
export interface LeaseCheck {
  id: string;
  version: number | null;
  deleted: boolean;
  /** this worker still leases it, in the same epoch */
  held: boolean;
  /** a delivery is due there */
  due: boolean;
}

interface LeaseOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
  leaseSeconds: number;
  /** called when the process of another worker has ended */
  onEnded?: () => void;
}

type AcquiredRow = Health & { fair: number; destination_id: string | null; epoch: number };

/** The database's time, and another worker of this host if there is one. */
type RenewedRow = { now: Date } & ({ id: string; pid: number; started: string } | { id: null });

export class DestinationLeases implements AsyncDisposable {
  readonly workerId = randomUUID();
  readonly #options: LeaseOptions;
  readonly #session: Session;
  readonly #process = identifyProcess();
  readonly #stop = new AbortController();
  #renewing: Promise<void> = Promise.resolve();
  /** workers whose processes have ended */
  #ended: readonly string[] = [];
  /** added to the monotonic clock it yields the database's time */
  #offsetMs = Date.now() - performance.now();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#session = openSession(options.database, "tartan relay");
  }

  /** Registers this worker; from now on the others count it when they compute their fair shares. */
  async start(): Promise<void> {
    await this.#renew();
    this.#renewing = this.#keepRenewing();
  }

  /** Milliseconds since 1970 by the database's clock, so that hosts whose clocks differ agree on when a hold ends. */
  now(): number {
    return performance.now() + this.#offsetMs;
  }

  async #renew(): Promise<void> {
    const { host = null, pid = null, started = null } = this.#process ?? {};
    const askedAt = performance.now();
    const values = [this.workerId, this.#options.leaseSeconds, host, pid, started];
    const { rows } = await this.#session.query<RenewedRow>(RENEW, values);
    const [first] = rows;
    const answeredAt = performance.now();
    // A slow answer does not tell when the database read its clock.
    if (first && answeredAt - askedAt < OFFSET_WITHIN_MS)
      this.#offsetMs = first.now.getTime() - (askedAt + answeredAt) / 2;
    const before = this.#ended;
    this.#ended = rows.flatMap((row) => (row.id !== null && hasEnded(row) ? [row.id] : []));
    if (this.#ended.some((id) => !before.includes(id))) this.#options.onEnded?.();
  }

  async #keepRenewing(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      await clock.sleep(RENEW_MS, signal);
      if (signal.aborted) return;
      await this.#renew().catch((error: unknown) =>
        logger.warn({ error }, "the relay cannot renew its lease; trying again"),
      );
    }
  }

  /**
   * Leases free destinations, up to this worker's fair share.
   * @param known destinations that this worker leases or is about to release
   * @returns the newly leased destinations, and how many make a fair share
   */
  async acquire(known: readonly string[]): Promise<{ fair: number; leased: LeasedDestination[] }> {
    const { rows } = await this.#options.database.query<AcquiredRow>(ACQUIRE, [this.workerId, known, this.#ended]);
    const leased = rows.flatMap(({ fair: _fair, destination_id, epoch, ...health }) =>
      destination_id === null ? [] : [{ destinationId: destination_id, epoch, health }],
    );
    return { fair: rows[0]?.fair ?? 0, leased };
  }

  /** Checks whether leased destinations are still leased, have changed and have deliveries that are due. */
  async check(leased: readonly { id: string; epoch: number }[]): Promise<LeaseCheck[]> {
    const values = [leased.map(({ id }) => id), this.workerId, leased.map(({ epoch }) => epoch)];
    const { rows } = await this.#options.database.query<LeaseCheck>(CHECK_LEASES, values);
    return rows;
  }

  /** @param unrecorded the attempts that this worker made there and could not record */
  async release(destinationId: string, epoch: number, unrecorded: Attempts): Promise<void> {
    const { delivery_ids, numbers, started_at } = unrecorded;
    const values = [this.workerId, destinationId, epoch, delivery_ids, numbers, started_at];
    await this.#options.database.query(RELEASE, values);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    await this.#options.database.query(FORGET_WORKERS, [this.workerId]).catch(() => undefined);
    await this.#session[Symbol.asyncDispose]();
  }
}
