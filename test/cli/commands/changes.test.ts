import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { dispatchAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let world: World<"relay" | "processes">;
beforeAll(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("changes", () => world.processes.env);

const added = async (ids: string[], itemId = "item-1"): Promise<void> => {
  const rows = ids.map((transaction_id) => ({ transaction_id }));
  await world.relay.event({
    type: "transactions.changed",
    itemId,
    data: { run_id: "run_1", part: 1, parts: 1, counts: {}, added: rows, modified: [], removed: [] },
  });
  await dispatchAll(world.database);
};

interface Page {
  data: { row: { transaction_id: string } }[];
  next_cursor: string;
}

it("`tartan changes list` prints rows in their order, by table and from a cursor", async () => {
  await added(["tx-one", "tx-two"]);
  const said = await cli.text("changes list --resource transactions,accounts");
  expect(said).toMatch(/added\s+transactions\s+tx-one\s+item-1[\s\S]*added\s+transactions\s+tx-two\s+item-1/);
  expect(said).toMatch(/continue with: --cursor \S+/);
  const first = await cli.json<Page>("changes list --item item-1 --limit 1");
  const second = await cli.json<Page>("changes list --cursor", first.next_cursor);
  expect([...first.data, ...second.data].map(({ row }) => row.transaction_id)).toEqual(["tx-one", "tx-two"]);
  expect(await cli.text("changes list --resource holdings")).toContain("No change matches.");
  expect(await cli.refusal("changes list --resource items")).toMatch(/^invalid_request: .*item\.updated/s);
});

it("`tartan changes resources` prints the tables, and says which have no changes and why", async () => {
  expect(await cli.text("changes resources")).toMatch(
    /items\s+item_id\s+the events item\.linked[\s\S]*transactions\s+item_id, transaction_id\s+yes/,
  );
  const { data } = await cli.json<{ data: { resource: string }[] }>("changes resources");
  expect(data).toContainEqual(expect.objectContaining({ resource: "transactions", event: "transactions.changed" }));
  expect(await cli.refusal("changes resources --none")).toMatch(/unknown option/);
});

it("`tartan changes follow` prints rows from now on, as lines or as JSON, and the cursor to go on with at Ctrl-C", async () => {
  // It has no line that says that it listens, so rows are added until it prints one.
  for (const [form, expected] of [
    [[], /added\s+transactions\s+item-9\s+tx-live/],
    [["--json"], /^\{.*"row":\{"transaction_id": ?"tx-live"\}\}$/],
  ] as const) {
    const adding = new AbortController();
    const add = until("a change was printed", async () => {
      if (!adding.signal.aborted) await added(["tx-live"], "item-9");
      return adding.signal.aborted;
    });
    const ready = (line: string) => (expected.test(line) ? line : null);
    await using follows = await cli.start(ready, "changes follow --item item-9", ...form);
    adding.abort();
    await add;
    expect(await follows.stop()).toBe(0);
  }
  expect(await cli.refusal("changes follow --cursor W10")).toMatch(/^invalid_request: .*next_cursor/s);
});

everyVerbIsRun(cli);
