/** The control over HTTP: the fixed paths, their twins in code, and refusals that name the field. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";

let simulator: Simulator;
let inbox: Inbox;
beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({ seed: "control", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

type Json = Record<string, unknown>;

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
  const init =
    body === undefined ? { method } : { method, body: typeof body === "string" ? body : JSON.stringify(body) };
  const answer = await fetch(`${simulator.url}/_simulator${path}`, init);
  return { status: answer.status, body: (await answer.json()) as Json };
}

const itemsOf = (body: Json) => body["items"] as { item_id: string; access_token: string }[];

test("the documented paths make, change, break, repair and show items", async () => {
  const made = await call("POST", "/items", { count: 2, transactions: 10, webhook: inbox.url, user_id: "user-1" });
  expect(made.status).toBe(200);
  const [{ item_id } = { item_id: "" }] = itemsOf(made.body);
  const transactions = async () => (await call("GET", `/items/${item_id}/transactions`)).body["transactions"] as Json[];
  expect(await transactions()).toHaveLength(10);
  const changed = await call("POST", `/items/${item_id}/transactions`, { add: 3, modify: 2, remove: 1 });
  expect(changed.body).toMatchObject({
    added: expect.any(Array),
    modified: expect.any(Array),
    removed: expect.any(Array),
  });
  expect((changed.body["added"] as string[]).length).toBe(3);
  expect(await transactions()).toHaveLength(12);
  expect(await transactions()).toEqual(simulator.control.transactions(item_id).transactions);

  expect((await call("POST", `/items/${item_id}/break`, { error_code: "ITEM_LOCKED" })).status).toBe(200);
  expect((await call("GET", `/items/${item_id}`)).body).toMatchObject({ error_code: "ITEM_LOCKED", user_id: "user-1" });
  await call("POST", `/items/${item_id}/repair`);
  const { account_id } = (await call("POST", `/items/${item_id}/add_account`, { transactions: 2 })).body;
  const accounts = async () => (await call("GET", `/items/${item_id}/accounts`)).body["accounts"] as Json[];
  expect((await accounts()).map((account) => account["account_id"])).toContain(account_id);
  expect(await transactions()).toHaveLength(14);
  await call("POST", `/items/${item_id}/revoke_account`, { account_id });
  expect((await accounts()).map((account) => account["account_id"])).not.toContain(account_id);
  expect(await transactions()).toHaveLength(12);
  await call("POST", `/items/${item_id}/revoke`);
  expect((await call("GET", `/items/${item_id}`)).body["revoked"]).toBe(true);
  expect((await call("POST", `/items/${item_id}/transactions`, { add: 1 })).status).toBe(409);
  expect(itemsOf((await call("GET", "/items")).body)).toHaveLength(2);
  await call("GET", "/idle");
  expect(inbox.codes()).toContain("ITEM/USER_PERMISSION_REVOKED");
});

test("a change with webhooks: false sends no webhook", async () => {
  const [{ item_id } = { item_id: "" }] = itemsOf((await call("POST", "/items", { webhook: inbox.url })).body);
  const before = (await call("GET", "/webhooks")).body["total"];
  await call("POST", `/items/${item_id}/transactions`, { add: 3, webhooks: false });
  await call("POST", `/items/${item_id}/break`, { webhooks: false });
  await call("POST", `/items/${item_id}/repair`, { webhooks: false });
  expect((await call("GET", "/webhooks")).body["total"]).toBe(before);
});

test("clock, keys, faults, webhooks and requests can be controlled over HTTP", async () => {
  expect((await call("POST", "/clock", { advance_s: 3600 })).body).toEqual({ now: "2026-03-07T13:00:00.000Z" });
  expect((await call("GET", "/clock")).body).toEqual({ now: "2026-03-07T13:00:00.000Z" });
  expect((await call("POST", "/keys/rotate")).body).toMatchObject({
    kid: expect.any(String),
    old_kid: expect.any(String),
  });
  const { body: fault } = await call("POST", "/faults", { kind: "slow", ms: 1 });
  expect((await call("GET", "/faults")).body).toEqual({ faults: [fault] });
  expect((await call("DELETE", `/faults/${String(fault["fault_id"])}`)).body).toEqual({ cleared: 1 });
  await call("POST", "/faults", { kind: "rate_limit" });
  expect((await call("DELETE", "/faults")).body).toEqual({ cleared: 1 });
  const sent = await call("POST", "/webhooks", {
    url: inbox.url,
    webhook_type: "ITEM",
    webhook_code: "NEWS",
    tamper: "signature",
  });
  expect(sent.body).toMatchObject({ webhook_type: "ITEM", webhook_code: "NEWS", url: inbox.url });
  await call("GET", "/idle");
  const listed = await call("GET", "/webhooks?webhook_code=NEWS&limit=5");
  expect(listed.body["webhooks"]).toMatchObject([{ status: "delivered", attempts: [{ http_status: 200 }] }]);
  expect((await call("POST", "/webhooks/sign", { body: { a: 1 } })).body).toMatchObject({ body: '{\n  "a": 1\n}' });
  expect((await call("GET", "/requests")).body).toHaveProperty("requests");
  expect((await call("POST", "/clients", { client_id: "c", secret: "s" })).body).toEqual({ client_id: "c" });
  expect(((await call("GET", "")).body["control"] as string[]).length).toBeGreaterThan(20);
});

test("a refusal names each invalid field and says how to fix it", async () => {
  const bad = await call("POST", "/items", { count: 0, transaction: 5, webhook: "nowhere", products: "transactions" });
  expect(bad.status).toBe(400);
  expect(bad.body["error"]).toMatchObject({
    code: "simulator_invalid_request",
    fields: {
      count: expect.any(String),
      transaction: "is not a field here",
      webhook: "must be an http or https URL",
      products: expect.any(String),
    },
  });
  const fields = async (method: string, path: string, body?: unknown) => {
    const answer = await call(method, path, body);
    return [answer.status, Object.keys((answer.body["error"] as { fields?: Json }).fields ?? {})];
  };
  expect(await fields("POST", "/items", "{")).toEqual([400, ["body"]]);
  expect(await fields("POST", "/clock", { advance_s: -1 })).toEqual([400, ["advance_s"]]);
  expect(await fields("POST", "/clock", {})).toEqual([400, ["advance_s"]]);
  expect(await fields("POST", "/faults", { kind: "earthquake" })).toEqual([400, ["kind"]]);
  expect(await fields("POST", "/faults", { kind: "slow" })).toEqual([400, ["ms"]]);
  expect(await fields("POST", "/items", { institution_id: "ins_0" })).toEqual([400, ["institution_id"]]);
  expect(await fields("POST", "/items", { client_id: "nobody" })).toEqual([400, ["client_id"]]);
  expect(await fields("POST", "/webhooks", { webhook_type: "ITEM", webhook_code: "ERROR" })).toEqual([400, ["url"]]);
  expect(await fields("POST", "/webhooks", { url: inbox.url })).toEqual([400, ["body"]]);
  expect(await fields("POST", "/links", { link_token: "x" })).toEqual([400, ["link_token"]]);
  expect(await fields("GET", "/items/unknown")).toEqual([404, ["item_id"]]);
  expect(await fields("GET", "/nothing")).toEqual([404, []]);
  expect(await fields("PUT", "/items")).toEqual([405, []]);
});

test("ten thousand items are made in one call", async () => {
  await using large = await startSimulator({ seed: "large" });
  const { items } = large.control.createItems({ count: 10_000, transactions: 100 });
  expect(new Set(items.map((item) => item.item_id)).size).toBe(10_000);
  expect(new Set(items.map((item) => item.access_token)).size).toBe(10_000);
  expect(large.control.transactions(items[9_999]?.item_id ?? "").transactions).toHaveLength(100);
});

test("activity changes items until it is stopped", async () => {
  await using lively = await startSimulator({ seed: "lively" });
  const { items } = lively.control.createItems({ count: 3, webhook: inbox.url });
  inbox.arrived.length = 0;
  expect(lively.control.startActivity({ everyMs: 10, items: 3 })).toEqual({ every_ms: 10, items: 3, records: 1 });
  await expect.poll(() => inbox.arrived.length, { timeout: 10_000 }).toBeGreaterThan(10);
  expect(lively.control.stopActivity()).toEqual({ stopped: true });
  expect(lively.control.stopActivity()).toEqual({ stopped: false });
  await lively.control.idle();
  const ids = new Set(items.map((item) => item.item_id));
  expect(inbox.arrived.every(({ body }) => ids.has(String(body["item_id"])))).toBe(true);
});

test("an item whose accounts were all revoked refuses changes until it has an account again", async () => {
  const [{ item_id } = { item_id: "" }] = itemsOf((await call("POST", "/items", { transactions: 10 })).body);
  while (((await call("GET", `/items/${item_id}`)).body["accounts"] as number) > 0) {
    expect((await call("POST", `/items/${item_id}/revoke_account`)).status).toBe(200);
  }
  const refused = await call("POST", `/items/${item_id}/transactions`, { add: 1, modify: 1, remove: 1 });
  expect(refused.status).toBe(409);
  expect(refused.body["error"]).toMatchObject({
    code: "conflict",
    message: expect.stringContaining("no account left"),
  });
  await call("POST", `/items/${item_id}/add_account`, { transactions: 2 });
  expect((await call("POST", `/items/${item_id}/transactions`, { add: 1 })).status).toBe(200);
  expect(simulator.control.transactions(item_id).transactions).toHaveLength(3);
});

test("activity, a refresh and the first extraction skip an item whose accounts were all revoked", async () => {
  await using lively = await startSimulator({ seed: "revoked" });
  const { control, clientId, secret } = lively;
  const user = "user_transactions_dynamic";
  const [busy, empty] = control.createItems({ count: 2, user }).items;
  const [fresh] = control.createItems({ ready: false, products: ["auth"] }).items;
  if (!busy || !empty || !fresh) throw new Error("no items");
  for (const { item_id } of [empty, fresh]) {
    while (control.accounts(item_id).accounts.length > 0) control.revokeAccount(item_id);
  }
  const ask = async (path: string, more: Json) => {
    const body = JSON.stringify({ client_id: clientId, secret, ...more });
    const headers = { "content-type": "application/json" };
    return (await fetch(`${lively.url}${path}`, { method: "POST", headers, body })).status;
  };
  const options = { days_requested: 30 };
  expect(await ask("/transactions/sync", { access_token: fresh.access_token, options })).toBe(200);
  expect(await ask("/transactions/refresh", { access_token: empty.access_token })).toBe(200);
  await control.advanceClock({ advance_s: 3600 });
  const before = control.transactionsText(busy.item_id);
  control.startActivity({ everyMs: 10, items: 2 });
  await expect.poll(() => control.transactionsText(busy.item_id) !== before, { timeout: 10_000 }).toBe(true);
  control.stopActivity();
  for (const { item_id } of [empty, fresh]) expect(control.transactions(item_id).transactions).toEqual([]);
});

test("a port in use is refused in a sentence", async () => {
  await expect(startSimulator({ port: simulator.port })).rejects.toMatchObject({
    code: "simulator_port_in_use",
    fields: { port: expect.stringContaining("0 picks a free one") },
  });
});

test("stopping closes open connections and frees the port", async () => {
  const short = await startSimulator();
  short.control.addFault({ kind: "slow", ms: 60_000 });
  const hanging = fetch(`${short.url}/item/get`, { method: "POST" }).then(
    () => "answered",
    () => "cut",
  );
  await expect.poll(() => short.control.faults().faults[0]?.struck).toBe(1);
  await short[Symbol.asyncDispose]();
  expect(await hanging).toBe("cut");
  await using again = await startSimulator({ port: short.port });
  expect(again.port).toBe(short.port);
});
