/** Stores what became of the members of a job that this process holds, many in one statement. */
import { openTogether, type Many } from "../database/together.ts";
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

const DETAILS_MAX_BYTES = 16_384;

/** Stores; throws TartanError `lease_lost` where another process holds the job by now. */
export type Store = (stored: Stored) => Promise<void>;

export function openStore(database: Queryable, jobId: string, fence: string): Store {
  const together = openTogether(database);
  const store: Many<Record<string, unknown>, void> = async (q, rows) => {
    const { rowCount } = await q.query(STORE, [jobId, fence, JSON.stringify(rows)]);
    if (rowCount === 0) throw new TartanError("lease_lost", "Another process works on the job now.");
    return [];
  };
  return async (stored) => await together(store, rowOf(stored));
}

function rowOf({ n, outcome, details = {} }: Stored): Record<string, unknown> {
  const joined = { ...details, ...outcome?.details };
  if (Buffer.byteLength(JSON.stringify(joined)) > DETAILS_MAX_BYTES)
    throw new TartanError("internal", "The details of a member are larger than 16 KiB.");
  if (!outcome) return { n, details: joined };
  const { state, phase, inSeconds, forSeconds, overdue, attempts, cause } = outcome;
  return { n, state, phase, in_s: inSeconds, for_s: forSeconds, overdue, attempts, cause, details: joined };
}
