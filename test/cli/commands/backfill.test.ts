import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBackfill, createCheck } from "../../../src/fleet/readings.ts";
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

  it("`tartan backfill pause`, `resume` and `cancel` stop a backfill, let it go on, and end it for good", async () => {
    await world.database.query("update fleet.jobs set status = 'cancelled'");
    const request = { integration_id: world.integration.id };
    const made = await createBackfill(world.database, request, { actor: "cli" });
    const id = "id" in made ? made.id : "";
    expect(await cli.text("backfill pause", id)).toContain(`✓ ${id} is paused`);
    expect(await cli.text("backfill resume", id)).toContain(`✓ ${id} continues`);
    expect(await cli.json("backfill cancel", id)).toMatchObject({ id, status: "cancelled" });
  });

  it("`tartan backfill` refuses a job that there is not, one of another kind, and a cursor that is none", async () => {
    const check = await createCheck(world.database, {}, { actor: "cli" });
    const [shown, paused, listed] = await Promise.all([
      cli.refusal("backfill show job_none"),
      cli.refusal("backfill pause", "id" in check ? check.id : ""),
      cli.refusal("backfill list --cursor nonsense"),
    ]);
    expect(shown).toMatch(/^not_found: .*There is no job job_none/);
    expect(paused).toMatch(/^not_found: .*is no backfill/);
    expect(listed).toMatch(/^invalid_request: /);
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

everyVerbIsRun(cli, ["pause", "resume", "cancel"]);
