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
import {
  hasKey,
  keyColumns,
  keyNames,
  nameOf,
  own,
  packed,
  primaryKey,
  rowsOf,
  rowsToWrite,
  sameKey,
  statementName,
  type Mirrored,
} from "./rows.ts";
import { ROW_BYTES_MIN } from "./change-queries.ts";
import { isMaskedAway } from "./masks.ts";
import { checkedKey, checkedRow, fits, keysOf, literal, valueOf } from "./values.ts";

/** More keys than this are not carried along: to look through all rows of the subject once costs less. */
export const KEYS_MAX = 2000;

/** A page is $3 or, when that is null, what is staged under lease $4, resource $5, number $6. */
export const PAGE = `coalesce($3::text, (select payload from mirror.staged_pages
    where lease_token = $4 and resource = $5 and page = $6))::jsonb`;

const upsertName = ({ revealed = false }: Mirrored, careful: boolean, exact: boolean): string =>
  `upsert${exact ? "_exact" : ""}${careful ? "_careful" : ""}${revealed ? "_revealed" : ""}`;

/** The values of a table's columns in `row`, which is masked unless `of` is revealed. */
export const columnValues = ({ table, revealed = false }: Mirrored, careful: boolean, row = "raw"): string[] =>
  table.columns.map((column) =>
    isMaskedAway(table, revealed, column) ? `null::${column.type}` : valueOf(column, row, careful),
  );

/** For each column whether that of row `t` is not the value in `row`. */
export const columnDiffers = (of: Mirrored, careful: boolean, t: string, row: string): string[] =>
  columnValues(of, careful, row).map((value, n) => `${t}.${of.table.columns[n]?.name} is distinct from (${value})`);

/**
 * Inserts and updates the rows of one page that differ from the mirror's, and takes back removals. Each row is looked
 * up once (limit 1: by index, for any estimate of the table's size), then written only if it changed.
 * $1 integration, $2 subject, $3…$6 the page, $7 given facts as jsonb, if any are. A run holds the subject's lease, so
 * nobody else writes these rows meanwhile. Of the row that stands for the subject it yields what it was before.
 *
 * Sensitive fields are masked before a row is compared or written, unless `of` is revealed.
 *
 * It fails on a value that does not fit its column, unless it is `careful`: then such a value is null, and a row without
 * a key is passed over.
 *
 * If it is `exact`, it also writes rows whose columns are not what their `raw` says.
 */
export const upsertPage = (of: Mirrored, careful = false, exact = false): Statement => ({
  name: statementName(of, upsertName(of, careful, exact)),
  text: `${upsert(of, careful, exact)}
select ${newsCounts(of)} from news`,
});

/**
 * The same of a page that is the whole reading: it also removes what the page lacks, since a statement of its own for that would read the
 * page once more. Not for the row that stands for the subject.
 */
export const replaceByPage = (of: Mirrored): Statement => ({
  name: statementName(of, of.revealed === true ? "replace_revealed" : "replace"),
  text: `${upsert(of, false, false)}, gone as materialized (
  select ${goneColumns(of)}, t.raw from ${nameOf(of)} t
  where ${own(of, "t")} and t.removed_at is null and not exists (select from page p where ${sameKey(of, "t", "p")})
), ${removal(of, "taken")}
select n.added + g.added as added, n.modified + g.modified as modified, n.removed + g.removed as removed, n.keys || g.keys as keys,
  n.bytes + g.bytes as bytes
from (select ${newsCounts(of)} from news) n, (select ${goneCounts(of)}, ${bytesOf} from gone) g`,
});

const bytesOf = `coalesce(sum(greatest(pg_column_size(raw), ${ROW_BYTES_MIN})), 0)::float8 as bytes`;

/** What became of the rows in `news`. */
const newsCounts = (of: Mirrored): string => `
  count(*) filter (where not known or (not current and (fresh or not touched)))::int as added,
  (count(*) filter (where known and current and not touched)
    + count(*) filter (where known and not current and touched and not fresh))::int as modified,
  -count(*) filter (where known and not current and touched and not fresh)::int as removed,
  array_agg(${packed(of)}) as keys, ${bytesOf}${of.table.key.length === 0 ? ", (select before from news where current) as before" : ""}`;

/** The steps that both begin with. */
function upsert(of: Mirrored, careful: boolean, exact: boolean): string {
  const { table } = of;
  const { columns, given = [] } = table;
  const keys = keyNames(of);
  const key = keys.join(", ");
  const root = table.key.length === 0;
  const names = [...columns.map(({ name }) => name), ...given, "raw"];
  const values = columnValues(of, careful);
  values.push(...given.map(givenValue), careful ? "raw" : checkedRow(table, "raw"));
  const fitting = table.key.map((field) => fits(`e -> ${literal(field)}`, "key")).join(" and ");
  const checkedKeys = root ? [] : keys.map((name) => checkedKey(name, careful));
  const beside = [...given, ...(exact ? columns.map(({ name }) => name) : [])];
  return `
with page as materialized (
  select distinct on (${key}) ${key}, raw
  from (select ${keysOf(table, "e")
    .map((value, n) => `${value} as ${keys[n]}`)
    .join(", ")}, e as raw, place, n
    from (select ${PAGE} as body offset 0) b, lateral (${rowsToWrite(of, "body")}) x ${careful && !root ? `where ${fitting}` : ""}) elements
  order by ${key}, place desc, n desc
), news as materialized (
  select ${keys.map((name) => `p.${name}`).join(", ")}, p.raw${root ? ", t.raw as before" : ""},
    t.added_at is not null as known, t.removed_at is null as current,
    t.changed_at = now() as touched, t.added_at = now() as fresh
  from page p left join lateral (
    select raw, added_at, changed_at, removed_at${beside.map((name) => `, ${name}`).join("")} from ${nameOf(of)} t
    where ${own(of, "t")} and ${sameKey(of, "t", "p")} limit 1) t on true
  where t.added_at is null or t.removed_at is not null or ${differs(of, careful, exact)}
), written as (
  insert into ${nameOf(of)} as t (integration_id, ${primaryKey(of).join(", ")}, ${names.join(", ")})
  select ${[...ownerValues(of), ...checkedKeys, ...values].join(", ")} from news
  on conflict (integration_id, ${primaryKey(of).join(", ")}) do update set ${names.map((name) => `${name} = excluded.${name}`).join(", ")},
    added_at = case when t.removed_at is null or (t.changed_at = now() and t.added_at < now()) then t.added_at else now() end,
    changed_at = now(), removed_at = null
)`;
}

/** Whether the row `t` is not what `p.raw` says; `exact`: its columns too. */
function differs(of: Mirrored, careful: boolean, exact: boolean): string {
  const given = (of.table.given ?? []).map((name) => `t.${name} is distinct from ${givenValue(name)}`);
  return ["t.raw is distinct from p.raw", ...given, ...(exact ? columnDiffers(of, careful, "t", "p.raw") : [])].join(
    " or ",
  );
}

const givenValue = (name: string): string => `$7::jsonb ->> ${literal(name)}`;

const ownerValues = ({ resource }: Mirrored): string[] => (resource.subject.column === null ? ["$1"] : ["$1", "$2"]);

/** What both kinds of removal end with: `gone` holds the keys of current rows to be removed. */
const removeGone = (of: Mirrored): string => `
, ${removal(of, "written")}
select ${goneCounts(of)}
from gone`;

const removal = (of: Mirrored, step: string): string => `${step} as (
  update ${nameOf(of)} as t set removed_at = now(), changed_at = now() from gone
  where ${own(of, "t")} and ${sameKey(of, "t", "gone")}
)`;

const goneCounts = (of: Mirrored): string =>
  `-count(*) filter (where fresh)::int as added, -count(*) filter (where touched and not fresh)::int as modified,
  count(*) filter (where not fresh)::int as removed,
  array(select ${packed(of)} from gone limit ${KEYS_MAX + 1}) as keys`;

const goneColumns = (of: Mirrored): string =>
  `${keyColumns(of)
    .map((column, n) => `t.${column} as ${keyNames(of)[n]}`)
    .join(", ")}, t.changed_at = now() as touched, t.added_at = now() as fresh`;

/** Removes the rows that a page of a cursor loop names as removed. $1…$6 as in upsertPage. */
export function removePage(of: Mirrored, removals: string): Statement {
  const { table } = of;
  const names = keyNames(of);
  return {
    name: statementName(of, "remove"),
    text: `
with gone as materialized (
  select ${goneColumns(of)}
  from (select distinct ${keysOf(table, "e")
    .map((value, n) => `${value} as ${names[n]}`)
    .join(", ")}
    from (select ${PAGE} as body offset 0) b, lateral (${rowsOf({ ...table, rows: [{ at: removals }] }, "body")}) x) r
  join ${nameOf(of)} t on ${own(of, "t")} and ${sameKey(of, "t", "r")}
  where t.removed_at is null
)${removeGone(of)}`,
  };
}

/** The keys in all pages of a reading. $3 the last page's text, $4 lease, $5 resource of the staged ones. */
const seenKeys = (of: Mirrored): string => `
with pages as (
  select $3::jsonb as body where $3::text is not null
  union all select payload::jsonb from mirror.staged_pages where lease_token = $4 and resource = $5
), seen as materialized (
  select ${keysOf(of.table, "e")
    .map((value, n) => `${value} as ${keyNames(of)[n]}`)
    .join(", ")} from pages, lateral (${rowsOf(of.table, "body")}) x
)`;

/** The current rows that no page held, as far as the condition holds for them, are gone. */
const removeOthers = (of: Mirrored, condition = "true"): string => `${seenKeys(of)}, gone as materialized (
  select ${goneColumns(of)} from ${nameOf(of)} t
  where ${own(of, "t")} and t.removed_at is null and ${condition}
    and not exists (select from seen where ${sameKey(of, "t", "seen")})
)${removeGone(of)}`;

/**
 * Removes what no page of a full reading held. $3…$5 as in seenKeys. `within`: of the rows whose day, in that column, is from
 * $6 to $7.
 */
export const removeUnseen = (of: Mirrored, within: string | null = null): Statement => ({
  name: statementName(of, within === null ? "unseen" : "unseen_within"),
  text: removeOthers(of, within === null ? "true" : `t.${within} between $6::date and $7::date`),
});

/** Removes what no page held and no current row of the other table names, which has the columns of the key. $3…$5 as in seenKeys. */
export const removeUnnamed = (of: Mirrored, by: Mirrored): Statement => ({
  name: statementName(of, "unnamed"),
  text: removeOthers(
    of,
    `not exists (select from ${nameOf(by)} r where ${own(by, "r")} and r.removed_at is null
      and ${keyColumns(of)
        .map((column) => `r.${column} = t.${column}`)
        .join(" and ")})`,
  ),
});

/** Whether the subject has rows that are not removed. $1 integration, $2 subject (so too below). */
export const hasRows = (of: Mirrored): Statement => ({
  name: statementName(of, "has_rows"),
  text: `select exists (select from ${nameOf(of)} t where ${own(of, "t")} and t.removed_at is null) as found`,
});

export const countRows = (of: Mirrored): Statement => ({
  name: statementName(of, "count"),
  text: `select count(*)::int as rows from ${nameOf(of)} t where ${own(of, "t")} and t.removed_at is null`,
});

/** Removes all rows of a subject. */
export const removeAll = (of: Mirrored): Statement => ({
  name: statementName(of, "remove_all"),
  text: `
with gone as materialized (
  select ${goneColumns(of)} from ${nameOf(of)} t where ${own(of, "t")} and t.removed_at is null
)${removeGone(of)}`,
});

/** Columns of all current rows, in the order of their keys. */
export const listRows = (of: Mirrored, columns: readonly string[]): Statement => ({
  name: statementName(of, `list_${columns.join("_")}`).slice(0, 63),
  text: `select ${columns.join(", ")} from ${nameOf(of)} t
where ${own(of, "t")} and t.removed_at is null order by ${keyColumns(of)
    .map((column) => `t.${column}`)
    .join(", ")}`,
});

/** What the row that stands for the subject looked like at Plaid. */
export const rootRow = (of: Mirrored): Statement => ({
  name: statementName(of, "root_row"),
  text: `select raw from ${nameOf(of)} t where ${own(of, "t")} and t.removed_at is null`,
});

/** The subject that a column of the row that stands for this one names. */
export const rootLead = (of: Mirrored, column: string): Statement => ({
  name: statementName(of, `lead_${column}`),
  text: `select t.${column} as id from ${nameOf(of)} t where ${own(of, "t")}`,
});

/** The same, and whether it was removed. */
export const anyRootRow = (of: Mirrored): Statement => ({
  name: statementName(of, "any_root_row"),
  text: `select raw, removed_at is not null as removed from ${nameOf(of)} t where ${own(of, "t")}`,
});

/** The ids that a column of the subject's current rows names, as `id`: part of a statement. */
export const referenced = (of: Mirrored, column: string): string =>
  named(`select distinct ${idsIn(of, column)} as id from ${nameOf(of)} t
    where ${own(of, "t")} and t.removed_at is null and t.${column} is not null`);

/** The ids that a column holds: its value, or each element of a list. */
const idsIn = ({ table }: Mirrored, column: string): string =>
  table.columns.some(({ name, type }) => name === column && type === "text[]") ? `unnest(t.${column})` : `t.${column}`;

/** The same of the rows that this transaction has added or modified; `keys`: only those with a key in $3. */
export const referencedByChanged = (of: Mirrored, column: string, by: "keys" | "all"): string => {
  const changed = `${own(of, "t")} and t.removed_at is null and t.changed_at = now() and t.${column} is not null`;
  if (by === "all") return named(`select distinct ${idsIn(of, column)} as id from ${nameOf(of)} t where ${changed}`);
  return named(`select distinct r.id from unnest($3::text[]) k (key), lateral (
    select ${idsIn(of, column)} as id from (
      select * from ${nameOf(of)} t where ${hasKey(of, "t", "k.key")} and ${changed} limit 1) t) r`);
};

/** Plaid writes an empty text where an event of the ledger is about no transfer. */
const named = (ids: string): string => `select id from (${ids}) ids where id <> ''`;

/** Says since when the row that stands for the subject is known to be true: $3. */
export const verifyRow = (of: Mirrored): Statement => ({
  name: statementName(of, "verify"),
  text: `update ${nameOf(of)} as t set verified_at = $3 where ${own(of, "t")} and t.verified_at is distinct from $3::timestamptz`,
});

/* Staged pages. The caller holds the lease that they are staged under. */

/**
 * Keeps a page if the SELECT `guard`, whose values are $1 to $`taken`, yields a row. Behind them: lease, resource, number, text. It is one
 * statement, since a long history has many pages, and each further round trip for one costs as much as keeping it.
 */
export const stagePageIf = (guard: Statement, taken: number): Statement => ({
  name: `mirror_stage_page_if_${guard.name}`,
  text: `
with allowed as materialized (${guard.text})
insert into mirror.staged_pages (lease_token, resource, page, payload)
select $${taken + 1}::uuid, $${taken + 2}::text, $${taken + 3}::int, $${taken + 4}::text from allowed
on conflict (lease_token, resource, page) do update set payload = excluded.payload`,
});

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

/** A page that is staged. $1 lease, $2 resource, $3 number. */
export const STAGED_TEXT: Statement = {
  name: "mirror_staged_text",
  text: "select payload from mirror.staged_pages where lease_token = $1 and resource = $2 and page = $3",
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
