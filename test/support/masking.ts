/**
 * What rows look like with their sensitive fields masked, worked out value by value and not path by path as the mirror does: each text
 * or number of a row is looked at with the names that lead to it.
 */
import type { Table } from "../../src/resources/types.ts";

type Sensitive = Pick<Table, "sensitive">;

const MASKS = {
  hidden: () => "•••",
  token: () => "[cut]",
  last4: (text: string) => {
    const characters = [...text];
    if (characters.length <= 4) return "•••";
    return `••••${characters.slice(characters.length < 8 ? -2 : -4).join("")}`;
  },
};

/** The mask of a value, by the names of the objects around it and its own; arrays have none. */
function maskOf({ sensitive = {} }: Sensitive, names: readonly string[]) {
  const here = names.join(".");
  for (const [path, mask] of Object.entries(sensitive)) {
    const there = path.replaceAll("[]", "");
    if (`${here}.`.startsWith(`${there}.`) || `${there}.`.startsWith(`${here}.`)) return MASKS[mask];
  }
  return null;
}

/** Whether a value at this path, or around or inside it, is masked. */
export const isMaskedIn = (table: Sensitive, path: readonly string[]): boolean => maskOf(table, path) !== null;

/** A row with its sensitive fields masked. */
export function maskedAsDeclared(table: Sensitive, row: unknown, names: readonly string[] = []): unknown {
  if (Array.isArray(row)) return row.map((each) => maskedAsDeclared(table, each, names));
  if (typeof row === "object" && row !== null) {
    return Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, maskedAsDeclared(table, value, [...names, name])]),
    );
  }
  if (typeof row !== "string" && typeof row !== "number") return row;
  return maskOf(table, names)?.(String(row)) ?? row;
}
