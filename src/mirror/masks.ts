/**
 * Masks the sensitive fields of rows (Table.sensitive) in the statements that write them, so that typed columns, `raw` and the events
 * about a row all hold the masked value. mirror.masked, in SQL, masks one field; a field whose mask is `token` is masked even where
 * the integration reveals the resource.
 */
import { MASKABLE, type Column, type Table } from "../resources/types.ts";
import { literal, stepsOf } from "./values.ts";

/** The masked fields of a table: their paths, and how each is masked. */
function masksOf({ sensitive = {} }: Pick<Table, "sensitive">, revealed: boolean): [path: string[], mask: string][] {
  return Object.entries(sensitive)
    .filter(([, mask]) => mask === "token" || !revealed)
    .map(([path, mask]) => [stepsOf(path).map(({ name }) => name), mask]);
}

/** A row with its sensitive fields masked. */
export function maskedRow(table: Pick<Table, "sensitive" | "rarelySensitive">, revealed: boolean, row: string): string {
  const masks = masksOf(table, revealed);
  const masked = masks.reduce(
    (inner, [path, mask]) => `mirror.masked(${inner}, array[${path.map(literal).join(", ")}], ${literal(mask)})`,
    row,
  );
  if (!table.rarelySensitive || masks.length === 0) return masked;
  const found = masks.map(
    ([path]) => `jsonb_path_exists(${row}, ${literal(`$${path.map((name) => `."${name}"`).join("")} ? (@ != null)`)})`,
  );
  return `case when ${found.join(" or ")} then ${masked} else ${row} end`;
}

/** Rows (e, place, n) with their sensitive fields masked. `offset 0` lets Postgres mask each row once, however often it is named. */
export function maskedRows(table: Table, revealed: boolean, rows: string): string {
  if (masksOf(table, revealed).length === 0) return rows;
  return `select ${maskedRow(table, revealed, "u.e")} as e, u.place, u.n from (${rows}) u offset 0`;
}

const startsWith = (path: readonly string[], start: readonly string[]): boolean =>
  start.every((name, n) => path[n] === name);

/** Whether a column's value is, or holds, or is inside a masked field. */
export const isMasked = (table: Pick<Table, "sensitive">, revealed: boolean, { path }: Column): boolean =>
  masksOf(table, revealed).some(([masked]) => startsWith(path, masked) || startsWith(masked, path));

/** Whether a column is null because its type cannot hold a masked value, such as a date. */
export const isMaskedAway = (table: Pick<Table, "sensitive">, revealed: boolean, column: Column): boolean =>
  !MASKABLE.has(column.type) && column.type !== "boolean" && isMasked(table, revealed, column);
