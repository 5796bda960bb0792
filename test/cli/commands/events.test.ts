import { afterAll, beforeAll, expect, it } from "vitest";
import { toEventId } from "../../../src/model/ids.ts";
import { dispatchAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { until } from "../../support/until.ts";

let world: World<"relay" | "processes">;
beforeAll(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("events", () => world.processes.env);

interface Page {
  data: { id: string; type: string }[];
  next_cursor: string;
}

it("`tartan events list` and `show` print events in their order, by filter and from a cursor", async () => {
  await world.relay.webhooks("item-1");
  const linked = toEventId(await world.relay.event({ type: "item.linked", itemId: "item-2", userId: "user-2" }));
  const later = toEventId(await world.relay.event({ type: "item.error", itemId: "item-1" }));
  await dispatchAll(world.database);

  const said = await cli.text("events list");
  expect(said).toMatch(/webhook\.received\s+item-1[\s\S]*item\.linked\s+item-2\s+user-2[\s\S]*item\.error\s+item-1/);
  expect(said).toContain("TRANSACTIONS/SYNC_UPDATES_AVAILABLE");
  expect(said).toMatch(/continue with: --cursor \S+/);
  const first = await cli.json<Page>("events list --events item.* --limit 1");
  expect(first.data).toMatchObject([{ id: linked, type: "item.linked", user_id: "user-2" }]);
  const second = await cli.json<Page>("events list --events item.* --cursor", first.next_cursor);
  expect(second.data.map(({ id }) => id)).toEqual([later]);
  expect(await cli.text("events list --item item-3")).toContain("No event matches.");
  expect(await cli.refusal("events list --events item.linkd")).toMatch(
    /^invalid_request: .*did you mean item\.linked\?/s,
  );

  expect(JSON.parse(await cli.text("events show", linked))).toMatchObject({ id: linked, type: "item.linked" });
  expect(await cli.refusal("events show evt_none")).toMatch(/^not_found: .*npx tartan events list/);
});

it("`tartan events list --follow` prints events from now on, as lines or as JSON, until Ctrl-C", async () => {
  // It has no line that says that it listens, so events are recorded until it prints one.
  for (const [form, expected] of [
    [[], /item\.repaired\s+item-9/],
    [["--json"], /^\{.*"type":"item\.repaired".*\}$/],
  ] as const) {
    const recording = new AbortController();
    const record = until("an event was printed", async () => {
      if (!recording.signal.aborted) await world.relay.event({ type: "item.repaired", itemId: "item-9" });
      await dispatchAll(world.database);
      return recording.signal.aborted;
    });
    const ready = (line: string) => (expected.test(line) ? line : null);
    await using follows = await cli.start(ready, "events list --follow --events item.repaired", ...form);
    recording.abort();
    await record;
    expect(await follows.stop()).toBe(0);
  }
});

everyVerbIsRun(cli);
