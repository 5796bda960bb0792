/**
 * The statements that tell what a run has changed, out of the marks that the run left on the rows (see queries.ts): as one
 * step from before the run to after it, so that the rows are exactly those that were counted. A row that was added and
 * removed again is not among them.
 */
import type { Statement } from "../database/types.ts";
import { hasKey, nameOf, own, statementName, type Mirrored } from "./rows.ts";

/** A part holds so many bytes of rows, about: a body of 100 kB is what receivers commonly take. */
export const PART_BYTES = 76_000;
const PART_ROWS = 100;
/** A small row counts as a hundredth of a part, so that one measure keeps both limits. */
export const ROW_BYTES_MIN = PART_BYTES / PART_ROWS;

/** Near enough the size of the text, at a fifth of what making it costs; a compressed value does not tell. */
const SIZE =
  "case when pg_column_compression(t.raw) is null then pg_column_size(t.raw) else octet_length(t.raw::text) end";

/** Touched in this transaction, and not as if it had never been. */
const TOUCHED = "t.changed_at = now() and not (t.removed_at is not null and t.added_at = now())";

/** Where a row lies names it well enough: nobody else writes the subject's rows meanwhile, and they lie in one table. */
const CHANGE =
  "case when t.removed_at is not null then 'removed' when t.added_at = now() then 'added' else 'modified' end as change";
const LOOKED_AT = `t.ctid as at, ${CHANGE},
    greatest(${SIZE}, ${ROW_BYTES_MIN}) as size`;

/** By keys, each row is looked up by itself (limit 1: by index, for any estimate of the table's size). */
const touched = (of: Mirrored, by: "keys" | "all"): string =>
  by === "all"
    ? `select ${LOOKED_AT} from ${nameOf(of)} t where ${own(of, "t")} and ${TOUCHED}`
    : byKeys(of, LOOKED_AT);

const byKeys = (of: Mirrored, columns: string): string => `select r.* from unnest($5::text[]) k (key), lateral (
    select ${columns} from ${nameOf(of)} t
    where ${own(of, "t")} and ${hasKey(of, "t", "k.key")} and ${TOUCHED} limit 1) r`;

/** Each row is fetched from its place (offset 0: before any other condition, against the planner's preference). */
const rowsAt = (of: Mirrored, places: string): string => `(
  select string_agg(t.raw::text, ',') from unnest(${places}) p (at),
    lateral (select * from ${nameOf(of)} r where r.ctid = p.at offset 0) t where ${own(of, "t")})`;

/**
 * What a run has changed, in parts. $1 integration, $2 subject, $3 the run, $4 its counts as JSON, $5 the keys, if they are
 * known.
 *
 * A part ends with the row that reaches its size. First the rows are only placed; then each part is made from its own rows, in the order in which it was placed (to
 * sort them when they are made would write them to disk once more), so that no more than one part is in memory.
 *
 * `one_part` is by keys, for rows that are known to fit one part: nearly every run has only such. Most of what a statement so small
 * costs is its beginning, which grows with its text.
 */
export function changedRows(of: Mirrored, by: "keys" | "all" | "one_part"): Statement {
  if (by === "one_part") return onePart(of);
  const placesOf = (change: string): string => `array_agg(at) filter (where change = '${change}') as ${change}`;
  return {
    name: statementName(of, `changed_by_${by}`),
    text: `
with touched as (
  ${touched(of, by)}
), placed as (
  select at, change, (sum(size) over (rows unbounded preceding) - size) / ${PART_BYTES} as place from touched
), parts as materialized (
  select (row_number() over (order by place))::int as part, count(*) over () as parts, added, modified, removed
  from (select place, ${["added", "modified", "removed"].map(placesOf).join(", ")} from placed group by place) p
  order by part
)
select part, concat('{"run_id":', to_json($3::text), ',"part":', part, ',"parts":', parts, ',"counts":', $4::text,
  ',"added":[', ${rowsAt(of, "added")},
  '],"modified":[', ${rowsAt(of, "modified")},
  '],"removed":[', ${rowsAt(of, "removed")}, ']}') as data
from parts`,
  };
}

function onePart(of: Mirrored): Statement {
  const rowsOf = (change: string): string => `string_agg(raw::text, ',') filter (where change = '${change}')`;
  return {
    name: statementName(of, "changed_in_one_part"),
    text: `
select 1 as part, concat('{"run_id":', to_json($3::text), ',"part":1,"parts":1,"counts":', $4::text,
  ',"added":[', ${rowsOf("added")},
  '],"modified":[', ${rowsOf("modified")},
  '],"removed":[', ${rowsOf("removed")}, ']}') as data
from (${byKeys(of, `t.raw, ${CHANGE}`)}) touched having count(*) > 0`,
  };
}
