/**
 * Compares a page of Plaid's answer with the mirror, row for row and column for column, before the page is applied: the proof that the
 * mirror is right, or what of it was not. Typed columns are compared with what Plaid's row says they are, so a value that was changed in
 * the database shows although `raw` is still Plaid's. Both sides are masked as the mirror masks them.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { columnDiffers, columnValues, PAGE } from "./queries.ts";
import { keyNames, nameOf, own, packed, rowsToWrite, sameKey, statementName, type Mirrored } from "./rows.ts";
import type { Applied, Compare, Compared, DifferingColumn, DifferingRow } from "./types.ts";
import { keysOf, literal } from "./values.ts";

/** How many rows of a page, and of a reading's table, are named; all are counted. */
export const NAMED_MAX = 100;
/** Longer values are cut. */
const VALUE_MAX = 200;

/**
 * The rows of a page that differ: $1 … $6 as in upsertPage, $7 the keys of rows that changed at Plaid since the mirror's state. Yields
 * how many rows were compared, how many differ and how many of these changed since, and the first of them.
 */
function comparePage(of: Mirrored, careful: boolean): Statement {
  const { table } = of;
  const keys = keyNames(of);
  const values = columnValues(of, careful);
  const typed = table.columns.map(({ name, path }, n) => {
    const both = `to_jsonb((t).${name}), to_jsonb(${values[n]})`;
    return `(${n}, ${literal(name)}, ${literal(path[0] ?? "")}, ${both})`;
  });
  const drifts = columnDiffers(of, careful, "(t)", "raw");
  const present = table.key.map((field) => `coalesce(e ->> ${literal(field)}, '') <> ''`);
  return {
    name: statementName(of, `compare${careful ? "_careful" : ""}${of.revealed ? "_revealed" : ""}`),
    text: `
with page as materialized (
  select distinct on (${keys.join(", ")}) ${keys.join(", ")}, raw
  from (select ${keysOf(table, "e")
    .map((value, n) => `${value} as ${keys[n]}`)
    .join(", ")}, e as raw, place, n
    from (select ${PAGE} as body offset 0) b, lateral (${rowsToWrite(of, "body")}) x
    where ${["true", ...present].join(" and ")}) elements
  order by ${keys.join(", ")}, place desc, n desc
), beside as materialized (
  select ${packed(of)} as key, p.raw, found.t, (found.t).added_at is not null and (found.t).removed_at is null as current
  from page p left join lateral (
    select t from ${nameOf(of)} t where ${own(of, "t")} and ${sameKey(of, "t", "p")} limit 1) found on true
), differing as materialized (
  select key, raw, t, current, current and (t).raw = raw as same, key = any($7::text[]) as news from beside
  where not current or (t).raw is distinct from raw or ${["false", ...drifts].join(" or ")}
), named as (
  select key, current, same, news,
    case when current then (
      select jsonb_agg(jsonb_build_object('column', c.name, 'field', c.field, 'mirror', c.mirror, 'plaid', c.plaid) order by c.n)
      from (values ${[`(-1, '', '', null::jsonb, null::jsonb)`, ...typed].join(", ")}) c (n, name, field, mirror, plaid)
      where c.mirror is distinct from c.plaid) end as columns,
    case when current and not same then (
      select jsonb_agg(jsonb_build_object('column', 'raw.' || f.name, 'field', f.name, 'mirror', (t).raw -> f.name, 'plaid', raw -> f.name)
        order by f.name)
      from (select distinct jsonb_object_keys((t).raw || raw) as name) f
      where (t).raw -> f.name is distinct from raw -> f.name) end as fields
  from differing order by same desc nulls last, news, key limit ${NAMED_MAX}
)
select (select count(*) from beside)::int as rows, (select count(*) from differing)::int as differing,
  (select count(*) from differing where news and same is not true)::int as news,
  (select count(*) from differing where same)::int as same,
  (select jsonb_agg(jsonb_build_object('key', key, 'current', current, 'same', same is true, 'news', news,
    'columns', columns, 'fields', fields)) from named) as named`,
  };
}

interface Named {
  key: string;
  current: boolean;
  same: boolean;
  news: boolean;
  columns: Field[] | null;
  fields: Field[] | null;
}
type Field = DifferingColumn & { field: string };
interface Found {
  rows: number;
  differing: number;
  news: number;
  same: number;
  named: Named[] | null;
}

const statements = new Map<string, Statement>();

function statementOf(of: Mirrored, careful: boolean): Statement {
  const id = `${of.table.name} ${careful} ${of.revealed === true}`;
  const statement = statements.get(id) ?? comparePage(of, careful);
  statements.set(id, statement);
  return statement;
}

/** Compares a page; `values` are the first six of upsertPage. */
export async function compared(
  tx: Queryable,
  of: Mirrored,
  values: readonly unknown[],
  { since, mayBeNew, ignored }: Compare,
  careful: boolean,
): Promise<Compared> {
  const keys = [...(since.get(of.table.name) ?? [])];
  const { rows } = await tx.query<Found>(statementOf(of, careful), [...values, keys]);
  const { rows: number = 0, differing = 0, news = 0, same = 0, named } = rows[0] ?? {};
  const found = (named ?? []).map((row) => rowOf(of, row, mayBeNew, ignored));
  const isRoot = of.table.key.length === 0;
  const left = found.filter(({ difference, columns }) => difference !== "differs" || columns.length > 0);
  // Of the one row that stands for the subject, fields that always move count for nothing.
  if (isRoot && left.length === 0) return { rows: number, wrong: 0, mayBeNew: 0, named: [] };
  const wrong = mayBeNew ? same : differing - news;
  return { rows: number, wrong, mayBeNew: differing - wrong, named: left };
}

function rowOf({ table }: Mirrored, row: Named, mayBeNew: boolean, ignored: ReadonlySet<string>): DifferingRow {
  const typed = row.columns ?? [];
  const shown = new Set(typed.map(({ field }) => field));
  const columns = [...typed, ...(row.fields ?? []).filter(({ field }) => !shown.has(field))]
    .filter(({ field }) => !ignored.has(field))
    .map(({ column, mirror, plaid }) => ({ column, mirror: cut(mirror), plaid: cut(plaid) }));
  return {
    table: table.name,
    key: row.key,
    difference: row.current ? "differs" : "missing",
    mayBeNew: !row.same && (mayBeNew || row.news),
    columns,
  };
}

function cut(value: unknown): unknown {
  const text = JSON.stringify(value ?? null);
  if (text.length <= VALUE_MAX) return value ?? null;
  return `${(typeof value === "string" ? value : text).slice(0, VALUE_MAX)}…`;
}

/** The rows that a whole reading lacked and the mirror had, as applying it removed them. */
export function surplus({ table }: Mirrored, { changes, keys }: Applied, { since, mayBeNew }: Compare): Compared {
  const known = since.get(table.name);
  const named = (keys ?? []).map((key): DifferingRow => {
    const isNew = mayBeNew || (known?.has(key) ?? false);
    return { table: table.name, key, difference: "surplus", mayBeNew: isNew, columns: [] };
  });
  const news = mayBeNew ? changes.removed : named.filter((row) => row.mayBeNew).length;
  const wrong = Math.max(0, changes.removed - news);
  return { rows: 0, wrong, mayBeNew: changes.removed - wrong, named: named.toSorted(wrongFirst).slice(0, NAMED_MAX) };
}

const wrongFirst = (one: DifferingRow, other: DifferingRow): number => Number(one.mayBeNew) - Number(other.mayBeNew);

/** Two comparisons as one. */
export const together = (one: Compared, other: Compared): Compared => ({
  rows: one.rows + other.rows,
  wrong: one.wrong + other.wrong,
  mayBeNew: one.mayBeNew + other.mayBeNew,
  named: [...one.named, ...other.named].toSorted(wrongFirst).slice(0, NAMED_MAX),
});
