/** The webhooks that Plaid says it sent: which of them arrived, and that each of the others is journaled once and synced. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { pruneSent } from "../../src/silence/forget.ts";
import { append } from "../../src/journal/append.ts";
import { settleSent } from "../../src/silence/settle-sent.ts";
import type { SentLists } from "../../src/silence/sent-lists.ts";
import { repaired } from "../../src/sync/notices.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";
import { checkOnce } from "../sync/reconcile-support.ts";
import { openLists, readLists } from "./support.ts";

let world: World<"sync" | "api">;
let lists: SentLists;
/** where Plaid is answered with 503 */
let failing: Receiver;
beforeAll(async () => {
  world = await startWorld({ sync: {}, api: {} });
  lists = await openLists(world);
  failing = world.use(await startReceiver());
  failing.answer = () => ({ status: 503 });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => void world.simulator.control.clearFaults());

const read = (): Promise<void> => readLists(world, lists);
const listed = async (query: string): Promise<Json[]> =>
  (await world.api.call(`GET /v1/plaid-deliveries?${query}`)).body.data;
const sentOf = ({ item_id }: Item, more = ""): Promise<Json[]> => listed(`item_id=${item_id}${more}`);

const drain = async (): Promise<void> => {
  await world.simulator.control.idle();
  await using worker = await world.sync.start();
  await worker.idle();
};

/** An item that was synced; its webhooks go to the intake, or to a server with the intake's path. */
async function linked(at: { url: string } = world.api): Promise<Item> {
  const [item] = world.integration.makeItemsFor(at, 1, 20);
  if (!item) throw new Error("the simulator made no item");
  await world.integration.link(item);
  await drain();
  return item;
}

const journaled = async ({ item_id }: Item): Promise<{ source: string; code: string; id: string }[]> => {
  const { rows } = await world.database.query<{ source: string; code: string; id: string }>(
    "select source, webhook_code as code, id from journal.webhooks where item_id = $1 and source in ('PLAID', 'RECONCILER') order by id",
    [item_id],
  );
  return rows;
};

it("a webhook that arrived is listed as received, with its id in the journal, and is journaled once", async () => {
  const item = await linked();
  world.simulator.control.sendWebhook({
    item_id: item.item_id,
    webhook_type: "ITEM",
    webhook_code: "NEW_ACCOUNTS_AVAILABLE",
  });
  await drain();
  await read();
  const [sent, ...more] = await sentOf(item);
  expect(more).toEqual([]);
  expect(sent).toMatchObject({
    integration_id: world.integration.id,
    status: "DELIVERED",
    last_http_status: 200,
    to_intake: true,
    outcome: "received",
    message: expect.stringMatching(/^Plaid delivered it at .*\. The journal has it\.$/),
  });
  const { body } = await world.api.call(`GET /v1/webhooks/${sent?.webhook_id}`);
  expect(body).toMatchObject({ source: "PLAID", webhook_code: "NEW_ACCOUNTS_AVAILABLE", item_id: item.item_id });
  expect(await journaled(item)).toHaveLength(1);
});

it("a webhook that never arrived is journaled once from Plaid's list, with Plaid's payload, its item is synced, and a check finds no gap more", async () => {
  const item = await linked();
  await world.database.query("update tartan.items set linked_at = linked_at - interval '1 minute'");
  world.simulator.control.addFault({
    kind: "drop_webhooks",
    item_id: item.item_id,
    webhook_code: "SYNC_UPDATES_AVAILABLE",
  });
  world.simulator.control.changeTransactions(item.item_id, { modify: 2 });
  await drain();
  await read();
  await read();
  await drain();
  const [one, ...more] = await journaled(item);
  expect([one, ...more]).toMatchObject([{ source: "RECONCILER", code: "SYNC_UPDATES_AVAILABLE" }]);
  const [sent] = await sentOf(item, "&status=FAILED");
  expect(sent).toMatchObject({ outcome: "recovered", status: "FAILED", last_http_status: null });
  // So that it opens no notice of what was repaired since.
  const [kept] = (
    await world.database.query(
      "select signed_at, received_at from journal.webhooks where item_id = $1 and source = 'RECONCILER'",
      [item.item_id],
    )
  ).rows;
  expect(kept).toMatchObject({ signed_at: new Date(sent?.sent_at) });
  const { body } = await world.api.call(`GET /v1/webhooks/${sent?.webhook_id}`);
  expect(body.webhook).toMatchObject({
    item_id: item.item_id,
    historical_update_complete: true,
    environment: "sandbox",
  });
  await checkOnce(world, item.item_id);
  const [gap, ...others] = (await world.api.call(`GET /v1/gaps?item_id=${item.item_id}`)).body.data;
  expect(others).toEqual([]);
  expect(gap).toMatchObject({
    id: sent?.webhook_id,
    found_by: "sent_webhooks",
    missed_webhook: { webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE", sent_at: sent?.sent_at },
    outcome: "synced",
    counts: { transactions: { modified: 2 } },
  });
  await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
});

it("of two webhooks alike of which one arrived, the other one is journaled", async () => {
  const item = await linked();
  const { control } = world.simulator;
  const announce = () =>
    control.sendWebhook({ item_id: item.item_id, webhook_type: "ITEM", webhook_code: "NEW_ACCOUNTS_AVAILABLE" });
  control.addFault({ kind: "drop_webhooks", item_id: item.item_id, count: 1 });
  announce();
  announce();
  await drain();
  await read();
  expect((await journaled(item)).map(({ source }) => source)).toEqual(["PLAID", "RECONCILER"]);
  expect((await sentOf(item)).map(({ status, outcome }) => [status, outcome])).toEqual([
    ["DELIVERED", "received"],
    ["FAILED", "recovered"],
  ]);
});

it("of many webhooks alike that all arrived in the same instant, none is journaled again", async () => {
  const item = await linked();
  const send = () =>
    world.simulator.control.sendWebhook({
      item_id: item.item_id,
      webhook_type: "ITEM",
      webhook_code: "NEW_ACCOUNTS_AVAILABLE",
    });
  for (let n = 0; n < 25; n += 1) send();
  await drain();
  await read();
  await world.database.query(
    "update silence.plaid_deliveries set outcome = 'open', webhook_id = null, sent_at = now(), last_attempt_at = now() where item_id = $1",
    [item.item_id],
  );
  expect(await settleSent(world.database, world.integration.id, { journalRetentionDays: 0, graceMs: -60_000 })).toBe(0);
  expect((await sentOf(item)).map(({ outcome }) => outcome)).toEqual(Array(25).fill("received"));
  expect(await journaled(item)).toHaveLength(25);
});

it("a webhook that was delivered late does not take the place of one alike whose attempt is known", async () => {
  const item = await linked();
  const about = { integrationId: world.integration.id, itemId: item.item_id };
  const at = (minutesAgo: number) => ({ ...about, receivedAt: new Date(Date.now() - minutesAgo * 60_000) });
  await append(world.database, [webhook(at(60)), webhook(at(10))]);
  await world.database.query(
    `insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, item_id, subject_kind, subject_id, sent_at,
      last_attempt_at, status, attempts, to_intake, outcome)
    select $1, 'late or not ' || n, 'TRANSACTIONS', 'SYNC_UPDATES_AVAILABLE', $2, 'item', $2, now() - n * interval '1 minute',
      case n when 60 then now() - interval '1 hour' end, 'DELIVERED', 1, true, 'open' from unnest(array[120, 60]) n`,
    [about.integrationId, about.itemId],
  );
  await settleSent(world.database, about.integrationId, { journalRetentionDays: 0, graceMs: -60_000 });
  expect((await sentOf(item)).map(({ outcome }) => outcome)).toEqual(["received", "received"]);
});

it("a warning that is found after a repair opens no notice, and a repair that is found after a warning clears none", async () => {
  const { control } = world.simulator;
  const [warned, sessioned, repairedLate] = [await linked(), await linked(), await linked()];
  const send = ({ item_id }: Item, webhook_code: string, isLost: boolean) => {
    if (isLost) control.addFault({ kind: "drop_webhooks", item_id, webhook_code, count: 1 });
    control.sendWebhook({ item_id, webhook_type: "ITEM", webhook_code });
  };
  send(warned, "PENDING_DISCONNECT", true);
  send(warned, "NEW_ACCOUNTS_AVAILABLE", true);
  send(warned, "LOGIN_REPAIRED", false);
  send(sessioned, "NEW_ACCOUNTS_AVAILABLE", true);
  send(repairedLate, "LOGIN_REPAIRED", true);
  send(repairedLate, "PENDING_DISCONNECT", false);
  await drain();
  await world.database.transaction((tx) =>
    repaired(tx, { integrationId: world.integration.id, itemId: sessioned.item_id, at: new Date(Date.now() + 1000) }),
  );
  await read();
  await drain();
  const noticesOf = async ({ item_id }: Item): Promise<string[]> =>
    (await world.api.call(`GET /v1/items/${item_id}`)).body.notices.map(({ kind }: Json) => kind);
  // A repair of the login says nothing of new accounts.
  expect(await noticesOf(warned)).toEqual(["new_accounts"]);
  expect(await noticesOf(sessioned)).toEqual([]);
  expect(await noticesOf(repairedLate)).toEqual(["disconnect_pending"]);
  expect((await sentOf(sessioned)).map(({ outcome }) => outcome)).toEqual(["not_needed"]);
});

it("a webhook that Plaid still tries to deliver is left to Plaid, and counts as delivered once it is no longer pending", async () => {
  const item = await linked(failing);
  const { control } = world.simulator;
  control.sendWebhook({ item_id: item.item_id, webhook_type: "ITEM", webhook_code: "NEW_ACCOUNTS_AVAILABLE" });
  await control.idle();
  await read();
  const [pending] = await sentOf(item, "&status=PENDING");
  expect(pending).toMatchObject({
    outcome: "open",
    last_http_status: 503,
    attempts: 1,
    message: expect.stringMatching(/^Plaid got 503 from you at .*Z and tries again\.$/),
  });
  expect(await journaled(item)).toEqual([]);
  // A server answers 200 in Tartan's place, and keeps nothing.
  failing.answer = () => ({ status: 200 });
  await control.advanceClock({ advance_s: 31 });
  await control.idle();
  await read();
  failing.answer = () => ({ status: 503 });
  expect(await sentOf(item)).toMatchObject([{ status: "DELIVERED", outcome: "recovered" }]);
  expect(await journaled(item)).toMatchObject([{ source: "RECONCILER", code: "NEW_ACCOUNTS_AVAILABLE" }]);
});

it("nothing is journaled for a webhook to another URL, of an item linked since, or of an item that was unlinked or erased", async () => {
  const { control } = world.simulator;
  const elsewhere = world.integration.makeItems(1, 5, { webhook: `${failing.url}/somewhere` })[0] as Item;
  const [since, unlinked, erased] = [await linked(failing), await linked(failing), await linked(failing)];
  await world.integration.link(elsewhere);
  control.addFault({ kind: "drop_webhooks" });
  for (const { item_id } of [elsewhere, since, unlinked, erased])
    control.sendWebhook({ item_id, webhook_type: "ITEM", webhook_code: "NEW_ACCOUNTS_AVAILABLE" });
  await world.database.query("update tartan.items set linked_at = now() + interval '1 minute' where item_id = $1", [
    since.item_id,
  ]);
  expect((await world.api.call(`DELETE /v1/items/${unlinked.item_id}`)).status).toBe(200);
  await eraseItem(world.database, world.integration.id, erased.item_id);
  await read();
  const outcomes = await Promise.all(
    [elsewhere, since, unlinked, erased].map(async (item) => (await sentOf(item)).map(({ outcome }) => outcome)),
  );
  expect(outcomes).toEqual([["elsewhere"], ["not_needed"], ["not_needed"], ["not_needed"]]);
  for (const item of [elsewhere, since, unlinked, erased]) expect(await journaled(item)).toEqual([]);
});

it("several processes that decide at once journal a missing webhook once, and a cursor that expired makes none twice", async () => {
  const item = await linked();
  world.simulator.control.addFault({ kind: "drop_webhooks", item_id: item.item_id });
  const send = () =>
    world.simulator.control.sendWebhook({
      item_id: item.item_id,
      webhook_type: "ITEM",
      webhook_code: "NEW_ACCOUNTS_AVAILABLE",
    });
  for (let n = 0; n < 5; n += 1) send();
  const late = await openLists(world, { graceMs: 600_000 });
  await readLists(world, late);
  expect((await sentOf(item)).map(({ outcome }) => outcome)).toEqual(Array(5).fill("open"));
  const options = { journalRetentionDays: 0, graceMs: -60_000 };
  const recovered = await Promise.all([1, 2, 3].map(() => settleSent(world.database, world.integration.id, options)));
  expect(recovered.reduce((sum, each) => sum + each)).toBe(5);
  const cursor = Buffer.from(`webhook_events/${Date.now() - 8 * 86_400_000}/0`).toString("base64url");
  await world.database.query("update silence.sent_lists set cursor = $1", [cursor]);
  send();
  await read();
  expect(await journaled(item)).toHaveLength(6);
  const { rows } = await world.database.query<{ cursor: string }>(
    "select cursor from silence.sent_lists where integration_id = $1",
    [world.integration.id],
  );
  expect(rows[0]?.cursor).not.toBe(cursor);
});

it("what was read before is decided although Plaid does not answer the next request", async () => {
  const item = await linked();
  const { control } = world.simulator;
  control.addFault({ kind: "drop_webhooks", item_id: item.item_id });
  control.sendWebhook({ item_id: item.item_id, webhook_type: "ITEM", webhook_code: "NEW_ACCOUNTS_AVAILABLE" });
  await readLists(world, await openLists(world, { graceMs: 600_000 }));
  control.addFault({ kind: "server_error", endpoint: "/beta/webhook_events/list" });
  await world.database.query("update silence.sent_lists set next_at = now()");
  await lists.work(new AbortController().signal);
  expect(await sentOf(item)).toMatchObject([{ outcome: "recovered" }]);
});

it("the list is paged, refuses an unknown status, and forgets what Plaid sent more than eight days ago", async () => {
  const seen: string[] = [];
  let cursor = "";
  do {
    const { body } = await world.api.call(`GET /v1/plaid-deliveries?limit=3${cursor}`);
    seen.push(...body.data.map((each: Json) => each.message_id));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor);
  const { rows } = await world.database.query<{ id: string }>("select message_id as id from silence.plaid_deliveries");
  expect(new Set(seen)).toEqual(new Set(rows.map(({ id }) => id)));
  expect(seen).toHaveLength(rows.length);
  expect((await world.api.call("GET /v1/plaid-deliveries?status=LOST")).body.error.code).toBe("invalid_request");
  const [oldest] = seen;
  await world.database.query(
    "update silence.plaid_deliveries set sent_at = now() - interval '193 hours' where message_id = $1",
    [oldest],
  );
  await pruneSent(world.database);
  expect(await listed("limit=500")).toHaveLength(rows.length - 1);
});
