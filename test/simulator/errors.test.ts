/** Plaid's error objects: bad requests, bad credentials, ill Items, rate limits, and faults on demand. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { request } from "undici";
import type { PlaidApi } from "plaid";
import { frozenClock, startSimulator, type FaultInput, type Simulator } from "../../src/simulator/index.ts";
import PLAID from "../../scripts/plaid-endpoints.json" with { type: "json" };
import { PLAID_PATHS } from "../../src/simulator/plaid-api.ts";
import { ITEM_ERROR_CODES } from "../../src/simulator/plaid-error.ts";
import { post, refusal, sdkFor } from "./support/client.ts";

let simulator: Simulator;
let sdk: PlaidApi;
const SECOND = { clientId: "second_client", secret: "second_secret" };

beforeAll(async () => {
  simulator = await startSimulator({
    seed: "errors",
    clock: frozenClock("2026-03-07T12:00:00Z"),
    rateLimits: false,
    clients: [SECOND],
  });
  sdk = sdkFor(simulator);
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => void simulator.control.clearFaults());

function makeItem(request: Parameters<Simulator["control"]["createItems"]>[0] = {}) {
  const [item] = simulator.control.createItems({ transactions: 30, ...request }).items;
  return item ?? { item_id: "", access_token: "" };
}

test("every endpoint of Plaid that the simulator does not serve is refused in Plaid's error shape by its name", async () => {
  const { access_token } = makeItem({ products: ["transactions", "auth", "identity", "liabilities", "investments"] });
  const unserved = Object.values(PLAID.products)
    .flat()
    .filter((path) => !PLAID_PATHS.includes(path))
    .map((path) => path.replaceAll(/[{}]/g, ""));
  for (const path of [...unserved, "/no/such/path"]) {
    const { status, body } = await post(simulator, path, { access_token });
    expect([path, status]).toEqual([path, 404]);
    expect(body).toMatchObject({
      error_type: "INVALID_REQUEST",
      error_code: "NOT_FOUND",
      error_message: expect.stringContaining(`the simulator does not serve ${path},`),
      display_message: null,
      request_id: expect.stringMatching(/.+/),
    });
  }
});

test("credentials are accepted in headers or in the body, and both must be right", async () => {
  const { access_token } = makeItem();
  const { clientId: client_id, secret } = simulator;
  expect((await post(simulator, "/item/get", { access_token, client_id, secret }, {})).status).toBe(200);
  expect((await post(simulator, "/item/get", { access_token }, {})).body).toMatchObject({
    error_type: "INVALID_REQUEST",
    error_code: "MISSING_FIELDS",
    error_message: "the following required fields are missing: client_id, secret",
  });
  for (const wrong of [
    { client_id, secret: "wrong" },
    { client_id: "nobody", secret },
  ]) {
    expect((await post(simulator, "/item/get", { access_token, ...wrong }, {})).body).toMatchObject({
      error_type: "INVALID_INPUT",
      error_code: "INVALID_API_KEYS",
    });
  }
});

test("an access token works for its own client only", async () => {
  const mine = makeItem();
  const theirs = makeItem({ client_id: SECOND.clientId });
  const second = sdkFor(simulator, SECOND);
  expect((await second.itemGet({ access_token: theirs.access_token })).status).toBe(200);
  for (const call of [
    second.itemGet({ access_token: mine.access_token }),
    sdk.itemGet({ access_token: theirs.access_token }),
  ]) {
    expect(await refusal(call)).toMatchObject({ error_type: "INVALID_INPUT", error_code: "INVALID_ACCESS_TOKEN" });
  }
});

test("missing, unknown and invalid fields are named", async () => {
  const { access_token } = makeItem();
  const say = async (path: string, body: unknown) => (await post(simulator, path, body)).body["error_message"];
  expect(await say("/transactions/get", { access_token })).toBe(
    "the following required fields are missing: start_date, end_date",
  );
  expect(await say("/transactions/sync", { access_token, foo: 1, options: { bar: 2 } })).toBe(
    "the following fields are not recognized by this endpoint: options.bar, foo",
  );
  expect(await say("/transactions/get", { access_token, start_date: "yesterday", end_date: "2026-01-01" })).toBe(
    "start_date must be a valid date in the format YYYY-MM-DD",
  );
  expect(await say("/item/webhook/update", { access_token, webhook: "ftp://x" })).toContain("webhook is not valid");
  expect(
    await say("/sandbox/public_token/create", { institution_id: "ins_1", initial_products: ["transactions"] }),
  ).toBe("invalid institution_id provided");
});

test("a public token is valid for 30 minutes", async () => {
  const body = { institution_id: "ins_109508", initial_products: ["transactions"] };
  const { public_token } = (await post(simulator, "/sandbox/public_token/create", body)).body;
  await simulator.control.advanceClock({ advance_s: 1801 });
  const answer = await post(simulator, "/item/public_token/exchange", { public_token });
  expect(answer.body).toMatchObject({
    error_code: "INVALID_PUBLIC_TOKEN",
    error_message: expect.stringMatching(/expired/),
  });
});

test("an item that needs its user answers its error where bank data is read, and shows it in /item/get", async () => {
  const { item_id, access_token } = makeItem();
  for (const error_code of ITEM_ERROR_CODES) {
    simulator.control.breakItem(item_id, { error_code });
    for (const call of [sdk.accountsGet({ access_token }), sdk.transactionsSync({ access_token })]) {
      expect(await refusal(call)).toMatchObject({ status: 400, error_code });
    }
    expect((await sdk.itemGet({ access_token })).data.item.error?.error_code).toBe(error_code);
  }
  simulator.control.repairItem(item_id);
  expect((await sdk.accountsGet({ access_token })).status).toBe(200);
  expect((await sdk.itemGet({ access_token })).data.item.error).toBeNull();
});

test("a revoked item answers no reading, and a removed one no request", async () => {
  const revoked = makeItem();
  simulator.control.revokeItem(revoked.item_id);
  const { access_token } = revoked;
  expect((await refusal(sdk.transactionsSync({ access_token }))).error_code).toBe("USER_PERMISSION_REVOKED");
  expect((await sdk.itemGet({ access_token })).data.item.error).toMatchObject({
    error_type: "ITEM_ERROR",
    error_code: "USER_PERMISSION_REVOKED",
  });
  await sdk.itemRemove({ access_token });
  for (const call of [sdk.itemRemove({ access_token }), sdk.itemGet({ access_token })]) {
    expect(await refusal(call)).toMatchObject({ status: 400, error_type: "ITEM_ERROR", error_code: "ITEM_NOT_FOUND" });
  }
});

test("rate limits are the Sandbox's, per item and per client, for a minute", async () => {
  await using limited = await startSimulator({ clock: frozenClock("2026-03-07T12:00:00Z") });
  const { items } = limited.control.createItems({ count: 51 });
  const tokens = items.map((item) => item.access_token);
  const refresh = (at: number) => sdkFor(limited).transactionsRefresh({ access_token: tokens[at] ?? "" });
  await refresh(0);
  await refresh(0);
  const perItem = { status: 429, error_type: "RATE_LIMIT_EXCEEDED", error_code: "TRANSACTIONS_REFRESH_LIMIT" };
  expect(await refusal(refresh(0))).toMatchObject({ ...perItem, error_message: expect.stringMatching(/this item/) });
  for (let i = 0; i < 98; i += 1) await refresh(1 + Math.floor(i / 2));
  expect(await refusal(refresh(50))).toMatchObject({ ...perItem, error_message: expect.stringMatching(/client/) });
  await limited.control.advanceClock({ advance_s: 60 });
  await refresh(0);
  const institutions = () => sdkFor(limited).institutionsGet({ count: 1, offset: 0, country_codes: ["US" as never] });
  for (let i = 0; i < 10; i += 1) await institutions();
  expect((await refusal(institutions())).error_code).toBe("INSTITUTIONS_GET_LIMIT");
});

test("rate limits can be scaled", async () => {
  await using limited = await startSimulator({ clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: 2 });
  const [item] = limited.control.createItems().items;
  const refresh = () => sdkFor(limited).transactionsRefresh({ access_token: item?.access_token ?? "" });
  for (let i = 0; i < 4; i += 1) await refresh();
  expect((await refusal(refresh())).status).toBe(429);
});

test("each fault of a request is answered as by Plaid", async () => {
  const { item_id, access_token } = makeItem();
  const cursor = (await sdk.transactionsSync({ access_token })).data.next_cursor;
  const cases: [FaultInput, number, string | null][] = [
    [{ kind: "rate_limit", count: 1 }, 429, "TRANSACTIONS_SYNC_LIMIT"],
    [{ kind: "server_error", count: 1 }, 500, "INTERNAL_SERVER_ERROR"],
    [{ kind: "server_error", count: 1, status: 503, body: "html" }, 503, null],
    [{ kind: "server_error", count: 1, status: 502, body: "empty" }, 502, null],
    [{ kind: "institution_down", count: 1 }, 400, "INSTITUTION_DOWN"],
    [{ kind: "login_required", count: 1 }, 400, "ITEM_LOGIN_REQUIRED"],
    [{ kind: "cursor_invalid", count: 1 }, 400, "INVALID_FIELD"],
    [{ kind: "mutation", stubborn: true, count: 1 }, 400, "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"],
  ];
  for (const [fault, status, code] of cases) {
    simulator.control.addFault({ ...fault, item_id });
    const answer = await post(simulator, "/transactions/sync", { access_token, cursor });
    expect([answer.status, answer.body["error_code"] ?? null], fault.kind).toEqual([status, code]);
    expect((await post(simulator, "/transactions/sync", { access_token, cursor })).status, fault.kind).toBe(200);
  }
});

test("a connection can break in the middle of an answer, and an answer can be slow", async () => {
  const { access_token } = makeItem();
  simulator.control.addFault({ kind: "connection_cut", count: 1, after_bytes: 100 });
  const cut = async () => {
    const headers = { "plaid-client-id": simulator.clientId, "plaid-secret": simulator.secret };
    const { statusCode, body } = await request(`${simulator.url}/transactions/sync`, {
      method: "POST",
      headers,
      body: JSON.stringify({ access_token }),
    });
    expect(statusCode).toBe(200);
    return body.text();
  };
  await expect(cut()).rejects.toThrow(/closed|terminated|aborted/);
  simulator.control.addFault({ kind: "slow", ms: 60, count: 1 });
  const began = performance.now();
  expect((await post(simulator, "/item/get", { access_token })).status).toBe(200);
  expect(performance.now() - began).toBeGreaterThanOrEqual(59);
});

test("the key endpoint can be down by itself", async () => {
  const { kid } = simulator.control.signWebhook({ body: {} });
  simulator.control.addFault({ kind: "key_endpoint_down", count: 1 });
  const call = () => sdk.webhookVerificationKeyGet({ key_id: kid });
  expect(await refusal(call())).toMatchObject({ status: 500, error_code: "INTERNAL_SERVER_ERROR" });
  expect((await call()).status).toBe(200);
});

test("a fault occurs only for its target, as often as its count says", async () => {
  const [one, two] = [makeItem({ institution_id: "ins_109509" }), makeItem({ institution_id: "ins_109510" })];
  const status = async (token: string, path = "/accounts/get") =>
    (await post(simulator, path, { access_token: token })).status;
  simulator.control.addFault({ kind: "server_error", item_id: one.item_id, endpoint: "/accounts/get", count: 2 });
  expect([await status(one.access_token, "/item/get"), await status(two.access_token)]).toEqual([200, 200]);
  expect([await status(one.access_token), await status(one.access_token), await status(one.access_token)]).toEqual([
    500, 500, 200,
  ]);
  simulator.control.addFault({ kind: "institution_down", institution_id: "ins_109510" });
  expect([await status(one.access_token), await status(two.access_token)]).toEqual([200, 400]);
  const options = { include_status: true };
  const health = await sdk.institutionsGetById({
    institution_id: "ins_109510",
    country_codes: ["US" as never],
    options,
  });
  expect(health.data.institution.status?.item_logins?.status).toBe("DOWN");
  expect(simulator.control.clearFaults()).toEqual({ cleared: 1 });
  expect(await status(two.access_token)).toBe(200);
});

test("a fault with a probability occurs about that often, and equally for the same seed", async () => {
  const struck = async () => {
    await using seeded = await startSimulator({ seed: "dice", rateLimits: false });
    const [item] = seeded.control.createItems().items;
    seeded.control.addFault({ kind: "server_error", probability: 0.3 });
    const statuses = [];
    for (let i = 0; i < 100; i += 1) {
      statuses.push((await post(seeded, "/item/get", { access_token: item?.access_token })).status);
    }
    return statuses;
  };
  const first = await struck();
  expect(await struck()).toEqual(first);
  const failures = first.filter((status) => status === 500).length;
  expect(failures).toBeGreaterThan(10);
  expect(failures).toBeLessThan(60);
});

test("logins expire after the given number of days", async () => {
  await using sandbox = await startSimulator({ clock: frozenClock("2026-03-07T12:00:00Z"), loginExpiresAfterDays: 30 });
  const [item] = sandbox.control.createItems().items;
  const errorOf = () => sandbox.control.item(item?.item_id ?? "")["error_code"];
  await sandbox.control.advanceClock({ advance_s: 29 * 86_400 });
  expect(errorOf()).toBeNull();
  await sandbox.control.advanceClock({ advance_s: 86_400 });
  expect(errorOf()).toBe("ITEM_LOGIN_REQUIRED");
});
