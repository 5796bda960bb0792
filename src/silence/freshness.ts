/** How fresh the mirror is, by integration and resource. */
import type { Queryable } from "../database/types.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { checkedFilter } from "../model/listing.ts";
import { LIST_FRESHNESS } from "./freshness-queries.ts";
import { FreshnessFilter } from "./freshness.schema.ts";

/** A resource of an integration; instants are ISO 8601. */
export interface ResourceFreshness {
  resource: string;
  /** of the subjects that have it: item, payment … */
  kind: string;
  subjects: number;
  /** those that were read, or checked without a difference, within the window */
  within_window: number;
  /** those whose first reading is not over */
  never_read: number;
  oldest_verified_at: string | null;
}

export interface IntegrationFreshness {
  integration_id: string;
  name: string;
  /** when it was counted; null: not yet */
  as_of: string | null;
  /** seconds; null: not counted yet */
  window_seconds: number | null;
  /** linked items */
  items: number;
  /** linked items that were never read */
  unread_items: number;
  resources: ResourceFreshness[];
}

type Row = Omit<IntegrationFreshness, "as_of"> & { as_of: Date | null };

/**
 * A page of integrations, by id, as they were counted last.
 * @throws TartanError `invalid_request` for a cursor that is not of this list
 */
export async function listFreshness(
  q: Queryable,
  filter: FreshnessFilter,
): Promise<{ data: IntegrationFreshness[]; next_cursor: string | null }> {
  const { integration_id, limit, cursor } = checkedFilter(FreshnessFilter, filter);
  const behind = cursor === undefined ? "" : fromCursor("freshness", cursor);
  const { rows } = await q.query<Row>(LIST_FRESHNESS, [integration_id ?? null, behind, limit + 1]);
  const data = rows.slice(0, limit).map(({ as_of, resources, ...row }) => ({
    ...row,
    as_of: as_of?.toISOString() ?? null,
    resources: resources.map((each) => ({ ...each, oldest_verified_at: isoOf(each.oldest_verified_at) })),
  }));
  const last = rows.length > limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toCursor("freshness", last.integration_id) : null };
}

const isoOf = (instant: string | null): string | null => (instant === null ? null : new Date(instant).toISOString());
