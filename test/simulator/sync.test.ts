/** /transactions/sync keeps Plaid's rules: cursors, pages, stages, and the mutation that makes a loop begin again. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlaidApi } from "plaid";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { refusal, sdkFor } from "./support/client.ts";
import { Reader } from "./support/reader.ts";

const MUTATION = "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION";
let simulator: Simulator;
let sdk: PlaidApi;
let inbox: Inbox;

beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({
    seed: "sync",
    clock: frozenClock("2026-03-07T12:00:00Z"),
    rateLimits: false,
    extraction: { initialMs: 10_000, historicalMs: 60_000, refreshMs: 5_000 },
  });
  sdk = sdkFor(simulator);
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

function makeItem(request: Parameters<Simulator["control"]["createItems"]>[0] = {}) {
  const [item] = simulator.control.createItems(request).items;
  if (!item) throw new Error("no item");
  return item;
}

test("pages of /transactions/sync have the requested length, at most 500, and the last has has_more false", async () => {
  const { access_token } = makeItem({ transactions: 1201 });
  const sizes = [];
  for (let cursor = "", more = true; more;) {
    const { data } = await sdk.transactionsSync({ access_token, cursor, count: 500 });
    sizes.push(data.added.length);
    ({ next_cursor: cursor, has_more: more } = data);
  }
  expect(sizes).toEqual([500, 500, 201]);
  expect((await sdk.transactionsSync({ access_token })).data.added).toHaveLength(100);
  expect(await refusal(sdk.transactionsSync({ access_token, count: 501 }))).toMatchObject({
    error_code: "INVALID_FIELD",
  });
  expect(await refusal(sdk.transactionsSync({ access_token, count: 0 }))).toMatchObject({
    error_code: "INVALID_FIELD",
  });
});

test("a page that would end exactly at the last row says has_more false", async () => {
  const { access_token } = makeItem({ transactions: 40 });
  expect((await sdk.transactionsSync({ access_token, count: 40 })).data.has_more).toBe(false);
  expect((await sdk.transactionsSync({ access_token, count: 39 })).data.has_more).toBe(true);
});

test("an item without any transaction still gets a cursor", async () => {
  const { access_token, item_id } = makeItem({ transactions: 0 });
  const { data } = await sdk.transactionsSync({ access_token });
  expect(data).toMatchObject({ added: [], accounts: [], has_more: false });
  expect(data.next_cursor).not.toBe("");
  simulator.control.changeTransactions(item_id, { add: 1 });
  const next = (await sdk.transactionsSync({ access_token, cursor: data.next_cursor })).data;
  expect(next.added).toHaveLength(1);
  expect(next.accounts).toHaveLength(1);
});

test("a cursor is opaque base64 and belongs to its item and account filter only", async () => {
  const [mine, other] = [makeItem(), makeItem()];
  const { next_cursor: cursor, accounts } = (await sdk.transactionsSync({ access_token: mine.access_token })).data;
  expect(cursor).toMatch(/^[A-Za-z0-9+/]+=*$/);
  expect(cursor.length).toBeLessThanOrEqual(256);
  const account_id = accounts[0]?.account_id ?? "";
  const wrong = [
    { access_token: other.access_token, cursor },
    { access_token: mine.access_token, cursor: `${cursor.slice(0, 8)}AAAA${cursor.slice(12)}` },
    { access_token: mine.access_token, cursor: "not base64!" },
    { access_token: mine.access_token, cursor, options: { account_id } },
  ];
  for (const request of wrong) {
    expect(await refusal(sdk.transactionsSync(request))).toMatchObject({
      status: 400,
      error_type: "INVALID_REQUEST",
      error_code: "INVALID_FIELD",
      error_message: "cursor not associated with access_token",
    });
  }
});

test("a cursor survives a new access token", async () => {
  const { access_token, item_id } = makeItem();
  const { next_cursor: cursor } = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  const { new_access_token } = (await sdk.itemAccessTokenInvalidate({ access_token })).data;
  simulator.control.changeTransactions(item_id, { add: 2 });
  expect((await sdk.transactionsSync({ access_token: new_access_token, cursor })).data.added).toHaveLength(2);
});

test('the cursor "now" skips what is there, and later edits of it arrive as modified', async () => {
  const { access_token, item_id } = makeItem({ transactions: 5 });
  const now = (await sdk.transactionsSync({ access_token, cursor: "now" })).data;
  expect(now).toMatchObject({ added: [], modified: [], removed: [], has_more: false });
  simulator.control.changeTransactions(item_id, { modify: 1 });
  const next = (await sdk.transactionsSync({ access_token, cursor: now.next_cursor })).data;
  expect([next.added.length, next.modified.length]).toEqual([0, 1]);
});

test("a transaction that came and went since the cursor is not mentioned, and one that came and changed is an addition", async () => {
  const { access_token, item_id } = makeItem({ transactions: 0 });
  const { next_cursor: cursor } = (await sdk.transactionsSync({ access_token })).data;
  simulator.control.changeTransactions(item_id, { add: 3 });
  simulator.control.changeTransactions(item_id, { remove: 1 });
  simulator.control.changeTransactions(item_id, { modify: 1 });
  const { added, modified, removed } = (await sdk.transactionsSync({ access_token, cursor })).data;
  expect([added.length, modified.length, removed.length]).toEqual([2, 0, 0]);
});

test("whether a row is added or modified depends on where the loop began, not on the page", async () => {
  const { access_token, item_id } = makeItem({ transactions: 40 });
  const seen = { added: new Set<string>(), modified: new Set<string>(), removed: new Set<string>() };
  const loop = async (from: string) => {
    for (const set of Object.values(seen)) set.clear();
    for (let cursor = from, more = true; more;) {
      const { data } = await sdk.transactionsSync({ access_token, cursor, count: 7 });
      for (const kind of ["added", "modified", "removed"] as const) {
        for (const { transaction_id } of data[kind]) seen[kind].add(transaction_id);
      }
      ({ next_cursor: cursor, has_more: more } = data);
      if (!more) return cursor;
    }
    return "";
  };
  simulator.control.changeTransactions(item_id, { modify: 40 });
  const cursor = await loop("");
  expect([seen.added.size, seen.modified.size, seen.removed.size]).toEqual([40, 0, 0]);
  const old = new Set(seen.added);
  const { removed } = simulator.control.changeTransactions(item_id, { add: 30, remove: 10 });
  simulator.control.changeTransactions(item_id, { modify: 60 });
  await loop(cursor);
  expect([seen.added.size, seen.modified.size]).toEqual([30, 30]);
  expect([...seen.modified].every((id) => old.has(id))).toBe(true);
  expect([...seen.removed].toSorted()).toEqual(removed.toSorted());
});

test("a posted transaction is a removal and an addition that names the pending one", async () => {
  const { access_token, item_id } = makeItem({ transactions: 10 });
  simulator.control.changeTransactions(item_id, { add_pending: 3 });
  const { next_cursor: cursor } = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  const { posted } = simulator.control.changeTransactions(item_id, { post_pending: "all" });
  const { added, removed } = (await sdk.transactionsSync({ access_token, cursor, count: 500 })).data;
  expect(posted.length).toBeGreaterThanOrEqual(3);
  expect(removed.map((row) => row.transaction_id).toSorted()).toEqual(
    posted.map((one) => one.pending_transaction_id).toSorted(),
  );
  expect(
    added.every(
      (row) => !row.pending && posted.some((one) => one.pending_transaction_id === row.pending_transaction_id),
    ),
  ).toBe(true);
});

test("a change between two pages makes the next page fail until the loop begins again", async () => {
  const { access_token, item_id } = makeItem({ transactions: 30 });
  const first = (await sdk.transactionsSync({ access_token, count: 10 })).data;
  simulator.control.changeTransactions(item_id, { add: 1 });
  for (let i = 0; i < 2; i += 1) {
    const error = await refusal(sdk.transactionsSync({ access_token, cursor: first.next_cursor, count: 10 }));
    expect(error).toMatchObject({ status: 400, error_type: "TRANSACTIONS_ERROR", error_code: MUTATION });
  }
  const again = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  expect(again.added).toHaveLength(31);
});

test("a change never invalidates a cursor that ended its loop", async () => {
  const { access_token, item_id } = makeItem({ transactions: 30 });
  const { next_cursor: cursor } = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  simulator.control.changeTransactions(item_id, { add: 1 });
  expect((await sdk.transactionsSync({ access_token, cursor })).data.added).toHaveLength(1);
});

test("a mutation fault fails a request between pages, and a stubborn one every request with a cursor", async () => {
  const { access_token, item_id } = makeItem({ transactions: 30 });
  simulator.control.addFault({ kind: "mutation", item_id, count: 1 });
  const reader = new Reader(sdk, access_token);
  await reader.read(10);
  expect(reader.restarts).toBe(1);
  simulator.control.addFault({ kind: "mutation", item_id, count: 2, stubborn: true });
  const request = { access_token, cursor: reader.cursor };
  expect((await refusal(sdk.transactionsSync(request))).error_code).toBe(MUTATION);
  expect((await sdk.transactionsSync({ access_token, count: 500 })).data.added).toHaveLength(30);
  expect((await refusal(sdk.transactionsSync(request))).error_code).toBe(MUTATION);
  expect((await sdk.transactionsSync(request)).data.has_more).toBe(false);
});

test("history arrives in stages with their webhooks, and SYNC_UPDATES_AVAILABLE only after the first sync call", async () => {
  inbox.arrived.length = 0;
  const { access_token } = makeItem({ ready: false, transactions: 90, webhook: inbox.url });
  expect((await sdk.accountsGet({ access_token })).data.accounts.length).toBeGreaterThan(0);
  expect((await sdk.itemGet({ access_token })).data.status?.transactions?.last_successful_update).toBeNull();
  await simulator.control.advanceClock({ advance_s: 10 });
  expect(inbox.codes()).toEqual(["TRANSACTIONS/INITIAL_UPDATE"]);
  const first = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  expect(first.transactions_update_status).toBe("INITIAL_UPDATE_COMPLETE");
  expect(first.added.every((row) => row.date >= "2026-02-05")).toBe(true);
  await simulator.control.advanceClock({ advance_s: 50 });
  expect(inbox.codes().slice(1)).toEqual(["TRANSACTIONS/HISTORICAL_UPDATE", "TRANSACTIONS/SYNC_UPDATES_AVAILABLE"]);
  expect(inbox.arrived[1]?.body["new_transactions"]).toBe(90 - first.added.length);
  expect(inbox.arrived[2]?.body).toMatchObject({ initial_update_complete: true, historical_update_complete: true });
  const rest = (await sdk.transactionsSync({ access_token, cursor: first.next_cursor, count: 500 })).data;
  expect(rest.transactions_update_status).toBe("HISTORICAL_UPDATE_COMPLETE");
  expect(rest.added.length + first.added.length).toBe(90);
});

test("an item without Transactions begins with the first sync call", async () => {
  const { access_token } = makeItem({ ready: false, products: ["auth"], transactions: 9, webhook: inbox.url });
  await simulator.control.advanceClock({ advance_s: 3600 });
  inbox.arrived.length = 0;
  expect((await sdk.transactionsSync({ access_token })).data.transactions_update_status).toBe("NOT_READY");
  await simulator.control.advanceClock({ advance_s: 60 });
  expect(inbox.codes().filter((code) => code.endsWith("SYNC_UPDATES_AVAILABLE"))).toHaveLength(2);
  expect((await sdk.transactionsSync({ access_token })).data.added).toHaveLength(9);
});

test("the first request for Transactions may choose the days of history", async () => {
  const { access_token } = makeItem({ ready: false, products: ["auth"], user: "user_good" });
  await sdk.accountsGet({ access_token });
  await sdk.transactionsSync({ access_token, options: { days_requested: 730 } });
  await simulator.control.advanceClock({ advance_s: 60 });
  const { added } = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  expect(added.map((row) => row.date).toSorted()[0]).toMatch(/^2024-03/);
});

test("changes are announced by webhooks of removals, additions and, after the first sync call, sync updates", async () => {
  const { access_token, item_id } = makeItem({ webhook: inbox.url, transactions: 10 });
  inbox.arrived.length = 0;
  simulator.control.changeTransactions(item_id, { modify: 1 });
  await simulator.control.idle();
  expect(inbox.codes()).toEqual([]);
  await sdk.transactionsSync({ access_token });
  const { removed } = simulator.control.changeTransactions(item_id, { add: 2, remove: 1 });
  await simulator.control.idle();
  const seen = inbox.arrived.map(({ body }) => [
    body["webhook_code"],
    body["new_transactions"] ?? body["removed_transactions"],
  ]);
  expect(seen.toSorted()).toEqual([
    ["DEFAULT_UPDATE", 2],
    ["SYNC_UPDATES_AVAILABLE", undefined],
    ["TRANSACTIONS_REMOVED", removed],
  ]);
});

test("refreshing user_transactions_dynamic posts all pending rows, adds new ones and raises one row by a dollar", async () => {
  const { access_token } = makeItem({ user: "user_transactions_dynamic", webhook: inbox.url });
  const before = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  expect(before.added).toHaveLength(50);
  inbox.arrived.length = 0;
  await sdk.transactionsRefresh({ access_token });
  await simulator.control.advanceClock({ advance_s: 5 });
  const after = (await sdk.transactionsSync({ access_token, cursor: before.next_cursor, count: 500 })).data;
  const pendingBefore = before.added.filter((row) => row.pending).map((row) => row.transaction_id);
  expect(pendingBefore.length).toBeGreaterThan(0);
  expect(after.removed.map((row) => row.transaction_id).toSorted()).toEqual(pendingBefore.toSorted());
  expect(after.added.filter((row) => row.pending).length).toBeGreaterThanOrEqual(2);
  const [raised] = after.modified;
  const old = before.added.find((row) => row.transaction_id === raised?.transaction_id);
  expect(Math.round(((raised?.amount ?? 0) - (old?.amount ?? 0)) * 100)).toBe(100);
  expect(inbox.codes().toSorted()).toEqual([
    "TRANSACTIONS/DEFAULT_UPDATE",
    "TRANSACTIONS/SYNC_UPDATES_AVAILABLE",
    "TRANSACTIONS/TRANSACTIONS_REMOVED",
  ]);
});

test("refreshing another user finds nothing new and sends no webhook", async () => {
  const { access_token } = makeItem({ user: "user_good", webhook: inbox.url });
  const { next_cursor: cursor } = (await sdk.transactionsSync({ access_token, count: 500 })).data;
  inbox.arrived.length = 0;
  await sdk.transactionsRefresh({ access_token });
  await simulator.control.advanceClock({ advance_s: 5 });
  expect((await sdk.transactionsSync({ access_token, cursor })).data.next_cursor).toBe(cursor);
  expect(inbox.codes()).toEqual([]);
});

test("filtering by account yields that account's transactions, with a cursor of its own", async () => {
  const { access_token, item_id } = makeItem({ user: "user_good", transactions: 60 });
  const { accounts } = (await sdk.accountsGet({ access_token })).data;
  const savings = accounts.find((account) => account.subtype === "savings")?.account_id ?? "";
  const options = { account_id: savings };
  const page = (await sdk.transactionsSync({ access_token, count: 500, options })).data;
  expect(page.added.length).toBeGreaterThan(0);
  expect(new Set(page.added.map((row) => row.account_id))).toEqual(new Set([savings]));
  simulator.control.changeTransactions(item_id, { add: 2, account_id: savings });
  const next = (await sdk.transactionsSync({ access_token, cursor: page.next_cursor, options })).data;
  expect(next.added).toHaveLength(2);
});

test("balances move with the transactions", async () => {
  const { access_token, item_id } = makeItem({ user: "user_good", transactions: 5 });
  const balanceOf = async (subtype: string) =>
    (await sdk.accountsGet({ access_token })).data.accounts.find((one) => one.subtype === subtype);
  const before = await balanceOf("checking");
  const account_id = before?.account_id ?? "";
  simulator.control.changeTransactions(item_id, { add: 3, account_id });
  const rows = (await sdk.transactionsSync({ access_token, count: 500 })).data.added.slice(-3);
  const spent = rows.reduce((sum, row) => sum + Math.round(row.amount * 100), 0);
  const after = await balanceOf("checking");
  const cents = (value: number | null | undefined) => Math.round((value ?? 0) * 100);
  expect(cents(after?.balances.current) - cents(before?.balances.current)).toBe(-spent);
  expect(cents(after?.balances.available) - cents(before?.balances.available)).toBe(-spent);
});
