import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { dispatchAll, workAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-routes-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("routes", () => world.processes.env);

interface Route {
  id: string;
  filter: object;
}

/** A destination with one route, of item.removed. */
const destination = async () =>
  (await world.relay.destination({ url: "http://127.0.0.1:9" }, {}, { filter: { types: ["item.removed"] } })).id;

it("`tartan routes create`, `list` and `show` say which events go to the destination, and in which form", async () => {
  const to = await destination();
  const said = await cli.text("routes create", to, "--events", "item.error", "--item", "a", "--name", "Errors");
  expect(said).toContain(`✓ item.error a goes to ${to}`);
  expect(said).toMatch(/form\s+event\n/);
  const id = /id\s+(rte_\w+)/.exec(said)?.[1] ?? "";
  expect(said).toContain(`npx tartan routes route-past ${id} --since 24h`);
  expect(await cli.text("routes list")).toMatch(
    new RegExp(`${id}\\s+Errors\\s+item\\.error a\\s+event\\s+${to}\\s+enabled`),
  );

  const file = join(folder, "shape.jsonata");
  writeFileSync(file, '{"item": item_id}\n');
  const made = await cli.json<Route>(
    "routes create",
    to,
    "--transform",
    `@${file}`,
    "--match",
    '{"error.error_code": "X"}',
  );
  expect(made).toMatchObject({ form: "transform", transform: '{"item": item_id}', version: 1 });
  const shown = await cli.text("routes show", made.id);
  expect(shown).toMatch(/match\s+\{"error\.error_code":"X"\}\n/);
  expect(shown).toMatch(/form\s+transform\n[\s\S]*\{"item": item_id\}/);
  expect(await cli.json("routes show", made.id)).toMatchObject({ id: made.id, destination_id: to, enabled: true });
  const { data } = await cli.json<{ data: Route[] }>("routes list --destination", to);
  expect(data.map((route) => route.id)).toEqual(expect.arrayContaining([id, made.id]));

  expect(await cli.refusal("routes create dst_none")).toMatch(
    /^invalid_request: .*destination_id names no destination/,
  );
  expect(await cli.refusal("routes create", to, "--match", "{")).toMatch(/^invalid_request: .*--match/s);
  expect(await cli.refusal("routes list --all")).toMatch(/^usage: /);
  expect(await cli.refusal("routes show rte_none")).toMatch(/^not_found: .*npx tartan routes list/);
});

it("`tartan routes update` changes only what is named, and `delete` needs --yes", async () => {
  const to = await destination();
  const transform = ["--transform", '{"item": item_id}', "--match", '{"error.error_code": "X"}'];
  const { id } = await cli.json<Route>(`routes create ${to} --events item.error --item a b`, ...transform);
  const update = `routes update ${id}`;
  expect(await cli.json(`${update} --item c --no-match`)).toMatchObject({
    filter: { types: ["item.error"], item_ids: ["c"] },
    match: null,
    form: "transform",
    version: 2,
  });
  expect(await cli.json(`${update} --form event`)).toMatchObject({ form: "event", transform: null, version: 3 });
  expect(await cli.json(`${update} --disable --name Old`)).toMatchObject({ enabled: false, name: "Old", version: 3 });
  expect(await cli.text("routes list --destination", to)).toMatch(/Old\s+item\.error c\s+event.*disabled/);
  expect(await cli.text(`${update} --enable --history`)).toContain(`✓ ${id} matches item.error c + history`);
  expect(await cli.refusal(`${update} --events item.eror`)).toMatch(/^invalid_request: .*did you mean item\.error\?/s);
  expect(await cli.refusal("routes update rte_none --disable")).toMatch(/^not_found: /);

  expect(await cli.refusal("routes delete", id)).toMatch(
    /^invalid_request: .*This deletes the route item\.error c .*--yes\./,
  );
  expect(await cli.text("routes delete", id, "--yes")).toContain(`${id} is deleted`);
  expect(await cli.json("routes list --destination", to)).toMatchObject({
    data: [{ filter: { types: ["item.removed"] } }],
  });
  expect(await cli.refusal("routes delete", id, "--yes")).toMatch(/^not_found: /);
});

it("`tartan routes preview` shows what a route would send of past events, and sends nothing", async () => {
  const to = await destination();
  await world.relay.event({ type: "item.error", itemId: "item-1", data: { error: { error_code: "X" } } });
  await world.relay.event({ type: "item.error", itemId: "item-2" });
  await dispatchAll(world.database);
  const said = await cli.text("routes preview --events item.error --item item-1 --transform item_id");
  expect(said).toContain("1 of 2 events match, none fails");
  expect(said).toMatch(/item\.error evt_\w+ .*\n"item-1"/);
  const { id } = await cli.json<Route>(`routes create ${to} --events item.error`);
  const changed = await cli.json<{ samples: { body: string }[] }>(
    `routes preview ${id} --since 1h --limit 10 --item item-2`,
  );
  expect(changed).toMatchObject({ matched: 1, failed: 0, truncated: false });
  expect(JSON.parse(changed.samples[0]?.body ?? "")).toMatchObject({ type: "item.error", item_id: "item-2" });
  expect(await world.relay.statuses()).toEqual({});
  expect(await cli.refusal("routes preview --since then")).toMatch(/^invalid_request: .*--since does not accept then/);
  expect(await cli.refusal("routes preview rte_none")).toMatch(/^not_found: /);
});

it("`tartan routes route-past` sends past events through a route, each once, after it was confirmed", async () => {
  const to = await destination();
  await world.relay.event({ type: "item.error" });
  await world.relay.event({ type: "item.linked" });
  await dispatchAll(world.database);
  const { id } = await cli.json<Route>(`routes create ${to} --events item.*`);
  const past = `routes route-past ${id} --since 1h`;
  expect(await cli.text(`${past} --dry-run`)).toContain(
    `This reads 2 past events and sends those that ${to} has not received.`,
  );
  expect(await cli.refusal(past)).toMatch(/^invalid_request: .*This reads 2 past events .*Repeat it with --yes\./);
  expect(await world.relay.statuses(to)).toEqual({});
  expect(await cli.json(`${past} --yes --reason`, "a new route")).toMatchObject({
    kind: "route_past",
    route_id: id,
    total: 2,
    reason: "a new route",
  });
  await workAll(world.database);
  expect(await world.relay.statuses(to)).toEqual({ scheduled: 2 });
  expect(await cli.text(`${past} --yes`)).toContain("Nothing matches, so there is nothing to send.");
  expect(await cli.refusal("routes route-past rte_none --since 1h")).toMatch(/^not_found: /);
  expect(await cli.refusal("routes route-past", id)).toMatch(/^usage: .*--since/);
});

everyVerbIsRun(cli);
