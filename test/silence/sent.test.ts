/** The webhooks that Plaid says it sent: which of them arrived, and that each of the others is journaled once and synced. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { pruneSent } from "../../src/silence/forget.ts";
import { append } from "../../src/journal/append.ts";
import type { PlaidClient } from "../../src/plaid/client.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import { settleSent } from "../../src/silence/settle-sent.ts";
import type { SentLists } from "../../src/silence/sent-lists.ts";
import { repaired } from "../../src/sync/notices.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { until } from "../support/until.ts";
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

describe("a list that Plaid answers in a way that it does not document", () => {
  const sentAt = (n: number) => new Date(Date.now() - 3_600_000 + n * 1000).toISOString();
  const event = (n: number, fields: Json = {}): Json => ({
    webhook_message_id: `odd ${n}`,
    webhook_type: "ITEM",
    webhook_code: "NEW_ACCOUNTS_AVAILABLE",
    item_id: "an item of nobody",
    sent_time: sentAt(n),
    payload: { item_id: "an item of nobody", secret_of_nobody: true },
    destination_url: `https://tartan.example.com/v1/integrations/${world.integration.id}`,
    delivery_status: "DELIVERED",
    last_http_status_code: 200,
    attempt_count: 1,
    last_attempt_time: sentAt(n),
    ...fields,
  });
  const page = (answer: Json) => ({ text: JSON.stringify(answer), requestId: "" });
  /** One turn of reading. @returns the requests */
  async function turn(answer: (request: Json, n: number) => Json): Promise<Json[]> {
    const requests: Json[] = [];
    const post: PlaidClient["post"] = async (_path, request) => {
      requests.push(request);
      return page(answer(request, requests.length));
    };
    const odd = await openLists(world, { clientFor: () => ({ post }) as PlaidClient, graceMs: 600_000_000 });
    await world.database.query("update silence.sent_lists set next_at = now()");
    await odd.work(new AbortController().signal);
    return requests;
  }
  /** Without the second reading, of what was not delivered. */
  const newOnes = (requests: Json[]) => requests.filter((request) => !request["delivery_statuses"]);
  const stateOf = async (): Promise<Json> => {
    const { rows } = await world.database.query<Json>(
      `select state, error ->> 'error_code' as code, cursor, read_to, next_at > now() + interval '5 minutes' as later
      from silence.sent_lists where integration_id = $1`,
      [world.integration.id],
    );
    return rows[0];
  };

  it.each([
    ["names no cursor", (_: Json, n: number) => ({ webhook_events: [event(n)], has_more: true }), 1],
    [
      "names the cursor that it got",
      (_: Json, n: number) => ({ webhook_events: [event(n)], has_more: true, next_cursor: "same" }),
      2,
    ],
    [
      "has the same page behind each cursor",
      (_: Json, n: number) => ({ webhook_events: [event(0)], has_more: true, next_cursor: `n ${n} ${Date.now()}` }),
      2,
    ],
  ])("is an error and is not read for ever, where there is said to be more and it %s", async (_what, answer, asked) => {
    await read();
    const before = await stateOf();
    expect(await turn(answer)).toHaveLength(asked);
    expect(await stateOf()).toMatchObject({ code: "UNREADABLE_ANSWER", state: "available", later: true });
    expect((await stateOf()).read_to).toEqual(before.read_to);
  });

  it("loses nothing when its reader dies between two pages, and takes nothing more from a reader that was taken for dead", async () => {
    await read();
    let answer = (_: Json): void => undefined;
    const asked: Json[] = [];
    const post: PlaidClient["post"] = async (_path, request) => {
      asked.push(request);
      if (asked.length === 1) return page({ webhook_events: [event(10)], has_more: true, next_cursor: "behind 10" });
      if (asked.length > 2) return page({ webhook_events: [], has_more: false, next_cursor: "behind all" });
      return page(await new Promise<Json>((resolve) => (answer = resolve)));
    };
    const frozen = await openLists(world, { clientFor: () => ({ post }) as PlaidClient, graceMs: 600_000_000 });
    await world.database.query("update silence.sent_lists set next_at = now()");
    const reading = frozen.work(new AbortController().signal);
    await until("its second request", () => asked.length === 2);
    const others = await turn(() => ({ webhook_events: [event(11)], has_more: false, next_cursor: "behind 11" }));
    expect(newOnes(others)).toEqual([{ cursor: "behind 10", count: 100 }]);
    answer({ webhook_events: [event(12)], has_more: false, next_cursor: "behind 12" });
    await reading;
    expect(await stateOf()).toMatchObject({ cursor: "behind 11", code: null });
    const { rows } = await world.database.query<{ id: string }>(
      "select message_id as id from silence.plaid_deliveries where message_id = any ('{odd 10,odd 11,odd 12}') order by 1",
    );
    expect(rows.map(({ id }) => id)).toEqual(["odd 10", "odd 11"]);
  });

  it("is read on only after the interval, where page after page has nothing", async () => {
    const requests = await turn((_, n) => ({ webhook_events: [], has_more: true, next_cursor: `${Date.now()} ${n}` }));
    expect(newOnes(requests)).toHaveLength(10);
    expect(await stateOf()).toMatchObject({ code: null, later: true });
  });

  it("is read again from an hour before the end of the last reading, once its cursor is not known any more", async () => {
    await world.database.query("update tartan.integrations set created_at = now() - interval '1 day'");
    await turn(() => ({ webhook_events: [], has_more: false, next_cursor: "gone" }));
    const { read_to } = await stateOf();
    const requests = await turn((request) => {
      if (request["cursor"])
        throw new PlaidError({ errorType: "INVALID_REQUEST", errorCode: "INVALID_FIELD", httpStatus: 400 });
      return { webhook_events: [event(1)], has_more: false, next_cursor: "new" };
    });
    expect(newOnes(requests).map(({ cursor, start_time }) => cursor ?? Date.parse(start_time))).toEqual([
      "gone",
      read_to.getTime() - 3_600_000,
    ]);
    const { rows } = await world.database.query(
      "select payload from silence.plaid_deliveries where message_id = 'odd 1'",
    );
    // The body of an item that is not linked is not kept.
    expect(rows).toEqual([{ payload: null }]);
  });

  it("stays open to the client, where Plaid refuses to filter by what it did not deliver", async () => {
    const requests = await turn((request) => {
      if (request["delivery_statuses"])
        throw new PlaidError({ errorType: "INVALID_REQUEST", errorCode: "INVALID_FIELD", httpStatus: 400 });
      return { webhook_events: [event(2, { delivery_status: "PENDING" })], has_more: false, next_cursor: "behind" };
    });
    expect(requests.length - newOnes(requests).length).toBe(1);
    expect(await stateOf()).toMatchObject({ state: "available", code: null, cursor: "behind" });
  });
});

it("a client to which Plaid has not opened the list is asked again after a day", async () => {
  await using closed = await startWorld({ integration: {} });
  const { control, clientId: client_id, secret } = closed.simulator;
  control.addClient({ client_id, secret, beta: false });
  await readLists(closed, await openLists(closed));
  const asked = closed.simulator.asked("/beta/webhook_events/list");
  const { rows } = await closed.database.query(
    "select state, error ->> 'error_code' as code, next_at > now() + interval '23 hours' as tomorrow from silence.sent_lists",
  );
  expect(rows).toEqual([{ state: "unavailable", code: "UNAUTHORIZED_ROUTE_ACCESS", tomorrow: true }]);
  expect(asked).toBe(1);
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
