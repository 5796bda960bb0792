/** The work that a change of an integration leaves for its items; lifecycle/ does it. */
import type { Queryable } from "../database/types.ts";
import { FORGET_INTEGRATION, LIST_IDS, LIST_UNFINISHED, NOTE_DONE } from "./queries.ts";

export type Unfinished = "retry" | "end" | "purge" | "purged";

export async function listUnfinished(q: Queryable): Promise<{ id: string; unfinished: Unfinished }[]> {
  return (await q.query<{ id: string; unfinished: Unfinished }>(LIST_UNFINISHED)).rows;
}

/** Notes that the work is done, and the next; does nothing if other work has been noted meanwhile. */
export async function noteDone(q: Queryable, id: string, done: Unfinished, next: Unfinished | null): Promise<void> {
  await q.query(NOTE_DONE, [id, done, next]);
}

/** The ids of all that there are, deleted ones too, until nothing of them is left. */
export const allIntegrations = async (q: Queryable): Promise<string[]> =>
  (await q.query<{ id: string }>(LIST_IDS)).rows.map(({ id }) => id);

/** Deletes the row of a purged integration, once no process can store a webhook of it any more. */
export async function forgetIntegration(q: Queryable, id: string): Promise<void> {
  await q.query(FORGET_INTEGRATION, [id]);
}
