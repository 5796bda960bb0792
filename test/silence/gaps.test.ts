/** The list of gaps: how each was found, what was missed, and when and how it was healed. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { checkOnce, unheardItem } from "../sync/reconcile-support.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";
import { webhook } from "../support/webhook.ts";

let world: World<"sync" | "api">;
beforeAll(async () => {
  world = await startWorld({ sync: {}, api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const drain = async (): Promise<void> => {
  await using worker = await world.sync.start();
  await worker.idle();
};

const listed = async (query: string): Promise<Json[]> => (await world.api.call(`GET /v1/gaps?${query}`)).body.data;

/** Checks the item, and then lets sync heal what the check found. */
async function healed({ item_id }: Item): Promise<void> {
  await checkOnce(world, item_id);
  await drain();
}

it("a webhook that did not arrive is listed as a gap with its code and time, and when and how the gap was healed", async () => {
  const item = await unheardItem(world);
  world.simulator.control.changeTransactions(item.item_id, { add: 3, remove: 2, modify: 1 });
  await checkOnce(world, item.item_id);
  const [open] = await listed(`item_id=${item.item_id}`);
  expect(open).toMatchObject({
    integration_id: world.integration.id,
    item_id: item.item_id,
    found_by: "check",
    missed_webhook: { webhook_type: null, webhook_code: "SYNC_UPDATES_AVAILABLE", sent_at: expect.any(String) },
    healed_at: null,
    outcome: null,
    counts: {},
  });
  await drain();
  const [closed, ...more] = await listed(`item_id=${item.item_id}`);
  expect(more).toEqual([]);
  expect(closed).toMatchObject({ id: open?.id, outcome: "synced", counts: { transactions: { added: 3, removed: 2 } } });
  expect(Date.parse(closed?.healed_at)).toBeGreaterThanOrEqual(Date.parse(closed?.found_at));
  const shown = await world.api.call(`GET /v1/webhooks/${closed?.id}`);
  expect(shown.body).toMatchObject({ source: "RECONCILER", webhook_code: "GAP_FOUND" });
});

it("rows that changed without any webhook are listed as a gap that a reading found", async () => {
  const item = await unheardItem(world);
  world.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
  await healed(item);
  const found = { found_by: "reading", missed_webhook: null, changed_resources: ["transactions"], outcome: "synced" };
  expect(await listed(`item_id=${item.item_id}`)).toMatchObject([found]);
});

it("an item that broke without a webhook is listed as a gap with the fields that differed", async () => {
  const item = await unheardItem(world);
  world.simulator.control.breakItem(item.item_id, { webhooks: false });
  await healed(item);
  const found = { found_by: "check", differing_fields: ["error"], missed_webhook: null, outcome: "needs_user" };
  expect(await listed(`item_id=${item.item_id}`)).toMatchObject([found]);
});

it("gaps are listed newest first in pages, of one integration or of all, webhooks of other sources are none, and an unlinked item's is not healed", async () => {
  const { database } = world;
  const other = await world.integration.another();
  const gap = (integrationId: string, itemId: string, source: "RECONCILER" | "BACKEND") =>
    webhook({ integrationId, itemId, source, webhookType: "ITEM", webhookCode: "GAP_FOUND", proof: null });
  for (const itemId of ["gap-1", "gap-2", "gap-3"]) await append(database, [gap(other, itemId, "RECONCILER")]);
  await append(database, [gap(other, "no gap", "BACKEND")]);
  await database.query(
    `update journal.webhooks set processed_at = now(), update_info = '{"outcome": "item_unknown"}' where item_id = 'gap-3'`,
  );
  expect((await listed("item_id=gap-3"))[0]).toMatchObject({ healed_at: null, outcome: "item_unknown" });
  const seen: string[] = [];
  let cursor = "";
  do {
    const { body } = await world.api.call(`GET /v1/gaps?integration_id=${other}&limit=2${cursor}`);
    seen.push(...body.data.map((each: Json) => each.item_id));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor);
  expect(seen).toEqual(["gap-3", "gap-2", "gap-1"]);
  const all = await listed("limit=500");
  expect(all.slice(0, 3).map((each) => each.item_id)).toEqual(["gap-3", "gap-2", "gap-1"]);
  expect(all.length).toBeGreaterThan(5);
  const mistyped = await world.api.call("GET /v1/gaps?cursor=none");
  expect([mistyped.status, mistyped.body.error.code]).toEqual([400, "invalid_request"]);
});
