import { expect, it } from "vitest";
import { roles, rowsOf } from "../../mirror/reader-support.ts";
import { testDatabase } from "../../support/database.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { INTEGRATION } from "../../support/webhook.ts";

let url = "";
const cli = new CommandLine("db", () => ({
  TARTAN_DATABASE_URL: url,
  TARTAN_MASTER_KEY: Buffer.alloc(32, 1).toString("base64"),
}));

it("`tartan db url` prints nothing but a connection string, of a role that reads the mirror and nothing else", async () => {
  await using db = await testDatabase();
  ({ url } = db);
  const { code, stdout, stderr } = await cli.run("db url");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^postgres(?:ql)?:\/\/\S+\n$/);
  const reader = stdout.trim();
  roles.add(new URL(reader).username);
  expect(await rowsOf(reader, "select * from plaid.current_accounts")).toEqual([]);
  await expect(rowsOf(reader, "select * from tartan.items")).rejects.toMatchObject({ code: "42501" });
  await expect(rowsOf(reader, "delete from plaid.accounts")).rejects.toThrow();

  const { url: rotated } = await cli.json<{ url: string }>("db url --rotate");
  expect(new URL(rotated).username).toBe(new URL(reader).username);
  expect(new URL(rotated).password).not.toBe(new URL(reader).password);
  expect(await cli.json("db url")).toEqual({ url: rotated });
  const audited = await db.database.query("select action, target from tartan.audit_log order by id");
  const subject = new URL(reader).username;
  expect(audited.rows).toEqual(["reader.created", "reader.rotated"].map((action) => ({ action, target: subject })));
});

it("`tartan db url --integration` refuses an integration that does not exist, and makes no role", async () => {
  await using db = await testDatabase();
  ({ url } = db);
  expect(await cli.refusal("db url --integration", INTEGRATION)).toMatch(
    /^not_found: .*There is no integration svi_test/,
  );
  expect(await db.database.query("select from tartan.readers")).toMatchObject({ rowCount: 0 });
});

everyVerbIsRun(cli);
