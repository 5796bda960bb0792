/** Dead letters: deliveries that were given up, counted by destination and cause. listDeliveries lists them. */
import type { Queryable } from "../../database/types.ts";
import { fromCursor, toCursor } from "../../model/cursors.ts";
import { checkedFilter } from "../../model/listing.ts";
import { DeadLetterFilter } from "./delivery.schema.ts";
import { DEAD_LETTER_GROUPS } from "./delivery-queries.ts";

export interface DeadLetterGroup {
  destination_id: string;
  destination_name: string;
  /** such as status_500, timeout, transform_error */
  cause: string | null;
  /** counted up to 1001; a redrive with `dry_run` counts them all */
  count: number;
  /** ISO 8601: when the first of them was given up */
  first_at: string;
  last_at: string;
  /** those that can be sent again, by the oldest hundred */
  replayable: number;
}

export interface DeadLetterPage {
  data: DeadLetterGroup[];
  next_cursor: string | null;
}

type Row = Omit<DeadLetterGroup, "first_at" | "last_at"> & {
  first_at: Date;
  last_at: Date;
  place: string;
  is_deleted: boolean;
};

/**
 * One page of groups, of one destination or of all; the largest group of the page first.
 * @throws TartanError `invalid_request` for a limit or cursor that is not usable
 */
export async function groups(q: Queryable, filter: DeadLetterFilter = {}): Promise<DeadLetterPage> {
  const { destination_id, limit, cursor } = checkedFilter(DeadLetterFilter, filter);
  const [behind = "", cause = ""] = cursor === undefined ? [] : fromCursor("dead-letters", cursor).split("|");
  const { rows } = await q.query<Row>(DEAD_LETTER_GROUPS, [destination_id ?? null, behind, cause, limit + 1]);
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    data: page
      .filter(({ is_deleted }) => !is_deleted)
      .toSorted((a, b) => b.count - a.count)
      .map(toGroup),
    next_cursor: last ? toCursor("dead-letters", `${last.destination_id}|${last.place}`) : null,
  };
}

const toGroup = ({ place: _place, is_deleted: _deleted, ...row }: Row): DeadLetterGroup => ({
  ...row,
  first_at: row.first_at.toISOString(),
  last_at: row.last_at.toISOString(),
});
