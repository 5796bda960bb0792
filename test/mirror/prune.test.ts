import { expect, test } from "vitest";
import { pruneRemoved } from "../../src/mirror/prune.ts";
import { nameOf, tablesOf } from "../../src/mirror/rows.ts";
import { RESOURCES } from "../../src/resources/index.ts";
import { testDatabase } from "../support/database.ts";

const TABLES = RESOURCES.flatMap(tablesOf);

test("rows that Plaid removed before the retention are deleted in every table of the mirror, and no other row", async () => {
  await using db = await testDatabase();
  const { database } = db;
  for (const each of TABLES) {
    const columns = ["integration_id", each.resource.subject.column ?? [], ...each.table.key].flat();
    await database.query(
      `insert into ${nameOf(each)} (${columns.join(", ")}, raw, removed_at)
       select 'svi', ${columns
         .slice(1)
         .map(() => "age")
         .join(", ")}, '{}'::jsonb, now() - age::interval
       from unnest(array['29 days', '31 days', '400 days', null]) as ages (age) where age is not null
       union all select 'svi', ${columns
         .slice(1)
         .map(() => "'current'")
         .join(", ")}, '{}', null`,
    );
  }
  expect(await pruneRemoved(database, 30)).toBe(2 * TABLES.length);
  for (const table of TABLES.map(nameOf)) {
    const { rows } = await database.query<{ removed: boolean }>(
      `select removed_at is not null as removed from ${table} order by 1`,
    );
    expect([table, rows]).toEqual([table, [{ removed: false }, { removed: true }]]);
  }
});

test("every table of the mirror has an index that finds its removed rows and holds no others", async () => {
  await using db = await testDatabase();
  for (const table of TABLES.map(nameOf)) {
    const { rows } = await db.database.query<{ indexdef: string }>(
      "select indexdef from pg_indexes where schemaname || '.' || tablename = $1 and indexdef like '%(removed_at) WHERE (removed_at IS NOT NULL)'",
      [table],
    );
    expect([table, rows.length]).toEqual([table, 1]);
  }
});
