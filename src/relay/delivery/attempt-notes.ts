/**
 * Notes attempts before they are made, many in one commit. The note is what allows an attempt: Postgres refuses it to a
 * worker that no longer holds the destination, and nobody takes the destination while an attempt can still be under way.
 *
 *   begin ──committed──▶ begun (for START_MS) ──recorded──▶ finished
 *             └──the destination was taken──▶ lost
 *
 * A worker that was frozen between the note and the request finds the note too old and sends nothing.
 *
 * A note may name attempts that were not made after all. The next note leaves them out; where none follows, they are left out
 * when the destination is given back, since the next worker would wait for them and record them as made.
 */
import type { Queryable } from "../../database/types.ts";
import { NOTE_STARTS } from "./queries.ts";
import { stopwatch } from "../model/stopwatch.ts";

/** A note allows an attempt to start for so long. */
const START_MS = 2000;
/**
 * After an attempt must have ended its worker has this long to record it, before another may take the destination: a
 * worker whose connections were lost needs a few seconds to make new ones.
 */
const RECORD_MS = 10_000;
const BATCH_MAX = 500;

export interface AttemptStart {
  destinationId: string;
  epoch: number;
  deliveryId: string;
  /** the job that scheduled it, when it was fetched */
  jobId: string | null;
  /** of the attempt, from 1 */
  number: number;
  url: string;
  /** the attempt ends within this time */
  timeoutMs: number;
}

/**
 * `begun`: it may be sent now. `not_scheduled`: the delivery was cancelled meanwhile, or a job scheduled it anew. `late`: the note took too long; try
 * again. `lost`: another worker has the destination.
 */
export type StartAnswer = "begun" | "not_scheduled" | "late" | "lost";

interface Waiting {
  start: AttemptStart;
  resolve: (answer: StartAnswer) => void;
  reject: (error: unknown) => void;
}

/** Attempts at deliveries of one destination, side by side, as relay.under_way has them. */
export interface Attempts {
  delivery_ids: string[];
  numbers: number[];
  started_at: string[];
}

export const NO_ATTEMPTS: Attempts = { delivery_ids: [], numbers: [], started_at: [] };

interface UnderWay {
  number: number;
  startedAt: string;
}

interface NotedRow {
  destination_id: string;
  scheduled: string[];
}

export class AttemptStarts {
  readonly #q: Queryable;
  #waiting: Waiting[] = [];
  #working = false;
  /** by destination and delivery: what the next note says is under way */
  readonly #underWay = new Map<string, Map<string, UnderWay>>();

  constructor(q: Queryable) {
    this.#q = q;
  }

  /** Rejects when Postgres does not take the note; then the attempt must not be made. */
  begin(start: AttemptStart): Promise<StartAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ start, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  /** The attempt was recorded, or was not made. */
  finished(destinationId: string, deliveryId: string): void {
    const own = this.#underWay.get(destinationId);
    own?.delete(deliveryId);
    if (own?.size === 0) this.#underWay.delete(destinationId);
  }

  /**
   * The courier of the destination has stopped.
   * @returns the attempts that it made and could not record; they are no longer known here
   */
  leave(destinationId: string): Attempts {
    const made = attemptsOf(this.#underWay.get(destinationId));
    this.#underWay.delete(destinationId);
    return made;
  }

  async #work(): Promise<void> {
    this.#working = true;
    // What is asked for in the same turn of the loop shares the commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        await this.#note(batch);
      } catch (error) {
        for (const { start, reject } of batch) {
          this.finished(start.destinationId, start.deliveryId);
          reject(error);
        }
      }
    }
    this.#working = false;
  }

  async #note(batch: readonly Waiting[]): Promise<void> {
    const startedAt = new Date().toISOString();
    const destinations = new Map<string, AttemptStart[]>();
    for (const { start } of batch) {
      const starts = destinations.get(start.destinationId);
      if (starts) starts.push(start);
      else destinations.set(start.destinationId, [start]);
      const own = this.#underWay.get(start.destinationId) ?? new Map<string, UnderWay>();
      this.#underWay.set(start.destinationId, own.set(start.deliveryId, { number: start.number, startedAt }));
    }
    const rows = [...destinations.values()].map((starts) => this.#rowOf(starts));
    const elapsed = stopwatch();
    const noted = await this.#q.query<NotedRow>(NOTE_STARTS, [JSON.stringify(rows)]);
    const scheduled = new Map(noted.rows.map((row) => [row.destination_id, new Set(row.scheduled)]));
    const late = elapsed() > START_MS;
    for (const { start, resolve } of batch) {
      const answer = answerTo(start, scheduled.get(start.destinationId), late);
      if (answer !== "begun") this.finished(start.destinationId, start.deliveryId);
      resolve(answer);
    }
  }

  #rowOf(starts: readonly AttemptStart[]): object {
    const [{ destinationId, epoch, url }] = starts as [AttemptStart];
    return {
      destination_id: destinationId,
      epoch,
      url,
      ...attemptsOf(this.#underWay.get(destinationId)),
      fresh: starts.map(({ deliveryId }) => deliveryId),
      fresh_jobs: starts.map(({ jobId }) => jobId),
      busy_s: (START_MS + RECORD_MS + Math.max(...starts.map(({ timeoutMs }) => timeoutMs))) / 1000,
    };
  }
}

function attemptsOf(underWay: ReadonlyMap<string, UnderWay> = new Map()): Attempts {
  const each = [...underWay.values()];
  return {
    delivery_ids: [...underWay.keys()],
    numbers: each.map(({ number }) => number),
    started_at: each.map(({ startedAt }) => startedAt),
  };
}

function answerTo(
  { deliveryId }: AttemptStart,
  scheduled: ReadonlySet<string> | undefined,
  late: boolean,
): StartAnswer {
  if (scheduled === undefined) return "lost";
  if (!scheduled.has(deliveryId)) return "not_scheduled";
  return late ? "late" : "begun";
}
