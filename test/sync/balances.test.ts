/** Resources of an item that Plaid bills for each request: real-time balances. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

const ENDPOINT = "/accounts/balance/get";

let world: World<"sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  item = await world.sync.synced(20);
});
afterAll(() => world[Symbol.asyncDispose]());

async function request(requested: { resources?: string[]; full?: boolean }): Promise<void> {
  await requestSync(world.database, item.item_id, requested);
  await using worker = await world.sync.start();
  await worker.idle();
}

async function balances(): Promise<Record<string, unknown>[]> {
  const { rows } = await world.database.query<{ raw: Record<string, unknown> }>(
    "select raw from plaid.current_balances where item_id = $1 order by account_id",
    [item.item_id],
  );
  return rows.map(({ raw }) => raw);
}

const truth = () =>
  world.simulator.control
    .accounts(item.item_id)
    .accounts.toSorted((a, b) => (String(a["account_id"]) < String(b["account_id"]) ? -1 : 1));

it("real-time balances are not requested without the integration's consent, even by name", async () => {
  await request({ full: true });
  await expect(request({ resources: ["balances"] })).rejects.toMatchObject({ code: "not_enabled" });
  expect(world.simulator.asked(ENDPOINT)).toBe(0);
  expect(await balances()).toEqual([]);
});

it("real-time balances are requested once for each request by name, and never by a webhook or with all the rest", async () => {
  await updateIntegration(world.database, world.vault, world.integration.id, { enabled_resources: ["balances"] });
  await request({ full: true });
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await request({});
  expect(world.simulator.asked(ENDPOINT)).toBe(0);
  await request({ resources: ["balances"] });
  expect(world.simulator.asked(ENDPOINT)).toBe(1);
  expect(await balances()).toEqual(truth());
  expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", verified_at: expect.any(Date) });
});

it("an account that was withdrawn leaves the real-time balances when they are asked for the next time", async () => {
  const before = await balances();
  world.simulator.control.revokeAccount(item.item_id, { webhooks: false });
  expect(await balances()).toEqual(before);
  await request({ resources: ["accounts", "balances"] });
  expect(await balances()).toEqual(truth());
  expect(await balances()).toHaveLength(before.length - 1);
});

it("real-time balances that Plaid refused with ITEM_LOGIN_REQUIRED are not asked for again by a webhook, since Plaid may have billed the request", async () => {
  const asked = world.simulator.asked(ENDPOINT);
  world.simulator.control.addFault({ kind: "login_required", endpoint: ENDPOINT, item_id: item.item_id, count: 1 });
  await request({ resources: ["balances"] });
  expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "needs_user" });
  expect(world.simulator.asked(ENDPOINT)).toBe(asked + 1);
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await using worker = await world.sync.start();
  await worker.idle({ retries: true });
  expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
  expect(world.simulator.asked(ENDPOINT)).toBe(asked + 1);
});
