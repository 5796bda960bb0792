import { expect, it } from "vitest";
import { authenticate, ensureAdminKey } from "../../../src/integrations/api-keys.ts";
import { testDatabase } from "../../support/database.ts";
import { CommandLine, everyVerbIsRun, UNREACHABLE } from "../command-line.ts";

let url = "";
const cli = new CommandLine("keys", () => ({
  TARTAN_DATABASE_URL: url,
  TARTAN_MASTER_KEY: Buffer.alloc(32, 1).toString("base64"),
}));

it("`tartan keys reset` prints a new administrator's key once, and the old one stops working", async () => {
  await using db = await testDatabase();
  ({ url } = db);
  const { key: first = "" } = await ensureAdminKey(db.database);
  const said = await cli.text("keys reset");
  expect(said).toContain("the old key no longer works; the new one is not shown again");
  const second = /API key\s+(tak_\S+)/.exec(said)?.[1] ?? "";
  const { key: third } = await cli.json<{ key: string }>("keys reset");
  const known = [third, second, first].map((key) => authenticate(db.database, key));
  expect(await Promise.all(known)).toMatchObject([{ name: "admin" }, null, null]);
});

it("`tartan keys reset` without a database is refused and names no key", async () => {
  expect(await cli.with(UNREACHABLE).refusal("keys reset")).toMatch(/^database_unavailable: /);
});

everyVerbIsRun(cli);
