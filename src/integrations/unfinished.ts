/** What a change of an integration leaves to be done for its items; lifecycle/ does it. */
import type { Queryable } from "../database/types.ts";
import { FORGET_INTEGRATION, LIST_UNFINISHED, NOTE_DONE } from "./queries.ts";

export type Unfinished = "retry" | "end" | "purge" | "purged";

export async function listUnfinished(q: Queryable): Promise<{ id: string; unfinished: Unfinished }[]> {
  return (await q.query<{ id: string; unfinished: Unfinished }>(LIST_UNFINISHED)).rows;
}

/** Notes that it is done, and what follows; nothing happens where something else is to be done by now. */
export async function noteDone(q: Queryable, id: string, done: Unfinished, next: Unfinished | null): Promise<void> {
  await q.query(NOTE_DONE, [id, done, next]);
}

/** Deletes the row of an integration that was purged, once no process can store a webhook of it any more. */
export async function forgetIntegration(q: Queryable, id: string): Promise<void> {
  await q.query(FORGET_INTEGRATION, [id]);
}
