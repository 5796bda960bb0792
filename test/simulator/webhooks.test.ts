/** Webhooks as Plaid sends them: the bytes, the signature (checked by another library), keys, retries and faults. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { importJWK, jwtVerify, type JWK } from "jose";
import { frozenClock, startSimulator, type Simulator, type SimulatorOptions } from "../../src/simulator/index.ts";
import { openInbox, type Arrived, type Inbox } from "./support/inbox.ts";
import { sdkFor } from "./support/client.ts";

const START = "2026-03-07T12:00:00Z";
let inbox: Inbox;
let simulator: Simulator;

async function begin(options: SimulatorOptions = {}): Promise<void> {
  await simulator?.[Symbol.asyncDispose]();
  simulator = await startSimulator({ seed: "webhooks", clock: frozenClock(START), rateLimits: false, ...options });
}
beforeEach(async () => {
  inbox = await openInbox();
  await begin();
});
afterEach(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

function makeItem(webhook: string | null = inbox.url) {
  const [item] = simulator.control.createItems({ webhook, transactions: 5 }).items;
  return item ?? { item_id: "", access_token: "" };
}

/** Verifies as Plaid's documentation says, with jose: the claims when genuine. */
async function verify({ jwt, raw }: Pick<Arrived, "jwt" | "raw">) {
  const { kid = "" } = JSON.parse(Buffer.from(jwt.split(".")[0] ?? "", "base64url").toString()) as { kid?: string };
  const { key } = (await sdkFor(simulator).webhookVerificationKeyGet({ key_id: kid })).data;
  const publicKey = await importJWK(key as unknown as JWK, "ES256");
  const verified = await jwtVerify(jwt, publicKey, { algorithms: ["ES256"], currentDate: new Date(START) });
  const hash = createHash("sha256").update(raw).digest("hex");
  expect(verified.payload["request_body_sha256"]).toBe(hash);
  return { ...verified, key };
}

const send = (more: Parameters<Simulator["control"]["sendWebhook"]>[0] = {}) =>
  simulator.control.sendWebhook({ url: inbox.url, webhook_type: "ITEM", webhook_code: "SOMETHING_NEW", ...more });

test("a webhook's body is two-space JSON with sorted keys and no newline at the end, and jose accepts its token", async () => {
  simulator.control.breakItem(makeItem().item_id);
  await simulator.control.idle();
  const [arrived] = inbox.arrived;
  if (!arrived) throw new Error("nothing arrived");
  expect(arrived.raw.toString()).toBe(JSON.stringify(arrived.body, null, 2));
  expect(Object.keys(arrived.body)).toEqual(Object.keys(arrived.body).toSorted());
  expect(arrived.headers["content-type"]).toBe("application/json");
  const { protectedHeader, payload, key } = await verify(arrived);
  expect(protectedHeader).toEqual({ alg: "ES256", kid: key.kid, typ: "JWT" });
  expect(payload).toEqual({
    iat: Date.parse(START) / 1000,
    request_body_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test("jose or the body's hash refuses every kind of forged webhook", async () => {
  for (const tamper of ["body", "whitespace", "signature", "claims", "alg_none", "alg_hs256", "alg_es384"] as const) {
    const { jwt, body } = simulator.control.signWebhook({ webhook_type: "ITEM", webhook_code: "ERROR", tamper });
    await expect(verify({ jwt: jwt ?? "", raw: Buffer.from(body) }), tamper).rejects.toThrow(/./);
  }
  const foreign = simulator.control.signWebhook({ body: { a: 1 }, key: "foreign" });
  await expect(verify({ jwt: foreign.jwt ?? "", raw: Buffer.from(foreign.body) })).rejects.toMatchObject({
    response: { data: { error_code: "INVALID_WEBHOOK_VERIFICATION_KEY_ID" } },
  });
  const { kid } = simulator.control.signWebhook({ body: { a: 1 } });
  const forged = simulator.control.signWebhook({ body: { a: 1 }, key: "foreign", kid });
  await expect(verify({ jwt: forged.jwt ?? "", raw: Buffer.from(forged.body) })).rejects.toThrow(/signature/);
  const genuine = simulator.control.signWebhook({ body: { a: 1 }, iat_offset_s: -30 });
  expect((await verify({ jwt: genuine.jwt ?? "", raw: Buffer.from(genuine.body) })).payload.iat).toBe(genuine.iat);
});

test("after a rotation new webhooks carry a new kid, and the old key shows when it expired", async () => {
  send();
  await simulator.control.idle();
  await simulator.control.advanceClock({ advance_s: 100 });
  const { kid, old_kid } = simulator.control.rotateKeys();
  send();
  await simulator.control.idle();
  const [before, after] = await Promise.all(inbox.arrived.map(verify));
  expect(before?.key).toMatchObject({ kid: old_kid, expired_at: Date.parse(START) / 1000 + 100 });
  expect(after?.key).toMatchObject({ kid, expired_at: null });
  simulator.control.rotateKeys({ expire_old: false });
  expect((await sdkFor(simulator).webhookVerificationKeyGet({ key_id: kid })).data.key.expired_at).toBeNull();
  send({ key: "expired" });
  await simulator.control.idle();
  const { key } = await verify(inbox.arrived[2] as Arrived);
  expect(key.kid).toBe(old_kid);
});

test("a webhook that is not answered with 200 is tried again after 30 s and then after four times as long each time, for 24 hours", async () => {
  const statuses = [500, 202, 301, 404, 503, 400, 500];
  inbox.answer = () => statuses[inbox.arrived.length - 1] ?? 200;
  const record = send();
  await simulator.control.advanceClock({ advance_s: 48 * 3600 });
  const after = record.attempts.map((attempt) => (Date.parse(attempt.at) - Date.parse(START)) / 1000);
  expect(after).toEqual([0, 30, 150, 630, 2550, 10_230, 40_950]);
  expect(record.attempts.map((attempt) => attempt.http_status)).toEqual(statuses);
  expect(record).toMatchObject({ status: "failed", next_attempt_at: null });
});

test("a retry that is answered with 200 is the last", async () => {
  inbox.answer = () => (inbox.arrived.length < 3 ? 500 : 200);
  const record = send();
  await simulator.control.idle();
  expect(record).toMatchObject({ status: "pending", next_attempt_at: "2026-03-07T12:00:30.000Z" });
  await simulator.control.advanceClock({ advance_s: 48 * 3600 });
  expect(record.status).toBe("delivered");
  expect(record.attempts).toHaveLength(3);
});

test("a timeout and a refused connection are failures like any other", async () => {
  await begin({ webhooks: { timeoutMs: 50 } });
  inbox.answer = () => null;
  const silent = send();
  const gone = send({ url: "http://127.0.0.1:1/nobody" });
  await simulator.control.idle();
  expect(silent.attempts[0]).toMatchObject({ http_status: null, error: "timeout" });
  expect(gone.attempts[0]).toMatchObject({ http_status: null, error: "ECONNREFUSED" });
  expect([silent.status, gone.status]).toEqual(["pending", "pending"]);
});

test("retries of webhooks are signed anew, or all carry the first token with resign: false", async () => {
  inbox.answer = () => 500;
  send();
  await simulator.control.advanceClock({ advance_s: 200 });
  expect(new Set(inbox.arrived.map(({ jwt }) => jwt)).size).toBe(3);
  await begin({ webhooks: { resign: false } });
  inbox.arrived.length = 0;
  send();
  await simulator.control.advanceClock({ advance_s: 200 });
  expect(inbox.arrived).toHaveLength(3);
  expect(new Set(inbox.arrived.map(({ jwt }) => jwt)).size).toBe(1);
});

test("iat follows the base clock, or the simulated one with iatClock", async () => {
  const base = Date.parse(START) / 1000;
  await simulator.control.advanceClock({ advance_s: 1000 });
  expect(simulator.control.signWebhook({ body: {} }).iat).toBe(base);
  await begin({ webhooks: { iatClock: "simulated" } });
  await simulator.control.advanceClock({ advance_s: 1000 });
  expect(simulator.control.signWebhook({ body: {} }).iat).toBe(base + 1000);
});

test("a URL that refused more than 90 % of a day's webhooks gets no retries, until the day is over", async () => {
  inbox.answer = () => 500;
  for (let i = 0; i < 10; i += 1) send({ retry: false });
  await simulator.control.idle();
  const hopeless = send();
  await simulator.control.idle();
  expect(hopeless).toMatchObject({ status: "failed", next_attempt_at: null });
  await simulator.control.advanceClock({ advance_s: 25 * 3600 });
  const later = send();
  await simulator.control.idle();
  expect(later.status).toBe("pending");
});

test("a URL that refused exactly 90 % still gets retries", async () => {
  inbox.answer = () => (inbox.arrived.length === 1 ? 200 : 500);
  for (let i = 0; i < 10; i += 1) {
    send({ retry: i === 9 });
    await simulator.control.idle();
  }
  expect(simulator.control.webhooks().webhooks.at(-1)).toMatchObject({ status: "pending" });
});

test.each([
  [18, "pending"],
  [19, "failed"],
])("a URL that refused %i of its last 20 webhooks leaves the last one %s", async (refused, status) => {
  inbox.answer = () => (inbox.arrived.length <= 20 - refused ? 200 : 500);
  for (let i = 0; i < 20; i += 1) {
    send({ retry: i === 19 });
    await simulator.control.idle();
  }
  expect(simulator.control.webhooks().webhooks.at(-1)).toMatchObject({ status });
});

test("AUTHORIZATION_GRANTED can be fired, as in Plaid's Sandbox", async () => {
  const { access_token, item_id } = makeItem();
  const { data } = await sdkFor(simulator).sandboxItemFireWebhook({
    access_token,
    webhook_code: "AUTHORIZATION_GRANTED" as never,
  });
  await simulator.control.idle();
  expect(data.webhook_fired).toBe(true);
  expect(inbox.arrived[0]?.body).toEqual({
    environment: "sandbox",
    item_id,
    webhook_code: "AUTHORIZATION_GRANTED",
    webhook_type: "ITEM",
  });
});

test("duplicate webhooks have the same bytes, or are signed anew", async () => {
  simulator.control.addFault({ kind: "duplicate_webhooks", count: 1, copies: 2 });
  const record = send();
  await simulator.control.idle();
  expect(inbox.arrived).toHaveLength(3);
  expect(new Set(inbox.arrived.map(({ jwt }) => jwt)).size).toBe(1);
  expect(record.attempts.filter((attempt) => attempt.duplicate)).toHaveLength(2);
  simulator.control.addFault({ kind: "duplicate_webhooks", count: 1, resign: true });
  inbox.arrived.length = 0;
  send();
  await simulator.control.idle();
  expect(new Set(inbox.arrived.map(({ jwt }) => jwt)).size).toBe(2);
});

test("dropped webhooks never arrive, but /item/get shows them as sent", async () => {
  const { item_id, access_token } = makeItem();
  simulator.control.addFault({ kind: "drop_webhooks", webhook_code: "ERROR" });
  simulator.control.breakItem(item_id);
  await simulator.control.idle();
  expect(inbox.arrived).toEqual([]);
  expect(simulator.control.webhooks().webhooks[0]).toMatchObject({ status: "dropped", attempts: [] });
  expect((await sdkFor(simulator).itemGet({ access_token })).data.status?.last_webhook?.code_sent).toBe("ERROR");
});

test("reordered webhooks all arrive, in another order", async () => {
  simulator.control.addFault({ kind: "reorder_webhooks", within_ms: 200 });
  for (let n = 0; n < 20; n += 1) send({ fields: { n } });
  await simulator.control.idle();
  const order = inbox.arrived.map(({ body }) => Number(body["n"]));
  expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(order).not.toEqual(order.toSorted((a, b) => a - b));
});

test("no more webhook attempts are in flight than allowed, and all are made", async () => {
  await begin({ concurrency: 3 });
  let open = 0;
  let most = 0;
  inbox.answer = () => {
    open += 1;
    most = Math.max(most, open);
    setImmediate(() => (open -= 1));
    return 200;
  };
  for (let n = 0; n < 50; n += 1) send();
  await simulator.control.idle();
  expect(inbox.arrived).toHaveLength(50);
  expect(most).toBeLessThanOrEqual(3);
});

test("the control can send any webhook: for an item, to a URL, with any body, with any token or none", async () => {
  const { item_id } = makeItem();
  simulator.control.sendWebhook({
    item_id,
    webhook_type: "TRANSACTIONS",
    webhook_code: "DEFAULT_UPDATE",
    fields: { new_transactions: 7 },
  });
  simulator.control.sendWebhook({ url: inbox.url, body: "not even json", jwt: null });
  simulator.control.sendWebhook({ url: inbox.url, body: { b: 1, a: { d: 1, c: 2 } }, jwt: "a.b.c" });
  await simulator.control.idle();
  const texts = inbox.arrived.map(({ raw, jwt }) => [raw.toString(), jwt]).toSorted();
  expect(texts.map(([, jwt]) => jwt)).toContain("a.b.c");
  expect(texts).toContainEqual(["not even json", ""]);
  expect(texts).toContainEqual(['{\n  "a": {\n    "c": 2,\n    "d": 1\n  },\n  "b": 1\n}', "a.b.c"]);
  expect(inbox.arrived.map(({ body }) => body)).toContainEqual({
    environment: "sandbox",
    error: null,
    item_id,
    new_transactions: 7,
    webhook_code: "DEFAULT_UPDATE",
    webhook_type: "TRANSACTIONS",
  });
});

test("an item without a webhook URL sends no webhook, and fire_webhook answers with an error", async () => {
  const { item_id, access_token } = makeItem(null);
  simulator.control.breakItem(item_id);
  expect(simulator.control.webhooks().total).toBe(0);
  const call = sdkFor(simulator).sandboxItemFireWebhook({
    access_token,
    webhook_code: "NEW_ACCOUNTS_AVAILABLE" as never,
  });
  await expect(call).rejects.toMatchObject({
    response: { status: 400, data: { error_code: "SANDBOX_WEBHOOK_INVALID" } },
  });
});

test("the webhook log filters by item, type and status, limits to the newest, and drops the oldest", async () => {
  await begin({ webhooks: { keep: 10 } });
  const [one, two] = [makeItem(), makeItem()];
  simulator.control.breakItem(one.item_id);
  simulator.control.repairItem(one.item_id);
  simulator.control.breakItem(two.item_id);
  await simulator.control.idle();
  const { control } = simulator;
  expect(control.webhooks({ item_id: one.item_id }).webhooks).toHaveLength(2);
  expect(control.webhooks({ webhook_code: "ERROR" }).webhooks).toHaveLength(2);
  expect(control.webhooks({ status: "delivered", limit: 1 }).webhooks[0]?.item_id).toBe(two.item_id);
  for (let n = 0; n < 20; n += 1) send();
  expect(control.webhooks().webhooks.length).toBeLessThanOrEqual(11);
  expect(control.webhooks().total).toBe(23);
  await control.idle();
});
