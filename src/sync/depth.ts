/** What waits for sync, of all processes together. */
import type { Queryable } from "../database/types.ts";
import { countUnmarked } from "../events/sync-outbox.ts";
import { QUEUE_DEPTH } from "./depth-queries.ts";
import { countStatuses } from "./status-counts.ts";

export interface QueueDepth {
  /** accepted webhooks that are not marked yet */
  unmarked: number;
  /** subjects that wait for a worker now; counted up to 50,001 */
  due: number;
  /** subjects that a worker holds */
  running: number;
  /** how long the first subject that is due, or unmarked webhook, has waited; 0 when none is */
  oldest_due_seconds: number;
  by_status: Record<string, number>;
  /** when they were counted by status */
  by_status_at: Date;
}

type DueDepth = Omit<QueueDepth, "by_status" | "by_status_at">;

/** What is unmarked, due and running, of all processes together. */
export async function dueDepth(q: Queryable): Promise<DueDepth> {
  const { rows } = await q.query<Omit<DueDepth, "unmarked">>(QUEUE_DEPTH);
  const { due = 0, running = 0, oldest_due_seconds = 0 } = rows[0] ?? {};
  const { arrivals: unmarked, oldest_seconds } = await countUnmarked(q);
  return { unmarked, due, running, oldest_due_seconds: Math.max(oldest_due_seconds, oldest_seconds) };
}

/** The same, with the number of subjects by status, which may be seconds old where there are many. */
export async function queueDepth(q: Queryable): Promise<QueueDepth> {
  const depth = await dueDepth(q);
  const { counts, at } = await countStatuses(q);
  return { ...depth, by_status: counts, by_status_at: at };
}
