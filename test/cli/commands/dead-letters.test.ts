import { afterEach, beforeEach, expect, it } from "vitest";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { deliveries, dispatchAll, settle, workAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
let to: string;
beforeEach(async () => {
  world = await startWorld({ relay: {}, processes: {} });
  to = (
    await world.relay.destination({ url: "http://127.0.0.1:9" }, { name: "Ledger" }, { filter: { types: ["item.*"] } })
  ).id;
});
afterEach(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("dead-letters", () => world.processes.env);

/** Dead letters of item-1 and item-2, given up because of a timeout, and one of item-3 because of a status. */
async function plant(): Promise<string[]> {
  for (const itemId of ["item-1", "item-2", "item-3"]) await world.relay.event({ type: "item.error", itemId });
  await dispatchAll(world.database);
  await settle(world.database, "dead", { cause: "timeout", where: "item_id <> 'item-3'" });
  await settle(world.database, "dead", { cause: "status_500", where: "item_id = 'item-3'" });
  return (await deliveries(world.database)).map(({ id }) => toDeliveryId(id));
}

it("`tartan dead-letters` counts them by destination and cause, and says how to send them again", async () => {
  expect(await cli.text("dead-letters")).toContain("There are no dead letters.");
  await plant();
  const said = await cli.text("dead-letters");
  expect(said).toMatch(/Ledger\s+timeout\s+2\s+2\s[\s\S]*Ledger\s+status_500\s+1\s+1\s/);
  expect(said).toContain("send them again: npx tartan dead-letters redrive");
  const { data } = await cli.json<{ data: object[] }>("dead-letters --destination", to);
  expect(data).toMatchObject([
    { destination_id: to, cause: "timeout", count: 2, replayable: 2 },
    { destination_id: to, cause: "status_500", count: 1, replayable: 1 },
  ]);
  expect(await cli.refusal("dead-letters --cause timeout")).toMatch(/^usage: .*unknown option/);
});

it("`tartan dead-letters list` prints them one by one, by destination and cause", async () => {
  const [first, second, third] = await plant();
  const said = await cli.text("dead-letters list --cause timeout");
  expect(said).toMatch(new RegExp(`${second}\\s+item\\.error\\s+item-2.*dead\\s+3\\s+timeout[\\s\\S]*${first}\\s`));
  expect(said).not.toContain(third);
  const page = await cli.json<{ data: object[] }>("dead-letters list --limit 1 --destination", to);
  expect(page).toMatchObject({
    data: [{ id: third, status: "dead", cause: "status_500" }],
    next_cursor: expect.any(String) as unknown,
  });
  expect(await cli.refusal("dead-letters list --limit many")).toMatch(/^usage: .*whole number from 1 to 500/);
});

it("`tartan dead-letters redrive` sends those that the options name again, after it was confirmed", async () => {
  const [first, , third = ""] = await plant();
  expect(await cli.text("dead-letters redrive --cause timeout --dry-run")).toContain(
    "This sends 2 dead letters again.",
  );
  expect(await cli.json("dead-letters redrive --item item-3 --dry-run")).toEqual({ count: 1 });
  expect(await cli.refusal("dead-letters redrive --destination", to)).toMatch(
    /^invalid_request: .*This sends 3 dead letters again\. Repeat it with --yes\./,
  );
  expect(await world.relay.statuses()).toEqual({ dead: 3 });

  const said = await cli.text("dead-letters redrive --delivery", third, "--yes", "--reason", "the database is back");
  expect(said).toMatch(/kind\s+redrive\n[\s\S]*progress\s+0 of 1, 0 scheduled[\s\S]*reason\s+the database is back/);
  const job = await cli.json<{ id: string }>("dead-letters redrive --cause timeout --since 1h --yes");
  expect(job).toMatchObject({ kind: "redrive", total: 2, status: "running" });
  await workAll(world.database);
  expect(await world.relay.statuses()).toEqual({ scheduled: 3 });
  const [one] = await deliveries(world.database);
  expect([toDeliveryId(one?.id ?? ""), one?.job_id]).toEqual([first, job.id]);
  expect(await cli.text("dead-letters redrive --yes")).toContain("Nothing matches, so there is nothing to send.");
  expect(await cli.refusal("dead-letters redrive --since never")).toMatch(
    /^invalid_request: .*--since does not accept never/,
  );
});

everyVerbIsRun(cli);
