/**
 * The statements about sync.cursors: how far each resource of a subject was read, and since when it is known to equal Plaid.
 * $1 integration, $2 kind, $3 id, in each.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { enabledOf } from "../integrations/reveals.ts";
import { resourcesOf } from "../resources/index.ts";
import { requestable } from "./plan.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });
const SUBJECT = "integration_id = $1 and kind = $2 and id = $3";

export const CURSORS = statement(
  "cursors",
  `select resource, cursor, rows, complete, read_with as "readWith", absent, verified_at as "verifiedAt" from sync.cursors where ${SUBJECT}`,
);

/**
 * Resources $4 that were read to their end: $5 cursors, $6 rows, $7 complete, $8 read with, $9 since when they are equal,
 * or null for unchanged.
 */
export const KEEP_CURSORS = statement(
  "keep_cursors",
  `insert into sync.cursors as c (integration_id, kind, id, resource, cursor, rows, complete, read_with, verified_at)
select $1, $2, $3, k.resource, k.cursor, k.rows, k.complete, k.read_with, k.verified_at
from unnest($4::text[], $5::text[], $6::bigint[], $7::boolean[], $8::text[], $9::timestamptz[])
  as k (resource, cursor, rows, complete, read_with, verified_at)
on conflict (integration_id, kind, id, resource) do update set cursor = excluded.cursor, rows = excluded.rows,
  complete = excluded.complete, read_with = excluded.read_with,
  verified_at = coalesce(excluded.verified_at, c.verified_at), absent = null, updated_at = now()`,
);

/** Resources $4 that the subject lacks ($5 says how that is known), or has again ($5 null). */
export const KEEP_ABSENT = statement(
  "keep_absent",
  `insert into sync.cursors (integration_id, kind, id, resource, rows, complete, absent)
select $1, $2, $3, a.resource, 0, false, a.absent from unnest($4::text[], $5::text[]) as a (resource, absent)
on conflict (integration_id, kind, id, resource) do update set absent = excluded.absent`,
);

/** Since when the whole subject is known to be equal: the oldest of its resources $4; null while one was never read. */
export const OLDEST_VERIFIED = statement(
  "oldest_verified",
  `select case when bool_and(c.verified_at is not null or c.absent is not null)
  then min(c.verified_at) filter (where c.absent is null) end as verified_at
from unnest($4::text[]) r (resource)
left join sync.cursors c on c.integration_id = $1 and c.kind = $2 and c.id = $3 and c.resource = r.resource`,
);

export const DROP_CURSORS = statement("drop_cursors", `delete from sync.cursors where ${SUBJECT}`);

const FRESHNESS = statement(
  "freshness",
  `select resource, verified_at, rows::int as rows, absent from sync.cursors where ${SUBJECT}`,
);

/** Why a resource does not count: the subject does not list its product, or Plaid refused it because the product is missing. */
export type Absence = "not_listed" | "refused";
/** The same as it is shown: the integration does not enable it, so it is never requested. */
export type ShownAbsence = Absence | "not_enabled";

/** The state of one resource of an item; instants are ISO 8601. */
export interface ResourceState {
  resource: string;
  /** its rows were equal to Plaid's then; null: it was never read to its end */
  verified_at: string | null;
  /** rows that Plaid has */
  rows: number;
  /** null where the item has the resource's product, and the integration enables it if it must */
  absent: ShownAbsence | null;
}

/** The state of every resource that an item can have, in the order of their declaration. */
export const resourcesOfItem = (q: Queryable, integrationId: string, itemId: string): Promise<ResourceState[]> =>
  resourcesOfSubject(q, { integrationId, kind: "item", id: itemId });

/** The same of any subject. */
export async function resourcesOfSubject(
  q: Queryable,
  { integrationId, kind, id }: { integrationId: string; kind: string; id: string },
): Promise<ResourceState[]> {
  type Row = Omit<ResourceState, "verified_at"> & { verified_at: Date | null };
  const { rows } = await q.query<Row>(FRESHNESS, [integrationId, kind, id]);
  const known = new Map(rows.map((row) => [row.resource, row]));
  const enabled = requestable(kind, await enabledOf(q, integrationId));
  return resourcesOf(kind).map((resource) => {
    const { verified_at = null, rows: count = 0, absent = null } = known.get(resource.name) ?? {};
    return {
      resource: resource.name,
      verified_at: verified_at?.toISOString() ?? null,
      rows: count,
      absent: enabled.includes(resource) ? absent : "not_enabled",
    };
  });
}
