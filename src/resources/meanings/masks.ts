/**
 * How a column is masked, in words: from what its table declares sensitive, for docs/tables.md, docs/sensitive.md, and the comments that
 * Postgres shows with a table.
 */
import { MASKABLE, type Column, type Table } from "../types.ts";

type Sensitive = Pick<Table, "sensitive">;
export type Mask = NonNullable<Table["sensitive"]>[string];

/** What a masked value shows. */
export const MASK_WORDS: Readonly<Record<Mask, string>> = {
  last4: "last characters",
  hidden: "hidden",
  token: "never shown",
};

/** Masked fields of a column that are masked alike. */
interface ColumnMask {
  mask: Mask;
  /** their paths inside the column's value; none: all of it is masked */
  inside: readonly string[];
}

const startsWith = (path: string, start: string): boolean => `${path}.`.startsWith(`${start}.`);

/** The masks of a column; one that covers the whole value comes alone. */
export function masksOf({ sensitive = {} }: Sensitive, { path, type }: Pick<Column, "path" | "type">): ColumnMask[] {
  // Only texts and numbers are masked.
  if (type === "boolean") return [];
  const here = path.join(".");
  const fields = Object.entries(sensitive).map(([field, mask]) => [field.replaceAll("[]", ""), mask] as const);
  const whole = fields.find(([field]) => startsWith(here, field));
  if (whole) return [{ mask: whole[1], inside: [] }];
  const inside = fields.filter(([field]) => startsWith(field, here));
  return [...new Set(inside.map(([, mask]) => mask))].map((mask) => ({
    mask,
    inside: inside.flatMap(([field, other]) => (other === mask ? [field.slice(here.length + 1)] : [])),
  }));
}

/** How a column is masked, for a cell of a table; empty: it is not. */
export function maskWords(table: Sensitive, column: Pick<Column, "path" | "type">): string {
  if (!MASKABLE.has(column.type)) return masksOf(table, column).length === 0 ? "" : "null";
  return masksOf(table, column)
    .map(({ mask, inside }) => {
      const fields = inside.map((field) => `\`${field}\``).join(", ");
      return fields === "" ? MASK_WORDS[mask] : `${fields}: ${MASK_WORDS[mask]}`;
    })
    .join("; ");
}

/** The same as the end of a sentence about the column. */
export function maskClause(table: Sensitive, column: Pick<Column, "path" | "type">): string {
  const masks = masksOf(table, column);
  const masked = MASKABLE.has(column.type) ? "masked" : "null";
  return [
    clauseOf(
      masks.filter(({ mask }) => mask !== "token"),
      `${masked} unless revealed`,
    ),
    clauseOf(
      masks.filter(({ mask }) => mask === "token"),
      MASK_WORDS.token,
    ),
  ].join("");
}

function clauseOf(masks: readonly ColumnMask[], words: string): string {
  if (masks.length === 0) return "";
  const fields = masks.flatMap(({ inside }) => inside);
  if (fields.length === 0) return `; ${words}`;
  return `; ${fields.join(", ")} in it ${fields.length === 1 ? "is" : "are"} ${words}`;
}
