import { expect, it } from "vitest";
import type { Item, Json } from "../support/world/index.ts";
import { ask, endLeases, ended, fleetProcess, fleetWorld, FORMER, linkedItems, move, urlOf } from "../fleet/support.ts";
import { until } from "../support/until.ts";

/**
 * kill -9 of a move of webhook URLs at each of its steps at once: its first item waits for /item/get, the second for
 * /item/webhook/update, the third for Plaid's acknowledgement, the fourth for the /item/get that verifies it.
 */
it("a move that is killed at each of its steps is finished by another process, with each former URL kept", async () => {
  await using world = await fleetWorld();
  const { control } = world.simulator;
  const [read, updated, acknowledged, verified] = (await linkedItems(world, 4)) as [Item, Item, Item, Item];
  const slow = (item: Item, endpoint: string) =>
    control.addFault({ kind: "slow", ms: 600_000, item_id: item.item_id, endpoint });
  slow(read, "/item/get");
  slow(updated, "/item/webhook/update");
  for (const { item_id } of [acknowledged, verified])
    control.addFault({ kind: "drop_webhooks", item_id, webhook_code: "WEBHOOK_UPDATE_ACKNOWLEDGED", count: 1 });
  const item_ids = [read, updated, acknowledged, verified].map(({ item_id }) => item_id);
  const { id } = await move(world, { to_intake: true, item_ids });
  const acknowledge = (item: Item) => ask(world, "/item/webhook/update", item, { webhook: world.integration.intake });
  const stateOf = async ({ item_id }: Item): Promise<Json> => {
    const { body } = await world.api.call(`GET /v1/jobs/${id}/members`);
    return body.data.find((member: Json) => member.item_id === item_id);
  };

  {
    await using killed = await fleetProcess(world);
    await until("two items are updated", async () => {
      const states = [await stateOf(acknowledged), await stateOf(verified)].map(({ state }) => state);
      return states.join() === "updated,updated";
    });
    slow(verified, "/item/get");
    await acknowledge(verified);
    await until("the fourth is being verified", async () => (await stateOf(verified)).state === "acknowledged");
    await until("the former URL of the second is kept", async () => "former_url" in (await stateOf(updated)).details);
    expect((await stateOf(read)).details).not.toHaveProperty("former_url");
    await killed.kill9();
  }
  control.clearFaults();
  await endLeases(world);
  await using _another = await fleetProcess(world);
  await acknowledge(acknowledged);
  expect(await ended(world, id)).toMatchObject({ status: "done", failed: 0, states: { verified: 4 } });
  for (const item of [read, updated, acknowledged, verified]) {
    expect(urlOf(world, item)).toBe(world.integration.intake);
    expect((await stateOf(item)).details).toMatchObject({ former_url: FORMER, to: world.integration.intake });
  }
});
