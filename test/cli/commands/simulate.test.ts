import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { until } from "../../support/until.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-simulate-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cli = new CommandLine("simulate");
const idsOf = (items: readonly { item_id: string }[]) => items.map(({ item_id }) => item_id).toSorted();
const urlIn = (line: string) => /plays Plaid at (http:\S+)/.exec(line)?.[1] ?? null;

it("`tartan simulate` plays Plaid until Ctrl-C, and plays on in the world that --state keeps", async () => {
  const state = join(folder, "world");
  const start = (...more: string[]) => cli.start(urlIn, "simulate --port 0 --seed one --state", state, ...more);
  await using first = await start("--activity", "50");
  await until("it says how to stop it", async () =>
    /Ctrl-C stops it; its world stays in/.test(first.output.join("\n")),
  );
  expect(first.output.join("\n")).toMatch(/client_id\s+simulator_client[\s\S]*secret\s+\S+[\s\S]*control\s+http/);
  const items = `${first.url}/_simulator/items`;
  const body = JSON.stringify({ count: 2 });
  const made = await fetch(items, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { items: created } = (await made.json()) as { items: { item_id: string }[] };
  expect(created).toHaveLength(2);
  expect(await first.stop()).toBe(0);
  expect(existsSync(state)).toBe(true);

  await using second = await start();
  const kept = (await (await fetch(`${second.url}/_simulator/items`)).json()) as { items: { item_id: string }[] };
  expect(idsOf(kept.items)).toEqual(idsOf(created));

  const { port } = new URL(second.url);
  expect(await cli.refusal("simulate --port", port)).toMatch(
    /^simulator_port_in_use: .*Port \d+ of 127\.0\.0\.1 is in use\./,
  );
  expect(await second.stop()).toBe(0);
});

it("`tartan simulate` refuses a port that is none", async () => {
  expect(await cli.refusal("simulate --port 70000")).toMatch(/^usage: .*--port.*whole number from 0 to 65535/);
});

everyVerbIsRun(cli);
