/** A data directory whose embedded database was made before the tables were put in order. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCore } from "../../../src/cli/wiring/core.ts";
import { startEmbedded } from "../../../src/embedded/embedded.ts";
import { openDatabase } from "../../../src/database/pool.ts";
import { silentLogger as logger } from "../../../src/logger.ts";

let dataDir: string;
const env = () => ({ TARTAN_DATA_DIR: dataDir, TARTAN_LOG_LEVEL: "fatal" });

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tartan-demo-fresh-"));
  await using core = await openCore(env(), { as: "server" });
  await core.database.query("update tartan_meta.migrations set name = '0001_integrations' where version = 1");
}, 120_000);
afterAll(() => rm(dataDir, { recursive: true, force: true }));

it("an embedded database from before the first release is refused with what to do", async () => {
  const refused = openCore(env(), { as: "server" });
  await expect(refused).rejects.toMatchObject({ code: "schema_too_old" });
  await expect(refused).rejects.toThrow("npx tartan demo --fresh");
  await expect(openCore(env(), { as: "command" })).rejects.toThrow("npx tartan demo --fresh");
});

it("`tartan demo --fresh` renames a database from before the first release and begins with an empty one", async () => {
  {
    await using core = await openCore(env(), { as: "server", anew: true });
    expect((await core.database.query("select from tartan.integrations")).rowCount).toBe(0);
  }
  await using embedded = await startEmbedded({ dataDir, logger });
  const open = (url: string) => openDatabase({ url, poolSize: 1, applicationName: "test", logger });
  await using database = await open(embedded.url);
  const { rows } = await database.query<{ name: string }>(
    "select datname as name from pg_database where datname ~ '^tartan_' order by 1",
  );
  expect(rows.map(({ name }) => name)).toEqual([expect.stringMatching(/^tartan_\d{8}_\d{6}$/)]);
  const url = new URL(embedded.url);
  url.pathname = `/${rows[0]?.name ?? ""}`;
  await using aside = await open(url.href);
  const first = await aside.query("select name from tartan_meta.migrations where version = 1");
  expect(first.rows).toEqual([{ name: "0001_integrations" }]);
});
