/** The dead letters: deliveries that gave up, counted by destination and cause. They are listed as deliveries are. */
import type { Queryable } from "../../database/types.ts";
import { DEAD_LETTER_GROUPS } from "../queries/deliveries.ts";

export interface DeadLetterGroup {
  destination_id: string;
  destination_name: string;
  /** such as status_500, timeout, transform_error */
  cause: string | null;
  count: number;
  /** ISO 8601: when the first of them gave up */
  first_at: string;
  last_at: string;
  /** those that can be sent again: their bytes, or the event that they are made of, are still kept */
  replayable: number;
}

type Row = Omit<DeadLetterGroup, "first_at" | "last_at"> & { first_at: Date; last_at: Date };

/** Of one destination, or of all; the largest group first. */
export async function groups(
  q: Queryable,
  { destination_id }: { destination_id?: string | undefined } = {},
): Promise<DeadLetterGroup[]> {
  const { rows } = await q.query<Row>(DEAD_LETTER_GROUPS, [destination_id ?? null]);
  return rows.map((row) => ({ ...row, first_at: row.first_at.toISOString(), last_at: row.last_at.toISOString() }));
}
