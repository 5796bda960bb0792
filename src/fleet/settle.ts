/**
 * Stores what became of the members of a job that this process holds, many in one statement: while a statement runs, further outcomes
 * gather for the next one.
 */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import type { Details, Outcome } from "./kind.ts";
import { STORE } from "./queries.ts";

/** An outcome with what the runner adds to it; without one a note. */
export interface Stored {
  n: number;
  outcome?: Outcome & { attempts: number };
  details?: Details;
}

interface Waiting {
  row: Record<string, unknown>;
  resolve(): void;
  reject(error: unknown): void;
}

const DETAILS_MAX_BYTES = 16_384;
const AT_ONCE = 500;

export class Settler {
  readonly #database: Queryable;
  readonly #jobId: string;
  readonly #fence: string;
  #waiting: Waiting[] = [];
  #writing = false;

  constructor(database: Queryable, jobId: string, fence: string) {
    this.#database = database;
    this.#jobId = jobId;
    this.#fence = fence;
  }

  /** @throws TartanError `lease_lost` where another process holds the job by now */
  async store(stored: Stored): Promise<void> {
    const row = rowOf(stored);
    const written = new Promise<void>((resolve, reject) => this.#waiting.push({ row, resolve, reject }));
    if (!this.#writing) void this.#write();
    await written;
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE);
      try {
        const rows = JSON.stringify(batch.map(({ row }) => row));
        const { rowCount } = await this.#database.query(STORE, [this.#jobId, this.#fence, rows]);
        if (rowCount === 0) throw new TartanError("lease_lost", "Another process works on the job now.");
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }
}

function rowOf({ n, outcome, details = {} }: Stored): Record<string, unknown> {
  const joined = { ...details, ...outcome?.details };
  if (Buffer.byteLength(JSON.stringify(joined)) > DETAILS_MAX_BYTES)
    throw new TartanError("internal", "The details of a member are larger than 16 KiB.");
  if (!outcome) return { n, details: joined };
  const { state, phase, inSeconds, forSeconds, overdue, attempts, cause } = outcome;
  return { n, state, phase, in_s: inSeconds, for_s: forSeconds, overdue, attempts, cause, details: joined };
}
