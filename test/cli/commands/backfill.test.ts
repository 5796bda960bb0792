import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBackfill } from "../../../src/fleet/readings.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ integration: {}, processes: {} });
  for (const item of world.integration.makeItems(3, 1)) await world.integration.link(item);
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("backfill", () => world.processes.env);

describe("tartan backfill", () => {
  it("`tartan backfill start` counts the items, asks for confirmation and starts a job that `list` and `show` print", async () => {
    const all = ["--integration", world.integration.id];
    const [counted, none, refused] = await Promise.all([
      cli.text("backfill start --dry-run", ...all),
      cli.json("backfill start --user nobody"),
      cli.refusal("backfill start", ...all),
    ]);
    expect(counted).toContain("This reads 3 items again.");
    expect(none).toEqual({ count: 0 });
    expect(refused).toMatch(/^invalid_request: .*This reads 3 items again\. Repeat it with --yes\./);
    const { id } = await cli.json<{ id: string }>("backfill start --yes --reason", "a lost day", ...all);
    const [list, page, shown, record] = await Promise.all([
      cli.text("backfill list"),
      cli.json("backfill list --limit 1"),
      cli.text("backfill show", id),
      cli.json("backfill show", id),
    ]);
    expect(list).toMatch(new RegExp(`${id}\\s+running\\s+0/3\\s+0\\s+a lost day`));
    expect(page).toMatchObject({ data: [{ id, kind: "backfill" }], next_cursor: null });
    expect(shown).toMatch(/kind\s+backfill\n/);
    expect(record).toMatchObject({ id, total: 3, states: { pending: 3 }, reason: "a lost day" });
  });

  /** A backfill of each item. */
  async function backfills(): Promise<string[]> {
    await world.database.query("update fleet.jobs set status = 'cancelled'");
    const { rows } = await world.database.query<{ id: string }>("select item_id as id from tartan.items");
    const started = rows.map(({ id }) => createBackfill(world.database, { item_ids: [id] }, { actor: "cli" }));
    return (await Promise.all(started)).map((job) => ("id" in job ? job.id : ""));
  }

  it("`tartan backfill pause` and `resume` stop a backfill and let it go on", async () => {
    const [one = "", two = ""] = await backfills();
    const [text, json] = await Promise.all([cli.text("backfill pause", one), cli.json("backfill pause", two)]);
    expect(text).toContain(`✓ ${one} is paused`);
    expect(json).toMatchObject({ id: two, status: "paused" });
    const [resumed, record] = await Promise.all([cli.text("backfill resume", one), cli.json("backfill resume", two)]);
    expect(resumed).toContain(`✓ ${one} continues`);
    expect(record).toMatchObject({ id: two, status: "running" });
  });

  it("`tartan backfill cancel` ends a backfill for good, and `list` refuses a cursor that is none", async () => {
    const [one = "", two = ""] = await backfills();
    const [text, json] = await Promise.all([cli.text("backfill cancel", one), cli.json("backfill cancel", two)]);
    expect(text).toContain(`✓ ${one} is cancelled`);
    expect(json).toMatchObject({ id: two, status: "cancelled" });
    expect(await cli.refusal("backfill list --cursor nonsense")).toMatch(/^invalid_request: /);
  });

  it("`tartan backfill` refuses a job that there is not, in each of its verbs", async () => {
    const refusals = ["pause", "resume", "cancel", "show"].map((verb) => cli.refusal(`backfill ${verb} job_none`));
    for (const refusal of await Promise.all(refusals)) expect(refusal).toMatch(/^not_found: /);
  });

  it("`tartan items check` without an item proves many as a job, and refuses to guess which", async () => {
    const items = new CommandLine("items", () => world.processes.env);
    const [counted, refused, one] = await Promise.all([
      items.json("items check --all --dry-run"),
      items.refusal("items check"),
      items.refusal("items check item-1 --dry-run"),
    ]);
    expect(counted).toEqual({ count: 3 });
    expect(refused).toMatch(/^invalid_request: .*Name an item, or use --all/);
    expect(one).toMatch(/^invalid_request: .*--dry-run is about many items/);
  });
});

everyVerbIsRun(cli);
