import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { introduceItem } from "../support/link.ts";
import type { Item } from "../support/world/index.ts";
import {
  ask,
  ended,
  FORMER,
  fleetWorld,
  linkedItems,
  linkedPair,
  move,
  startFleetOf,
  urlOf,
  type FleetWorld,
} from "./support.ts";

let world: FleetWorld;
beforeAll(async () => {
  world = await fleetWorld();
  world.use(await startFleetOf(world));
});
afterAll(() => world[Symbol.asyncDispose]());

const ids = (items: readonly { item_id: string }[]): string[] => items.map(({ item_id }) => item_id);

describe("a move of webhook URLs", () => {
  it("takes items to Tartan's intake, and each is verified after Plaid's acknowledgement arrived there", async () => {
    const items = await linkedItems(world, 3);
    const { id } = await move(world, { to_intake: true, item_ids: ids(items), reason: "Tartan takes over" });
    expect(await ended(world, id)).toMatchObject({
      kind: "webhook_move",
      status: "done",
      total: 3,
      done: 3,
      changed: 3,
      failed: 0,
      states: { verified: 3 },
      reason: "Tartan takes over",
    });
    expect(items.map((item) => urlOf(world, item))).toEqual(items.map(() => world.integration.intake));
    const { body } = await world.api.call(`GET /v1/jobs/${id}/members?state=verified`);
    expect(body.data).toHaveLength(3);
    expect(body.data[0].details).toMatchObject({ to: world.integration.intake, former_url: FORMER });
    expect(body.data[0].details.acknowledgement).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("gives each item its former URL back when it is rolled back, and leaves an item alone that somebody moved since", async () => {
    const items = await linkedPair(world);
    const { id } = await move(world, { to: "http://127.0.0.1:9/other", item_ids: ids(items) });
    expect(await ended(world, id)).toMatchObject({ states: { verified: 2 } });
    await ask(world, "/item/webhook/update", items[1], { webhook: "http://127.0.0.1:9/third" });
    const back = await move(world, { roll_back: id });
    expect(await ended(world, back.id)).toMatchObject({ total: 2, states: { verified: 1, skipped: 1 } });
    expect(items.map((item) => urlOf(world, item))).toEqual([FORMER, "http://127.0.0.1:9/third"]);
  });

  it("removes the URL, awaits no acknowledgement then, and finds it unchanged the next time", async () => {
    const items = await linkedItems(world, 1);
    const { id } = await move(world, { remove: true, item_ids: ids(items) });
    expect(await ended(world, id)).toMatchObject({ states: { verified: 1 } });
    expect(items.map((item) => urlOf(world, item))).toEqual([null]);
    const again = await move(world, { remove: true, item_ids: ids(items) });
    expect(await ended(world, again.id)).toMatchObject({ states: { unchanged: 1 }, changed: 0 });
  });

  it("moves an item that waits for its user, and reports an item that Plaid removed with its cause", async () => {
    const items = await linkedPair(world);
    world.simulator.control.breakItem(items[0].item_id, { webhooks: false });
    await ask(world, "/item/remove", items[1]);
    const { id } = await move(world, { to_intake: true, item_ids: ids(items) });
    const job = await ended(world, id);
    expect(job).toMatchObject({ status: "done", done: 2, failed: 1, states: { verified: 1, failed: 1 } });
    expect(job.failures).toEqual([expect.objectContaining({ cause: "ITEM_NOT_FOUND", items: 1 })]);
  });

  it("leaves the URL of an item alone whose token was given for another item", async () => {
    const { items } = world.simulator.control.createItems({ count: 2, transactions: 0, webhook: FORMER });
    const [one, other] = items as [Item, Item];
    const { item_id } = one;
    const { access_token } = other;
    await introduceItem(world, { integration_id: world.integration.id, item_id, access_token });
    const { id } = await move(world, { remove: true, item_ids: [item_id] });
    expect(await ended(world, id)).toMatchObject({ failed: 1, failures: [{ cause: "token_of_another_item" }] });
    expect([one, other].map((item) => urlOf(world, item))).toEqual([FORMER, FORMER]);
  });
});
