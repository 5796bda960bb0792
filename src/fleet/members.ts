/** The members of fleet jobs, as users see them. */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { checkedFilter } from "../model/listing.ts";
import { noJob, getFleetJob } from "./jobs.ts";
import { reasonOf } from "./job-record.ts";
import { kindOf } from "./kinds/index.ts";
import { MemberFilter } from "./member.schema.ts";
import { LIST_MEMBERS } from "./queries.ts";

export interface MemberRecord {
  integration_id: string;
  item_id: string;
  state: string;
  /** of the last failure, also of one that passed */
  cause: string | null;
  message: string | null;
  next_step: string | null;
  attempts: number;
  /** what the kind stores, such as the former URL */
  details: Record<string, unknown>;
  /** since when it is in the state; ISO 8601 */
  since: string;
  /** when it is worked on or examined next */
  due_at: string | null;
  /** until when it waits for something */
  waits_until: string | null;
}

type Row = Omit<MemberRecord, "message" | "next_step" | "since" | "due_at" | "waits_until"> & {
  n: number;
  updated_at: Date;
  due_at: Date | null;
  waits_until: Date | null;
};

/**
 * A page of a job's members, in their order.
 * @throws TartanError `not_found`; `invalid_request` for a state that the kind does not have
 */
export async function listMembers(
  q: Queryable,
  jobId: string,
  filter: MemberFilter = {},
): Promise<{ data: MemberRecord[]; next_cursor: string | null }> {
  const { state, cause, limit, cursor } = checkedFilter(MemberFilter, filter);
  const job = await getFleetJob(q, jobId);
  if (!job) throw noJob(jobId);
  const names = Object.keys(kindOf(job.kind).states);
  if (state !== undefined && !names.includes(state)) {
    throw new TartanError("invalid_request", "There is no such state.", {
      fields: { state: `must be one of ${names.join(", ")}` },
    });
  }
  const list = `members of ${jobId}`;
  const after = cursor === undefined ? 0 : Number(fromCursor(list, cursor));
  const { rows } = await q.query<Row>(LIST_MEMBERS, [jobId, state ?? null, cause ?? null, after, limit + 1]);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    data: rows.slice(0, limit).map(({ n: _n, updated_at, due_at, waits_until, ...row }) => ({
      ...row,
      ...(row.cause === null ? { message: null, next_step: null } : reasonOf(job.kind, row.cause)),
      since: updated_at.toISOString(),
      due_at: due_at?.toISOString() ?? null,
      waits_until: waits_until?.toISOString() ?? null,
    })),
    next_cursor: last ? toCursor(list, String(last.n)) : null,
  };
}
