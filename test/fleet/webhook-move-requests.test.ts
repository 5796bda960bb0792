/** What is asked of a move of webhook URLs before it begins: its plan, and what is refused. No process works on jobs here. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Item } from "../support/world/index.ts";
import { fleetWorld, linkedItems, linkedPair, move, type FleetWorld } from "./support.ts";

let world: FleetWorld;
beforeAll(async () => {
  world = await fleetWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const ids = (items: readonly Item[]): string[] => items.map(({ item_id }) => item_id);
const cancel = (id: string) => world.api.call(`POST /v1/jobs/${id}/cancel`, { body: {} });

describe("requests for moves of webhook URLs", () => {
  it("are planned without asking Plaid, by what the mirror knows", async () => {
    const items = await linkedPair(world);
    await world.database.query(
      "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, $2, $3, '{}'), ($1, $4, 'https://a.example.com/x', '{}')",
      [world.integration.id, items[0].item_id, world.integration.intake, items[1].item_id],
    );
    const asked = world.simulator.asked("/item/get");
    const plan = (body: object) =>
      world.api.call("POST /v1/webhook-moves", { body: { item_ids: ids(items), dry_run: true, ...body } });
    const group = { to: world.integration.intake, items: 1, from_known: true };
    expect((await plan({ to_intake: true })).body).toEqual({
      count: 2,
      unchanged: 1,
      groups: expect.arrayContaining([
        { ...group, from: world.integration.intake },
        { ...group, from: "https://a.example.com/x" },
      ]),
    });
    expect((await plan({ remove: true, from: "https://a.example.com/" })).body).toMatchObject({
      count: 1,
      unchanged: 0,
    });
    expect(world.simulator.asked("/item/get")).toBe(asked);
  });

  it("are refused where they name no target, two, or one that is no URL, and where a roll-back names items or a running move", async () => {
    const refused = async (body: object): Promise<unknown> =>
      (await world.api.call("POST /v1/webhook-moves", { body })).body.error?.fields;
    expect(await refused({})).toHaveProperty("to");
    expect(await refused({ to_intake: true, remove: true })).toHaveProperty("remove");
    expect(await refused({ to: "ftp://example.com" })).toHaveProperty("to");
    expect(await refused({ roll_back: "job_1", item_ids: ["a"] })).toHaveProperty("item_ids");
    expect((await world.api.call("POST /v1/webhook-moves", { body: { roll_back: "job_1" } })).status).toBe(404);
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
    const running = await world.api.call("POST /v1/webhook-moves", { body: { roll_back: id } });
    expect([running.status, running.body.error.message]).toEqual([409, expect.stringContaining("cancel it before")]);
    await cancel(id);
  });

  it("are refused for an item of another unfinished move, and create one job for one Idempotency-Key", async () => {
    const item_ids = ids(await linkedItems(world, 1));
    const headers = { "idempotency-key": "one-move" };
    const post = () => world.api.call("POST /v1/webhook-moves", { body: { remove: true, item_ids }, headers });
    const [first, repeated] = [await post(), await post()];
    expect([first.status, repeated.body.id]).toEqual([202, first.body.id]);
    const other = await world.api.call("POST /v1/webhook-moves", { body: { to_intake: true, item_ids } });
    expect([other.status, other.body.error.message]).toEqual([409, expect.stringContaining(first.body.id)]);
    await cancel(first.body.id);
    const { id } = await move(world, { to_intake: true, item_ids });
    await cancel(id);
  });
});
