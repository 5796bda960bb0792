/**
 * How a value of Plaid's becomes the value of a column. Two ways: the usual one fails, by an error of SQLSTATE class 22 or
 * 23, when a value does not fit; the careful one asks mirror.fits of each value, and what does not fit is null. The first is
 * fast, so the second is used only for a run in which the first one has failed.
 */
import type { Column, ColumnType, Table } from "../resources/types.ts";

export const literal = (name: string): string => `'${name.replaceAll("'", "''")}'`;
export const at = (row: string, path: readonly string[]): string => [row, ...path.map(literal)].join(" -> ");

/** A name of a path, and whether it leads into each element of an array. */
interface Step {
  name: string;
  each: boolean;
}

/** The steps of `accounts[].owners`. */
export const stepsOf = (at: string): Step[] =>
  at.split(".").map((step) => ({ name: step.replace(/\[\]$/, ""), each: step.endsWith("[]") }));

/** The fields of a row's key, as text. */
export const keysOf = ({ key }: Table, row: string): string[] =>
  key.length === 0 ? ["$2::text"] : key.map((field) => `${row} ->> ${literal(field)}`);

/** What mirror.fits knows besides the types of columns: text that stands in an index, numbers as text, objects, and keys. */
type Expected = ColumnType | "id" | "decimal" | "object" | "key";

export const fits = (value: string, expected: Expected): string => `mirror.fits(${value}, ${literal(expected)})`;

export function expectedOf({ name, type, asText }: Column): Expected {
  if (asText) return "decimal";
  return type === "text" && name.endsWith("_id") ? "id" : type;
}

/** Text of a JSON array or object is a date to no version of Postgres, so this fails. */
const failOn = (text: string): string => `((${text})::date)::text`;
const isNested = (text: string): string => `ascii(${text}) in (91, 123)`;

/** The value of a column in a row. */
export function valueOf(column: Column, row: string, careful: boolean): string {
  const value = at(row, column.path);
  const asText = `${at(row, column.path.slice(0, -1))} ->> ${literal(column.path.at(-1) ?? "")}`;
  const taken = column.asText ? decimalOf(asText) : take(column.type, value, asText, careful);
  return careful ? `case when ${fits(value, expectedOf(column))} then ${taken} end` : taken;
}

/** "NaN" and "1e3" are numbers to Postgres, but not to Plaid; one of more digits than Postgres takes would fail in every way. */
const decimalOf = (text: string): string =>
  `(case when ${text} ~ '^-?[0-9]{1,100}([.][0-9]{1,100})?$' then ${text} else (${text}) || ' does not fit' end)::numeric`;

function take(type: ColumnType, value: string, asText: string, careful: boolean): string {
  if (type === "jsonb") return `nullif(${value}, 'null')`;
  // From jsonb only numbers and booleans become these.
  if (type === "numeric" || type === "boolean") return `nullif(${value}, 'null')::${type}`;
  // Of what is no array there are no elements: that fails too.
  if (type === "text[]")
    return `case when nullif(${value}, 'null') is not null then array(select jsonb_array_elements_text(${value})) end`;
  if (type === "text") {
    if (careful) return asText;
    return `case when ${isNested(asText)} and jsonb_typeof(${value}) <> 'string' then ${failOn(asText)} else ${asText} end`;
  }
  // "now", "infinity" and a date whose order depends on a setting are dates to Postgres, but not to Plaid.
  return `(case when ${asText} like '____-__-__%' then ${asText} else (${asText}) || ' does not fit' end)::${type}`;
}

/** The objects inside a row that columns are read from. */
export function parentsOf({ columns }: Table): string[][] {
  const nested = columns.map(({ path }) => path.slice(0, -1)).filter((path) => path.length > 0);
  return [...new Map(nested.map((path) => [path.join("."), path])).values()];
}

/** The row, unless something stands in it where an object is expected: then it fails. */
export function checkedRow(table: Table, row: string): string {
  const unfit = parentsOf(table).map((path) => `jsonb_typeof(nullif(${at(row, path)}, 'null')) <> 'object'`);
  if (unfit.length === 0) return row;
  return `case when ${unfit.join(" or ")} then ${failOn(`jsonb_typeof(${row})`)}::jsonb else ${row} end`;
}

/** A field of the key, unless it is empty or no text; a row without one fails by itself. */
export const checkedKey = (key: string, careful: boolean): string =>
  careful ? key : `case when ${key} = '' or ${isNested(key)} then ${failOn(key)} else ${key} end`;
