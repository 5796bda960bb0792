import { afterAll, beforeAll, expect, it } from "vitest";
import { toEventId } from "../../../src/model/ids.ts";
import { deliveries, dispatchAll, settle, workAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
let to: string;
const events: string[] = [];
beforeAll(async () => {
  world = await startWorld({ relay: {}, processes: {} });
  to = (await world.relay.destination({ url: "http://127.0.0.1:9" }, {}, { filter: { types: ["item.*"] } })).id;
  for (const itemId of ["item-1", "item-2", "item-2"]) {
    events.push(toEventId(await world.relay.event({ type: "item.error", itemId })));
  }
  await dispatchAll(world.database);
  await settle(world.database, "delivered");
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("replay", () => world.processes.env);
const scheduled = async () =>
  (await deliveries(world.database)).flatMap(({ event_id, status }) =>
    status === "scheduled" ? [toEventId(event_id)] : [],
  );

it("`tartan replay` says what it would send, and sends nothing without --yes", async () => {
  const replay = `replay --destination ${to}`;
  expect(await cli.text(`${replay} --item item-2 --dry-run`)).toContain(`This sends 2 events to ${to} again.`);
  expect(await cli.json(`${replay} --events item.* --since 1h --dry-run`)).toEqual({ count: 3 });
  expect(await cli.refusal(`${replay} --item item-1`)).toMatch(
    /^invalid_request: .*This sends 1 event to dst_\w+ again\. Repeat it with --yes\./,
  );
  expect(await scheduled()).toEqual([]);
});

it("`tartan replay` sends past events to a destination again, by event or by item", async () => {
  const replay = `replay --destination ${to} --yes`;
  expect(await cli.json(`${replay} --event ${events[0]} --reason`, "lost there")).toMatchObject({
    kind: "replay",
    total: 1,
    reason: "lost there",
  });
  await workAll(world.database);
  expect(await scheduled()).toEqual([events[0]]);
  expect(await cli.text(`${replay} --item item-2`)).toMatch(/kind\s+replay\n[\s\S]*progress\s+0 of 2/);
  await workAll(world.database);
  expect(await scheduled()).toEqual(events);
});

it("`tartan replay` refuses to guess what to send, and a destination that does not exist", async () => {
  expect(await cli.refusal("replay --item item-1")).toMatch(/^usage: .*--destination/);
  expect(await cli.refusal(`replay --destination ${to}`)).toMatch(
    /^invalid_request: .*Say what to replay, with --event/,
  );
  expect(await cli.refusal("replay --destination dst_none --item item-1")).toMatch(/^not_found: /);
});

everyVerbIsRun(cli);
