import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { testDatabase } from "../../support/database.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let url = "";
const cli = new CommandLine("migrate", () => ({ TARTAN_DATABASE_URL: url }));
const MIGRATIONS = readdirSync(join(import.meta.dirname, "../../../sql")).map((file) => file.replace(/\.sql$/, ""));
const VERSION = MIGRATIONS.length;

it("`tartan migrate` makes the tables in an empty database, then says that there is nothing to do", async () => {
  await using db = await testDatabase({ empty: true });
  ({ url } = db);
  expect(await cli.text("migrate")).toContain(`✓ schema 0 → ${VERSION}: applied ${MIGRATIONS.toSorted().join(", ")}\n`);
  const tables =
    "select to_regclass('journal.webhooks') is not null as made, count(*)::int as versions from tartan_meta.migrations";
  expect((await db.database.query(tables)).rows).toEqual([{ made: true, versions: VERSION }]);
  expect(await cli.text("migrate")).toContain(`✓ schema ${VERSION} → ${VERSION}: nothing to do`);
  expect(await cli.json("migrate")).toEqual({ from: VERSION, to: VERSION, applied: [] });
});

it("`tartan migrate` refuses a database that other files made, and changes nothing in it", async () => {
  await using db = await testDatabase();
  ({ url } = db);
  await db.database.query("update tartan_meta.migrations set name = '0001_integrations' where version = 1");
  expect(await cli.refusal("migrate")).toMatch(/^schema_too_old: /);
  const { rows } = await db.database.query("select name from tartan_meta.migrations where version = 1");
  expect(rows).toEqual([{ name: "0001_integrations" }]);
});

everyVerbIsRun(cli);
