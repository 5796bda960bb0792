/** What the tests of mirror/ start from: subjects that a worker holds, and pages applied to them as a run does it. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { applyReading, type AppliedTables } from "../../src/mirror/apply.ts";
import { selectChanges, UNTOUCHED } from "../../src/mirror/changes.ts";
import { tablesOf, type Mirrored } from "../../src/mirror/rows.ts";
import { keepStaged } from "../../src/mirror/stage.ts";
import type { Applied, Changes, Page, Scope } from "../../src/mirror/types.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import type { World } from "../support/world/index.ts";

export const resource = (name: string): Resource => {
  const found = resourcesOf("item").find((one) => one.name === name);
  if (!found) throw new Error(name);
  return found;
};

/** A table of an item's resources, by its name. */
export function mirrored(name: string): Mirrored {
  const found = resourcesOf("item")
    .flatMap(tablesOf)
    .find(({ table }) => table.name === name);
  if (!found) throw new Error(name);
  return found;
}

/** What became of the one table whose name is the resource's. */
export const appliedTo = (name: string, applied: AppliedTables): Applied => applied.get(name) ?? UNTOUCHED;

export const txn = (id: string, more: Record<string, unknown> = {}) => ({
  transaction_id: id,
  account_id: "a",
  amount: 1,
  ...more,
});
/** An answer of /transactions/sync. */
export const page = (added: unknown[], modified: unknown[] = [], removed: string[] = []): string =>
  JSON.stringify({ added, modified, removed: removed.map((transaction_id) => ({ transaction_id })) });

/** The run's changed rows, as an event would hold them. */
export async function changedRows(tx: Queryable, scope: Scope, name: string, applied: Applied) {
  const made = selectChanges(scope, mirrored(name), applied, "run");
  if (made === null) return [];
  return (await tx.query<{ part: number; data: string }>(made.select, made.values)).rows;
}

/** For all changes of a table, the rows in events are the counted rows: in one part if they fit, by keys, and by a full comparison. */
async function expectRowsAsCounted(tx: Queryable, scope: Scope, name: string, applied: Applied): Promise<void> {
  const ways: Applied[] = [{ ...applied, keys: null }];
  if (applied.keys !== null) ways.push(applied, { ...applied, bytes: Infinity });
  for (const way of ways) {
    const counts = { added: 0, modified: 0, removed: 0 };
    for (const { data } of await changedRows(tx, scope, name, way)) {
      const part = JSON.parse(data) as Record<keyof Changes, unknown[]>;
      for (const change of ["added", "modified", "removed"] as const) counts[change] += part[change].length;
    }
    expect(counts, way.keys === null ? "by all rows" : `by keys of ${way.bytes} bytes`).toEqual(applied.changes);
  }
}

/** A subject that a worker holds. */
export const hold = (): Scope => ({
  integrationId: "svi_test",
  kind: "item",
  subjectId: randomUUID(),
  leaseToken: randomUUID(),
  facts: { user_id: "user_1" },
});

/** Applies pages of a resource as a run does: all but the last are staged. @returns what changed in each of its tables */
export async function applyTables(
  { database }: World,
  scope: Scope,
  name: string,
  texts: string[],
  whole = false,
): Promise<Record<string, Changes>> {
  const pages: Page[] = [];
  for (const [number, text] of texts.entries()) {
    const last = number === texts.length - 1;
    if (!last) await keepStaged(database, scope.leaseToken, name, number, text);
    pages.push({ text: last ? text : null, rows: true, removals: true });
  }
  return await database.transaction(async (tx) => {
    const tables = await applyReading(tx, scope, { resource: resource(name), pages, whole });
    for (const [table, applied] of tables) await expectRowsAsCounted(tx, scope, table, applied);
    return Object.fromEntries([...tables].map(([table, { changes }]) => [table, changes]));
  });
}

/** The same. @returns what changed in the table of the resource's name */
export const apply = async (
  world: World,
  scope: Scope,
  name: string,
  texts: string[],
  whole?: boolean,
): Promise<Changes> =>
  (await applyTables(world, scope, name, texts, whole))[name] ?? { added: 0, modified: 0, removed: 0 };

/** The item's rows, ordered by the first of `columns`. */
export async function rowsOf(
  { database }: World,
  { subjectId }: Scope,
  columns: string,
  table = "plaid.transactions",
): Promise<Record<string, unknown>[]> {
  return (await database.query(`select ${columns} from ${table} where item_id = $1 order by 1`, [subjectId])).rows;
}
