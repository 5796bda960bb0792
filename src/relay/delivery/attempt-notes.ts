/**
 * Notes attempts in Postgres before they are made, many in one commit. The note permits an attempt: Postgres rejects it when
 * this worker no longer leases the destination, and no other worker leases the destination while a noted attempt can still be
 * under way.
 *
 *   note ──committed──▶ noted (may be sent within START_MS) ──recorded──▶ finished
 *            └──another worker has the destination──▶ lost
 *
 * A worker that was frozen between the note and the request finds the note too old and sends nothing.
 *
 * A note may name attempts that were not made after all. The next note leaves them out. Where no note follows, releasing the
 * destination leaves them out, since the next worker would otherwise wait for them and record them as made.
 */
import type { Queryable } from "../../database/types.ts";
import { stopwatch } from "../model/stopwatch.ts";
import { NOTE_ATTEMPTS } from "./attempt-queries.ts";

/** An attempt may be sent within this time of its note. */
const START_MS = 2000;
/**
 * After an attempt's timeout its worker has this long to record it before another worker may lease the destination: a worker
 * whose connections were lost needs a few seconds to make new ones.
 */
const RECORD_MS = 10_000;
const BATCH_MAX = 500;

export interface AttemptNote {
  destinationId: string;
  epoch: number;
  deliveryId: string;
  /** the job that had scheduled the delivery when it was fetched */
  jobId: string | null;
  /** of the attempt, from 1 */
  number: number;
  url: string;
  /** the attempt ends within this time */
  timeoutMs: number;
}

/**
 * `noted`: send it now. `not_scheduled`: the delivery was cancelled meanwhile, or a job rescheduled it. `late`: the note took
 * too long; try again. `lost`: another worker has the destination.
 */
export type NoteAnswer = "noted" | "not_scheduled" | "late" | "lost";

export interface NoteResult {
  answer: NoteAnswer;
  /** true once the attempt may no longer be sent */
  isLate(): boolean;
}

interface PendingNote {
  note: AttemptNote;
  resolve: (result: NoteResult) => void;
  reject: (error: unknown) => void;
}

/** Attempts at deliveries of one destination, as parallel arrays like those of relay.under_way. */
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

export class AttemptNotes {
  readonly #q: Queryable;
  #pending: PendingNote[] = [];
  #working = false;
  /** by destination and delivery: the attempts that the next note names as under way */
  readonly #underWay = new Map<string, Map<string, UnderWay>>();

  constructor(q: Queryable) {
    this.#q = q;
  }

  /** Rejects when Postgres does not store the note; then the attempt must not be made. */
  note(note: AttemptNote): Promise<NoteResult> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ note, resolve, reject });
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
   * Forgets a destination whose delivery worker has stopped.
   * @returns the attempts that it made and could not record
   */
  leave(destinationId: string): Attempts {
    const made = attemptsOf(this.#underWay.get(destinationId));
    this.#underWay.delete(destinationId);
    return made;
  }

  async #work(): Promise<void> {
    this.#working = true;
    // Notes of the same turn of the event loop share a commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, BATCH_MAX);
      try {
        await this.#store(batch);
      } catch (error) {
        for (const { note, reject } of batch) {
          this.finished(note.destinationId, note.deliveryId);
          reject(error);
        }
      }
    }
    this.#working = false;
  }

  async #store(batch: readonly PendingNote[]): Promise<void> {
    const startedAt = new Date().toISOString();
    const destinations = new Map<string, AttemptNote[]>();
    for (const { note } of batch) {
      const notes = destinations.get(note.destinationId);
      if (notes) notes.push(note);
      else destinations.set(note.destinationId, [note]);
      const own = this.#underWay.get(note.destinationId) ?? new Map<string, UnderWay>();
      this.#underWay.set(note.destinationId, own.set(note.deliveryId, { number: note.number, startedAt }));
    }
    const rows = [...destinations.values()].map((notes) => this.#rowOf(notes));
    const elapsed = stopwatch();
    const noted = await this.#q.query<NotedRow>(NOTE_ATTEMPTS, [JSON.stringify(rows)]);
    const scheduled = new Map(noted.rows.map((row) => [row.destination_id, new Set(row.scheduled)]));
    const isLate = (): boolean => elapsed() > START_MS;
    const late = isLate();
    for (const { note, resolve } of batch) {
      const answer = answerTo(note, scheduled.get(note.destinationId), late);
      if (answer !== "noted") this.finished(note.destinationId, note.deliveryId);
      resolve({ answer, isLate });
    }
  }

  #rowOf(notes: readonly AttemptNote[]): object {
    const [{ destinationId, epoch, url }] = notes as [AttemptNote];
    return {
      destination_id: destinationId,
      epoch,
      url,
      ...attemptsOf(this.#underWay.get(destinationId)),
      fresh: notes.map(({ deliveryId }) => deliveryId),
      fresh_jobs: notes.map(({ jobId }) => jobId),
      busy_s: (START_MS + RECORD_MS + Math.max(...notes.map(({ timeoutMs }) => timeoutMs))) / 1000,
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

function answerTo({ deliveryId }: AttemptNote, scheduled: ReadonlySet<string> | undefined, late: boolean): NoteAnswer {
  if (scheduled === undefined) return "lost";
  if (!scheduled.has(deliveryId)) return "not_scheduled";
  return late ? "late" : "noted";
}
