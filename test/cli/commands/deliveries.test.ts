import { afterEach, beforeEach, expect, it } from "vitest";
import { toDeliveryId, toEventId } from "../../../src/model/ids.ts";
import { deliveries, dispatchAll, settle, workAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { until } from "../../support/until.ts";

let world: World<"relay" | "processes">;
beforeEach(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("deliveries", () => world.processes.env);

interface Page {
  data: { id: string; status: string }[];
  next_cursor: string | null;
}

const ITEM_EVENTS = { filter: { types: ["item.*"] } };
const nowhere = async () => (await world.relay.destination({ url: "http://127.0.0.1:9" }, {}, ITEM_EVENTS)).id;
const ids = async () => (await deliveries(world.database)).map(({ id }) => toDeliveryId(id));

it("`tartan deliveries list` prints deliveries, newest first, by filter and page by page", async () => {
  const to = await nowhere();
  for (const itemId of ["item-1", "item-2", "item-3"]) await world.relay.event({ type: "item.error", itemId });
  await dispatchAll(world.database);
  const [first, second, third] = await ids();
  await settle(world.database, "dead", { cause: "status_500", where: "item_id = 'item-3'" });
  await settle(world.database, "delivered", { where: "item_id = 'item-2'" });
  const said = await cli.text("deliveries list --limit 2");
  expect(said).toMatch(
    new RegExp(
      `${third}\\s+item\\.error\\s+item-3.*dead\\s+3\\s+status_500[\\s\\S]*${second}\\s+item\\.error\\s+item-2.*delivered`,
    ),
  );
  expect(said).not.toContain(first);
  const cursor = /more: --cursor (\S+)/.exec(said)?.[1] ?? "";
  expect(await cli.json<Page>("deliveries list --cursor", cursor)).toMatchObject({
    data: [{ id: first, status: "scheduled" }],
  });
  const undelivered = await cli.json<Page>("deliveries list --status undelivered --destination", to);
  expect(undelivered.data.map(({ id }) => id)).toEqual([third, first]);
  expect(await cli.text("deliveries list --cause timeout")).toContain("No delivery matches.");
  expect(await cli.refusal("deliveries list --status delivred")).toMatch(
    /^invalid_request: .*did you mean delivered\?/s,
  );
});

it("`tartan deliveries list --follow` prints each attempt when it has ended, and `show` all attempts of one", async () => {
  const receiver = await world.relay.receiver();
  await world.relay.destination(receiver, { schedule: [3600] }, ITEM_EVENTS);
  await world.relay.start();
  let isFollowing = false;
  // It has no line that says that it follows, so events are sent until it prints one.
  const sending = until("an attempt was printed", async () => {
    if (!isFollowing) await world.relay.event({ type: "item.error" });
    return isFollowing;
  });
  const printed = (line: string) => (/item\.error\s+item-1.*\b200\b/.test(line) ? line : null);
  await using follows = await cli.start(printed, "deliveries list --follow");
  isFollowing = true;
  await sending;
  receiver.answer = () => ({ status: 500, body: "not \u001b[31mtoday" });
  await world.relay.event({ type: "item.error", itemId: "item-7" });
  await until("the failure was printed", async () =>
    follows.output.some((line) => /item\.error\s+item-7.*status_500 again in/.test(line)),
  );
  expect(await follows.stop()).toBe(0);

  const failed = (await deliveries(world.database)).find(({ item_id }) => item_id === "item-7");
  const id = toDeliveryId(failed?.id ?? "");
  const said = await cli.text("deliveries show", id);
  expect(said).toMatch(/status\s+scheduled\ncause\s+status_500/);
  expect(said).toMatch(/#1 .*500 status_500/);
  // A receiver's answer must not colour the terminal.
  expect(said).toContain("not \uFFFD[31mtoday");
  expect(await cli.json("deliveries show", id)).toMatchObject({ id, attempts: 1, log: [{ number: 1, status: 500 }] });
  expect(await cli.refusal("deliveries show dlv_none")).toMatch(/^not_found: .*npx tartan deliveries list/);
});

it("`tartan deliveries replay` sends a finished delivery again, and refuses one that is still to be sent", async () => {
  await nowhere();
  const event = await world.relay.event({ type: "item.error" });
  await dispatchAll(world.database);
  const [id = ""] = await ids();
  expect(await cli.refusal("deliveries replay", id)).toMatch(/^conflict: .*still to be sent/);
  await settle(world.database, "delivered");
  const said = await cli.text("deliveries replay", id, "--reason", "wanted after all");
  expect(said).toContain(`✓ ${id} will be sent again`);
  expect(said).toMatch(/kind\s+replay\n[\s\S]*reason\s+wanted after all/);
  await workAll(world.database);
  expect(await deliveries(world.database)).toMatchObject([{ status: "scheduled", job_id: /job_\w+/.exec(said)?.[0] }]);
  await settle(world.database, "delivered");
  expect(await cli.json("deliveries replay", id)).toMatchObject({
    kind: "replay",
    asked: { event_id: toEventId(event) },
    total: 1,
  });
  expect(await cli.refusal("deliveries replay dlv_none")).toMatch(/^not_found: /);
});

it("`tartan deliveries cancel` cancels what is still to be sent, and refuses what is finished", async () => {
  await nowhere();
  for (const itemId of ["item-1", "item-2"]) await world.relay.event({ type: "item.error", itemId });
  await dispatchAll(world.database);
  const [first = "", second = ""] = await ids();
  expect(await cli.text("deliveries cancel", first)).toContain(`✓ ${first} is cancelled`);
  expect(await cli.json("deliveries cancel", second)).toMatchObject({ id: second, status: "cancelled" });
  expect(await world.relay.statuses()).toEqual({ cancelled: 2 });
  expect(await cli.refusal("deliveries cancel", first)).toMatch(
    /^conflict: .*is cancelled; only what is still to be sent/,
  );
  expect(await cli.refusal("deliveries cancel dlv_none")).toMatch(/^not_found: /);
});

everyVerbIsRun(cli);
