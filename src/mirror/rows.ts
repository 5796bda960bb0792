/**
 * How the statements of the mirror name a table, its rows and their keys. A key has one field or several; between the steps
 * of a statement it is `key`, or `key1`, `key2` …, and where it is carried along it is one text.
 */
import type { Resource, RowsAt, Table } from "../resources/types.ts";
import { maskedRows } from "./masks.ts";
import { literal, stepsOf } from "./values.ts";

/** One table of a resource. */
export interface Mirrored {
  resource: Resource;
  table: Table;
  /** whether its rows are written as Plaid has them, where the resource declares fields that are masked otherwise */
  revealed?: boolean;
}

export const tablesOf = (resource: Resource): Mirrored[] => resource.tables.map((table) => ({ resource, table }));

/** Postgres cuts the names of statements at 63 characters, and the statement of an event has `events_` in front. */
const NAME_MAX = 63 - "events_".length;

export function statementName({ table }: Mirrored, what: string): string {
  const name = `mirror_${table.name}_${what}`;
  return name.length > NAME_MAX ? `m_${table.name}_${what}` : name;
}
export const nameOf = ({ table }: Mirrored): string => `plaid.${table.name}`;

export const own = ({ resource: { subject } }: Mirrored, alias: string): string =>
  `${alias}.integration_id = $1 and ${subject.column === null ? "$2::text is not null" : `${alias}.${subject.column} = $2`}`;

/** The columns behind integration and subject that tell rows apart; of the one row, the subject's own. */
export const keyColumns = ({ resource, table: { key } }: Mirrored): readonly string[] =>
  key.length === 0 ? subjectColumns(resource) : key;

/** The column of the subject's id; none where an integration has one such subject only. */
const subjectColumns = ({ subject: { column } }: Resource): string[] => (column === null ? [] : [column]);

/** What the fields of a key are called between the steps of a statement. */
export const keyNames = ({ table: { key } }: Mirrored): string[] =>
  key.length < 2 ? ["key"] : key.map((_, n) => `key${n + 1}`);

/** Whether the row `alias` has the key that `from` holds under the names of keyNames. */
export const sameKey = (of: Mirrored, alias: string, from: string): string =>
  keyColumns(of)
    .map((column, n) => `${alias}.${column} = ${from}.${keyNames(of)[n]}`)
    .join(" and ");

/** A key as one text, as it is carried along: of several fields, a JSON array. */
export const packed = (of: Mirrored): string => {
  const names = keyNames(of);
  return names.length === 1 ? "key" : `jsonb_build_array(${names.join(", ")})::text`;
};

/** Whether the row `alias` has the key that the text `key` holds. */
export const hasKey = (of: Mirrored, alias: string, key: string): string => {
  const columns = keyColumns(of);
  if (columns.length === 1) return `${alias}.${columns[0]} = ${key}`;
  return columns.map((column, n) => `${alias}.${column} = ${key}::jsonb ->> ${n}`).join(" and ");
};

/** The columns of the primary key behind integration_id. */
export const primaryKey = ({ resource, table }: Mirrored): string[] => [...subjectColumns(resource), ...table.key];

/** The rows of a page as they are written: rowsOf, with the sensitive fields masked. */
export const rowsToWrite = ({ table, revealed = false }: Mirrored, page: string): string =>
  maskedRows(table, revealed, rowsOf(table, page));

/**
 * The rows of a page as (e, place, n), in the order in which they count: the last word on a row wins. Places are read one
 * by one, since joining the arrays first would copy every row.
 */
export function rowsOf({ rows, key }: Table, page: string): string {
  return rows.map((at, place) => rowsAt(at, page, place, at.one === true || key.length === 0)).join(" union all ");
}

/** An array around the rows, each element of which is `alias`. */
interface Around {
  /** such as `items[].accounts[]` */
  path: string;
  alias: string;
  from: string;
}

function rowsAt(place: RowsAt, page: string, number: number, isOne: boolean): string {
  if (place.at === "")
    return `select ${shaped(`${page} - 'request_id'`, place, { within: page, number: "1", arrays: [] })} as e, ${number} as place, 1 as n`;
  const steps = place.at.split(".");
  const last = stepsOf(steps.pop() ?? "")[0]?.name ?? "";
  const { arrays, within } = arraysAround(steps, page);
  const value = `nullif(${within} -> ${literal(last)}, 'null')`;
  if (isOne && place.whose === undefined) {
    const present = place.nullable || place.optional ? ` where ${value} is not null` : "";
    return `select ${shaped(value, place, { within, number: "1", arrays })} as e, ${number} as place, 1 as n${present}`;
  }
  const elements = `jsonb_array_elements(${value}) with ordinality as x (e, n)`;
  const row = shaped("x.e", place, { within, number: countedIn(place.numberedWithin, arrays), arrays });
  const mine = place.whose === undefined ? "" : ` where ${fieldAround(place.whose, "x.e", arrays, "->>")} = $2`;
  if (arrays.length === 0) return `select ${row} as e, ${number} as place, n from ${elements}${mine}`;
  return `select ${row} as e, ${number} as place, row_number() over (order by ${orderOf(arrays)}) as n
    from ${[...arrays.map(({ from }) => from), elements].join(", lateral ")}${mine}`;
}

function arraysAround(steps: readonly string[], page: string): { arrays: Around[]; within: string } {
  const arrays: Around[] = [];
  let within = page;
  for (const [n, step] of steps.entries()) {
    const [{ name, each } = { name: "", each: false }] = stepsOf(step);
    within = `${within} -> ${literal(name)}`;
    if (!each) continue;
    const alias = `a${arrays.length}`;
    const from = `jsonb_array_elements(nullif(${within}, 'null')) with ordinality as ${alias} (e, n)`;
    arrays.push({ path: steps.slice(0, n + 1).join("."), alias, from });
    within = `${alias}.e`;
  }
  return { arrays, within };
}

const orderOf = (arrays: readonly Around[]): string => [...arrays.map(({ alias }) => `${alias}.n`), "x.n"].join(", ");

/** The number of a row in its array, or in an element of the array around. */
function countedIn(around: string | undefined, arrays: readonly Around[]): string {
  const outer = arrays.findIndex(({ path }) => path === around);
  if (outer < 0) return "x.n";
  const each = arrays.slice(0, outer + 1).map(({ alias }) => `${alias}.n`);
  return `row_number() over (partition by ${each.join(", ")} order by ${orderOf(arrays.slice(outer + 1))})`;
}

/** A field of `element`, or, where the name leads into an array around it, of that one's element. */
function fieldAround(field: string, element: string, arrays: readonly Around[], arrow: "->" | "->>"): string {
  const end = field.lastIndexOf(".");
  const around = end < 0 ? undefined : arrays.find(({ path }) => path === field.slice(0, end));
  return `${around ? `${around.alias}.e` : element} ${arrow} ${literal(field.slice(end + 1))}`;
}

/** A row with what is joined to it, from `within` and the arrays around it and its `number` in its array, and without what is no part of it. */
function shaped(
  row: string,
  { with: around = [], fixed = {}, numbered, without = [] }: RowsAt,
  { within, number, arrays }: { within: string; number: string; arrays: readonly Around[] },
) {
  const joined = [
    ...around.map((field) => [field.slice(field.lastIndexOf(".") + 1), fieldAround(field, within, arrays, "->")]),
    ...Object.entries(fixed).map(([field, text]) => [field, `${literal(text)}::text`]),
    ...(numbered === undefined ? [] : [[numbered, number]]),
  ].map(([field = "", value]) => ` || jsonb_build_object(${literal(field)}, ${value})`);
  return `${row}${without.map((field) => ` - ${literal(field)}`).join("")}${joined.join("")}`;
}
