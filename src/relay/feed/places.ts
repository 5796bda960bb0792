/**
 * Places in the order of events, in which all feeds read. A place is a position and how many of its events were read; it exists even
 * where no event does yet.
 */
import type { Queryable } from "../../database/types.ts";
import { EDGES, IS_EXPIRED } from "./queries.ts";

export interface Place {
  position: string;
  /** events of that position that are behind us */
  at: number;
}

const START: Place = { position: "0", at: 0 };

/** The place after all events of a position. */
export const behind = (position: string): Place => ({ position: String(BigInt(position) + 1n), at: 0 });

/** `start`: before the first event that is kept; `now`: after the last that was dispatched. */
export async function edge(q: Queryable, which: "start" | "now"): Promise<Place> {
  const { rows } = await q.query<{ last: string | null; forgotten: string | null }>(EDGES);
  const position = which === "now" ? rows[0]?.last : rows[0]?.forgotten;
  return position == null ? START : behind(position);
}

/** Whether events after the place were deleted for their age, so that a client that continues there would miss them unnoticed. */
export async function isExpired(
  q: Queryable,
  { position, at }: Place,
): Promise<{ expired: boolean; /** of the first event that is kept */ since: Date | null }> {
  const { rows } = await q.query<{ expired: boolean; since: Date | null }>(IS_EXPIRED, [position, at]);
  return rows[0] ?? { expired: false, since: null };
}
