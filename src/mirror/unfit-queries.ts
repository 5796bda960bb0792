/** The statement that records values which do not fit their columns (see values.ts). */
import type { Queryable, Statement } from "../database/types.ts";
import { PAGE } from "./queries.ts";
import { rowsOf, statementName, type Mirrored } from "./rows.ts";
import { at, expectedOf, keysOf, literal, parentsOf } from "./values.ts";

/**
 * Notes what in a page does not fit; yields each field, and whether it is new for the subject. The pages of one transaction are
 * one reading, whose rows are counted together. $1…$6 as in upsertPage, $7
 * the kind of subject.
 */
export function noteUnfit(of: Mirrored): Statement {
  const { table } = of;
  const columns = table.columns.map((column) => [column.path, expectedOf(column)] as const);
  const parents = parentsOf(table).map((path) => [path, "object"] as const);
  const keys = table.key.map((field) => [[field], "key"] as const);
  const checks = [...keys, ...parents, ...columns].map(
    ([path, expected]) => `(${literal(path.join("."))}, ${at("e", path)}, ${literal(expected)})`,
  );
  return {
    name: statementName(of, "unfit"),
    text: `
insert into mirror.unfit_values as u (integration_id, kind, id, resource, table_name, field, expected, found, example, rows)
select $1, $7, $2, $5, ${literal(table.name)}, field, case expected when 'id' then 'text' else expected end,
  min(coalesce(jsonb_typeof(value), 'missing')), min(left(concat_ws(' ', ${keysOf(table, "e").join(", ")}), 200)), count(*)
from (select ${PAGE} as body offset 0) b, lateral (${rowsOf(table, "body")}) x,
  lateral (values ${checks.join(",\n    ")}) checks (field, value, expected)
where not mirror.fits(value, expected)
group by field, expected
on conflict (integration_id, kind, id, table_name, field) do update set expected = excluded.expected, found = excluded.found,
  example = excluded.example, rows = case when u.seen_at = now() then u.rows else 0 end + excluded.rows, seen_at = now()
returning resource, table_name as "table", field, expected, found, xmax = 0 as new`,
  };
}

const UNFIT_OF_SUBJECT: Statement = {
  name: "mirror_unfit_of_subject",
  text: `select resource, table_name as "table", field, expected, found, example, rows, seen_at from mirror.unfit_values
where integration_id = $1 and kind = $2 and id = $3 order by resource, table_name, field`,
};

/** A value that does not fit its column, as it may be shown; instants are ISO 8601. */
export interface UnfitRecord {
  resource: string;
  /** the one of the resource's tables that holds the row */
  table: string;
  /** path of the value in the row's object, joined by dots */
  field: string;
  /** what the column holds; `key` for a row that could not be kept at all */
  expected: string;
  /** the value's JSON type, or `missing` */
  found: string;
  /** key of a row that holds such a value */
  example: string | null;
  /** how many such rows the latest reading held that had any */
  rows: number;
  seen_at: string;
}

/** What of an item does not fit its columns. */
export async function unfitValues(q: Queryable, integrationId: string, itemId: string): Promise<UnfitRecord[]> {
  type Row = Omit<UnfitRecord, "seen_at"> & { seen_at: Date };
  const { rows } = await q.query<Row>(UNFIT_OF_SUBJECT, [integrationId, "item", itemId]);
  return rows.map((row) => ({ ...row, seen_at: row.seen_at.toISOString() }));
}
