/** `npm start`: what a newcomer sees, on an embedded Postgres of its own, until Ctrl-C. */
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/closer.ts";
import { runTartan, startTartan } from "../support/process.ts";
import { until } from "../support/stage.ts";

it("the demo links items, mirrors them, tells an application, says how to look at it all, goes on living, and stops cleanly", async () => {
  await using closer = new Closer();
  const folder = mkdtempSync(join(tmpdir(), "tartan-demo-"));
  closer.defer(() => rmSync(folder, { recursive: true, force: true }));
  const env = { TARTAN_DATA_DIR: folder, TARTAN_SIMULATOR_PORT: "0", TARTAN_PORT: "0" };
  const start = () => startTartan(env, ["demo"], (line) => /API\s+(http:\S+)\/v1/.exec(line)?.[1] ?? null);
  const demo = closer.use(await start());
  const said = () => demo.output.join("\n");
  const backfills = () => (said().match(/ITEM\/CREATED.*\+\d+ transactions/g) ?? []).length;
  await until("four backfills", async () => backfills() === 4);
  await until("life", async () => /TRANSACTIONS\/SYNC_UPDATES_AVAILABLE/.test(said()));
  await until("an application told", async () =>
    /told: transactions\.changed, with the \d+ rows.*✓ signed/.test(said()),
  );
  expect(said()).toMatch(/psql 'postgres/);
  expect(said()).toMatch(/API key\s+\S{16,}/);
  expect(said()).not.toMatch(/access-sandbox/);

  const key = /API key\s+(\S+)/.exec(said())?.[1] ?? "";
  const answer = await fetch(`${demo.url}/v1/items`, { headers: { authorization: `Bearer ${key}` } });
  expect(((await answer.json()) as { data: unknown[] }).data).toHaveLength(4);

  const beside = await runTartan(env, ["items", "list", "--json"]);
  expect((JSON.parse(beside.stdout) as { data: unknown[] }).data).toHaveLength(4);
  const second = await runTartan(env, ["up"]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("data_dir_in_use");

  const told = await runTartan(env, ["deliveries", "list", "--status", "delivered", "--json"]);
  expect((JSON.parse(told.stdout) as { data: unknown[] }).data.length).toBeGreaterThan(4);

  expect(await demo.stop()).toBe(0);
  expect(existsSync(join(folder, "postgres/data/postmaster.pid"))).toBe(false);

  const again = closer.use(await start());
  for (const noun of ["destinations", "integrations"]) {
    const { stdout } = await runTartan(env, [noun, "list", "--json"]);
    expect((JSON.parse(stdout) as { data: unknown[] }).data, `${noun} of one demo, not of two`).toHaveLength(1);
  }
  expect(await again.stop()).toBe(0);
}, 120_000);
