/** `npm start`: what a newcomer sees, on an embedded Postgres of its own, until Ctrl-C. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Closer } from "../../../src/cli/wiring/closer.ts";
import { runTartan } from "../../support/process.ts";
import { until } from "../../support/until.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let env: Record<string, string> = {};
const cli = new CommandLine("demo", () => env);

it("the demo links and mirrors items, notifies an application, has items with notices and with gaps, prints how to inspect it, stops cleanly, and continues in the same world the next time", async () => {
  await using closer = new Closer();
  const folder = mkdtempSync(join(tmpdir(), "tartan-demo-"));
  closer.defer(() => rmSync(folder, { recursive: true, force: true }));
  env = { TARTAN_DATA_DIR: folder, TARTAN_SIMULATOR_PORT: "0", TARTAN_PORT: "0", TARTAN_RECONCILE_H: "0.005" };
  const apiLine = (line: string) => /API\s+(http:\S+)\/v1/.exec(line)?.[1] ?? null;
  const start = () => cli.start(apiLine, "demo");
  const demo = closer.use(await start());
  const said = () => demo.output.join("\n");
  const backfills = () => (said().match(/ITEM\/CREATED.*\+\d+ transactions/g) ?? []).length;
  await until("four backfills", async () => backfills() === 4);
  expect(said()).toMatch(/ITEM\/CREATED.*\+\d+ holdings/);
  await until("what belongs to no item", async () =>
    /received: payments\.changed, with the row, of payment-/.test(said()),
  );
  await until("life", async () => /TRANSACTIONS\/SYNC_UPDATES_AVAILABLE/.test(said()));
  await until("a consent that ends soon", async () => /received: item\.consent_expiring of /.test(said()));
  await until("an account to add", async () => /received: item\.new_accounts of /.test(said()));
  await until("a check finds a change of the item without a webhook URL", async () =>
    /✓ found {3}ITEM\/GAP_FOUND /.test(said()),
  );
  await until("the application received an event", async () =>
    /received: transactions\.changed, with the \d+ rows.*✓ signed/.test(said()),
  );
  expect(said()).toMatch(/psql 'postgres/);
  expect(said()).toMatch(/API key\s+\S{16,}/);
  expect(said()).not.toMatch(/access-sandbox/);

  const key = /API key\s+(\S+)/.exec(said())?.[1] ?? "";
  const answer = await fetch(`${demo.url}/v1/items`, { headers: { authorization: `Bearer ${key}` } });
  expect(((await answer.json()) as { data: unknown[] }).data).toHaveLength(4);

  const beside = await runTartan(env, ["items", "list", "--json"]);
  expect((JSON.parse(beside.stdout) as { data: unknown[] }).data).toHaveLength(4);
  // With it `tartan status` finds the demo while Postgres is away.
  expect(readdirSync(join(folder, "processes"))).toHaveLength(1);
  const second = await runTartan(env, ["up"]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("data_dir_in_use");

  const listed = await runTartan(env, ["deliveries", "list", "--status", "delivered", "--json"]);
  expect((JSON.parse(listed.stdout) as { data: unknown[] }).data.length).toBeGreaterThan(4);

  expect(await demo.stop()).toBe(0);
  expect(existsSync(join(folder, "postgres/data/postmaster.pid"))).toBe(false);

  const list = async (...args: string[]) =>
    (JSON.parse((await runTartan(env, [...args, "--json"])).stdout) as { data: { id: string; item_id: string }[] })
      .data;
  const items = (await list("items", "list")).map(({ item_id }) => item_id).toSorted();
  const webhooks = (await list("webhooks", "list", "--limit", "500")).length;

  const again = closer.use(await start());
  const saidAgain = () => again.output.join("\n");
  await until("the same world", async () => saidAgain().includes("continues the world of the last demo"));
  await until("life goes on", async () => /✓ signed.*[+~−]\d+ transactions/.test(saidAgain()));
  expect((await list("items", "list")).map(({ item_id }) => item_id).toSorted()).toEqual(items);
  expect((await list("webhooks", "list", "--limit", "500")).length).toBeGreaterThan(webhooks);
  expect(await list("destinations", "list")).toHaveLength(1);
  expect(await list("integrations", "list")).toHaveLength(1);
  expect(await again.stop()).toBe(0);

  const fresh = closer.use(await cli.start(apiLine, "demo --fresh --items 1"));
  await until("a new world", async () => /ITEM\/CREATED.*\+\d+ transactions/.test(fresh.output.join("\n")));
  const after = (await list("items", "list")).map(({ item_id }) => item_id);
  expect(after).toHaveLength(1);
  expect(items).not.toContain(after[0]);
  expect(await list("integrations", "list")).toHaveLength(1);
  expect(await fresh.stop()).toBe(0);
}, 240_000);

it("`tartan demo` refuses a number of items that is none", async () => {
  expect(await cli.refusal("demo --items none")).toMatch(/^usage: .*--items.*whole number from 1 to 10000/);
});

everyVerbIsRun(cli);
