/** What `status` shows of silence: integrations whose webhooks have stopped, and what is known of Plaid's lists of sent webhooks. */
import type { Queryable } from "../database/types.ts";
import type { Cause } from "./causes.ts";
import { COUNT_LISTS, LIST_STOPPED } from "./watch-queries.ts";

/** Instants are ISO 8601. */
export interface StoppedIntegration {
  integration_id: string;
  name: string;
  /** when the alarm was raised; null while only Plaid itself does not answer */
  stopped_at: string | null;
  /** when the last webhook of Plaid came */
  silent_since: string | null;
  cause: Cause;
  message: string;
  next_step: string;
}

export interface SentListCounts {
  available: number;
  unavailable: number;
  /** not asked yet */
  unknown: number;
  /** those whose last request failed */
  failing: number;
}

export interface SilenceState {
  stopped: StoppedIntegration[];
  sent_lists: SentListCounts;
}

const NAMED = 100;

type Row = Pick<StoppedIntegration, "integration_id" | "name" | "cause"> & {
  stopped_at: Date | null;
  silent_since: Date | null;
  details: { message: string; next_step: string };
};

/** The longest silent first; at most `most`. */
export async function listStopped(q: Queryable, most: number): Promise<StoppedIntegration[]> {
  const { rows } = await q.query<Row>(LIST_STOPPED, [most]);
  return rows.map(({ details: { message, next_step }, stopped_at, silent_since, ...row }) => ({
    ...row,
    stopped_at: stopped_at?.toISOString() ?? null,
    silent_since: silent_since?.toISOString() ?? null,
    message,
    next_step,
  }));
}

export async function silenceState(q: Queryable): Promise<SilenceState> {
  const sent_lists: SentListCounts = { available: 0, unavailable: 0, unknown: 0, failing: 0 };
  type Count = { state: "available" | "unavailable" | "unknown"; count: number; failing: number };
  for (const { state, count, failing } of (await q.query<Count>(COUNT_LISTS)).rows) {
    sent_lists[state] = count;
    sent_lists.failing += failing;
  }
  return { stopped: await listStopped(q, NAMED), sent_lists };
}
