/**
 * The mirror's statements, built from the resources' declarations. Values are always bound; what is spliced into the
 * text are names and paths that the resource files declare, never data.
 *
 * Rows are read by Postgres out of Plaid's own text: a number that passed through a JavaScript float on its way would
 * not be Plaid's number any more.
 *
 * A run's changes are counted as one step from before the run to after it, however often its pages mention a row. All
 * pages are applied in one transaction, in which now() stands still, so `changed_at = now()` marks a row that this run
 * has touched, and `added_at = now()` one that this run has added.
 */
import type { Statement } from "../database/types.ts";
import type { Resource } from "../resources/types.ts";
import { checkedKey, checkedRow, fits, keyOf, literal, valueOf } from "./values.ts";

/** More keys than this are not carried along: to look through all rows of the subject once costs less. */
export const KEYS_MAX = 2000;

export const statementName = (resource: Resource, what: string): string => `mirror_${resource.name}_${what}`;

/** The columns of the primary key behind integration_id, and what they are compared with in a row `alias`. */
const keyColumns = ({ subject, key }: Resource): string[] => (key === null ? [subject.column] : [subject.column, key]);
export const own = ({ subject }: Resource, alias: string): string =>
  `${alias}.integration_id = $1 and ${alias}.${subject.column} = $2`;
export const tableKey = (resource: Resource, alias: string): string =>
  `${alias}.${resource.key ?? resource.subject.column}`;

/**
 * The rows of a page as (e, place, n), in the order in which they count: the last word on a row wins. Places are read one
 * by one, since joining the arrays first would copy every row.
 */
export function rowsOf({ fetch, key }: Resource, page: string): string {
  const places = fetch.rows.map(({ at, with: beside = [] }, place) => {
    const value = `nullif(${page} -> ${literal(at)}, 'null')`;
    if (key !== null)
      return `select e, ${place} as place, n from jsonb_array_elements(${value}) with ordinality as x (e, n)`;
    const joined = beside.map((field) => ` || jsonb_build_object(${literal(field)}, ${page} -> ${literal(field)})`);
    return `select ${value}${joined.join("")} as e, ${place} as place, 1 as n`;
  });
  return places.join(" union all ");
}

/** A page is $3 or, when that is null, what is staged under lease $4, resource $5, number $6. */
export const PAGE = `coalesce($3::text, (select payload from mirror.staged_pages
    where lease_token = $4 and resource = $5 and page = $6))::jsonb`;

/**
 * Inserts and updates the rows of one page that differ from the mirror's, and takes back removals. Each row is looked
 * up once (limit 1: by index, whatever the planner thinks of the table's size), then written only if it changed.
 * $1 integration, $2 subject, $3…$6 the page, $7 given facts as jsonb, if any are. A run holds the subject's lease, so
 * nobody else writes these rows meanwhile. Of the row that stands for the subject it yields what it was before.
 *
 * It fails on a value that does not fit its column, unless it is `careful`: then such a value is null, and a row without
 * a key is passed over.
 */
export function upsertPage(resource: Resource, careful = false): Statement {
  const { table, columns, given = [] } = resource;
  const keys = keyColumns(resource);
  const root = resource.key === null;
  const names = [...columns.map(({ name }) => name), ...given, "raw"];
  const givenValue = (name: string): string => `$7::jsonb ->> ${literal(name)}`;
  const values = columns.map((column) => valueOf(column, "raw", careful));
  values.push(...given.map(givenValue), careful ? "raw" : checkedRow(resource, "raw"));
  const usable = careful && resource.key !== null ? `where ${fits(`e -> ${literal(resource.key)}`, "key")}` : "";
  const differs = [
    "t.raw is distinct from p.raw",
    ...given.map((name) => `t.${name} is distinct from ${givenValue(name)}`),
  ];
  return {
    name: statementName(resource, careful ? "upsert_careful" : "upsert"),
    text: `
with page as materialized (
  select distinct on (key) key, raw
  from (select ${keyOf(resource, "e")} as key, e as raw, place, n
    from (select ${PAGE} as body offset 0) b, lateral (${rowsOf(resource, "body")}) x ${usable}) elements
  order by key, place desc, n desc
), news as materialized (
  select p.key, p.raw${root ? ", t.raw as before" : ""}, t.added_at is not null as known, t.removed_at is null as current,
    t.changed_at = now() as touched, t.added_at = now() as fresh
  from page p left join lateral (
    select raw, added_at, changed_at, removed_at${given.map((name) => `, ${name}`).join("")} from ${table} t
    where ${own(resource, "t")} and ${tableKey(resource, "t")} = p.key limit 1) t on true
  where t.added_at is null or t.removed_at is not null or ${differs.join(" or ")}
), written as (
  insert into ${table} as t (integration_id, ${keys.join(", ")}, ${names.join(", ")})
  select $1, $2, ${root ? "" : `${checkedKey("key", careful)}, `}${values.join(", ")} from news
  on conflict (integration_id, ${keys.join(", ")}) do update set ${names.map((name) => `${name} = excluded.${name}`).join(", ")},
    added_at = case when t.removed_at is null or (t.changed_at = now() and t.added_at < now()) then t.added_at else now() end,
    changed_at = now(), removed_at = null
)
select
  count(*) filter (where not known or (not current and (fresh or not touched)))::int as added,
  (count(*) filter (where known and current and not touched)
    + count(*) filter (where known and not current and touched and not fresh))::int as modified,
  -count(*) filter (where known and not current and touched and not fresh)::int as removed,
  array_agg(key) as keys${root ? ", (select before from news where current) as before" : ""}
from news`,
  };
}

/** What both kinds of removal end with: `gone` holds the keys of current rows to be removed. */
const removeGone = (resource: Resource): string => `
, written as (
  update ${resource.table} as t set removed_at = now(), changed_at = now() from gone
  where ${own(resource, "t")} and ${tableKey(resource, "t")} = gone.key
)
select -count(*) filter (where fresh)::int as added, -count(*) filter (where touched and not fresh)::int as modified,
  count(*) filter (where not fresh)::int as removed,
  array(select key from gone limit ${KEYS_MAX + 1}) as keys
from gone`;

const goneColumns = (resource: Resource): string =>
  `${tableKey(resource, "t")} as key, t.changed_at = now() as touched, t.added_at = now() as fresh`;

/** Removes the rows that a page of a cursor loop names as removed. $1…$6 as in upsertPage. */
export function removePage(resource: Resource, removals: { at: string; key: string }): Statement {
  return {
    name: statementName(resource, "remove"),
    text: `
with gone as materialized (
  select ${goneColumns(resource)}
  from (select distinct e ->> ${literal(removals.key)} as key
    from (select ${PAGE} as body offset 0) b,
      jsonb_array_elements(coalesce(nullif(body -> ${literal(removals.at)}, 'null'), '[]')) e) r
  join ${resource.table} t on ${own(resource, "t")} and ${tableKey(resource, "t")} = r.key
  where t.removed_at is null
)${removeGone(resource)}`,
  };
}

/** Removes what no page of a full reading held. $3 the last page's text, $4 lease, $5 resource of the staged ones. */
export function removeUnseen(resource: Resource): Statement {
  return {
    name: statementName(resource, "unseen"),
    text: `
with pages as (
  select $3::jsonb as body where $3::text is not null
  union all select payload::jsonb from mirror.staged_pages where lease_token = $4 and resource = $5
), seen as materialized (
  select ${keyOf(resource, "e")} as key from pages, lateral (${rowsOf(resource, "body")}) x
), gone as materialized (
  select ${goneColumns(resource)} from ${resource.table} t
  where ${own(resource, "t")} and t.removed_at is null
    and not exists (select from seen where seen.key = ${tableKey(resource, "t")})
)${removeGone(resource)}`,
  };
}

/** Whether the subject has rows that are not removed. $1 integration, $2 subject (so too below). */
export const hasRows = (resource: Resource): Statement => ({
  name: statementName(resource, "has_rows"),
  text: `select exists (select from ${resource.table} t where ${own(resource, "t")} and t.removed_at is null) as found`,
});

export const countRows = (resource: Resource): Statement => ({
  name: statementName(resource, "count"),
  text: `select count(*)::int as rows from ${resource.table} t where ${own(resource, "t")} and t.removed_at is null`,
});

/** Removes all rows of a subject. */
export const removeAll = (resource: Resource): Statement => ({
  name: statementName(resource, "remove_all"),
  text: `
with gone as materialized (
  select ${goneColumns(resource)} from ${resource.table} t where ${own(resource, "t")} and t.removed_at is null
)${removeGone(resource)}`,
});

/** Columns of all current rows, in the order of their keys. */
export const listRows = (resource: Resource, columns: readonly string[]): Statement => ({
  name: statementName(resource, `list_${columns.join("_")}`).slice(0, 63),
  text: `select ${columns.join(", ")} from ${resource.table} t
where ${own(resource, "t")} and t.removed_at is null order by ${tableKey(resource, "t")}`,
});

/** What the row that stands for the subject looked like at Plaid. */
export const rootRow = (resource: Resource): Statement => ({
  name: statementName(resource, "root_row"),
  text: `select raw from ${resource.table} t where ${own(resource, "t")} and t.removed_at is null`,
});

/** The subject that a column of the row that stands for this one names. */
export const rootLead = (resource: Resource, column: string): Statement => ({
  name: statementName(resource, `lead_${column}`),
  text: `select t.${column} as id from ${resource.table} t where ${own(resource, "t")}`,
});

/** The same, and whether it was removed. */
export const anyRootRow = (resource: Resource): Statement => ({
  name: statementName(resource, "any_root_row"),
  text: `select raw, removed_at is not null as removed from ${resource.table} t where ${own(resource, "t")}`,
});

/** The ids that a column of the subject's current rows names, as `id`: part of a statement. */
export const referenced = (resource: Resource, column: string): string => `
  select distinct t.${column} as id from ${resource.table} t
  where ${own(resource, "t")} and t.removed_at is null and t.${column} is not null`;

/** Says since when the row that stands for the subject is known to be true: $3. */
export const verifyRow = (resource: Resource): Statement => ({
  name: statementName(resource, "verify"),
  text: `update ${resource.table} as t set verified_at = $3 where ${own(resource, "t")} and t.verified_at is distinct from $3::timestamptz`,
});

/* Staged pages. The caller holds the lease that they are staged under. */

/** Keeps a page. $1 lease, $2 resource, $3 number, $4 text. */
export const STAGE_PAGE: Statement = {
  name: "mirror_stage_page",
  text: `insert into mirror.staged_pages (lease_token, resource, page, payload) values ($1, $2, $3, $4)
on conflict (lease_token, resource, page) do update set payload = excluded.payload`,
};

/**
 * Moves the pages before $4 of resource $2 from lease $3 to lease $1 and drops those behind. The payloads stay where they are.
 * Yields how many it moved.
 */
export const ADOPT_STAGED: Statement = {
  name: "mirror_adopt_staged",
  text: `
with behind as (
  delete from mirror.staged_pages where lease_token = $3 and resource = $2 and page >= $4
), adopted as (
  update mirror.staged_pages set lease_token = $1 where lease_token = $3 and resource = $2 and page < $4 returning 1
)
select count(*)::int as pages from adopted`,
};

/** How many pages are staged. $1 lease, $2 resource. */
export const COUNT_STAGED: Statement = {
  name: "mirror_count_staged",
  text: "select count(*)::int as pages from mirror.staged_pages where lease_token = $1 and resource = $2",
};

/** Forgets the pages of a lease ($1): all, or those of one resource ($2). */
export const DROP_STAGED: Statement = {
  name: "mirror_drop_staged",
  text: "delete from mirror.staged_pages where lease_token = $1 and ($2::text is null or resource = $2)",
};

const IS_OLD = "staged_at < now() - interval '1 hour'";

/** The leases and resources that pages were staged under long ago. */
export const OLD_STAGED: Statement = {
  name: "mirror_old_staged",
  text: `select distinct lease_token as "leaseToken", resource from mirror.staged_pages where ${IS_OLD}`,
};

/** Forgets old pages of the leases $1 and resources $2. */
export const DROP_OLD_STAGED: Statement = {
  name: "mirror_drop_old_staged",
  text: `delete from mirror.staged_pages p using unnest($1::uuid[], $2::text[]) as o (lease_token, resource)
where p.lease_token = o.lease_token and p.resource = o.resource and p.${IS_OLD}`,
};
