/** What all product books have in common: consent, the first pull, errors, webhooks and the control. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findInstitution } from "../../src/simulator/catalogue/institutions.ts";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { BOOKS, type BookName } from "../../src/simulator/products/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { post } from "./support/client.ts";
import { OPTIONS, PRODUCT_CASES } from "./support/product-cases.ts";

let simulator: Simulator;
let inbox: Inbox;
beforeEach(async () => {
  inbox = await openInbox();
  simulator = await startSimulator(OPTIONS);
});
afterEach(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

test("every product book is in this test", () => {
  expect(PRODUCT_CASES.map(({ name }) => name)).toEqual(Object.keys(BOOKS));
});

/** the institution with the fewest products */
const ALMOST_NONE = findInstitution("ins_900004");

type ItemRequest = Parameters<Simulator["control"]["createItems"]>[0];

function makeItem(request: ItemRequest = {}) {
  const [item] = simulator.control.createItems({ webhook: inbox.url, transactions: 80, ...request }).items;
  return item ?? { item_id: "", access_token: "" };
}

const change = (itemId: string, name: BookName, request: Parameters<Simulator["control"]["change"]>[2]) =>
  simulator.control.change(itemId, name, request);

const answerOf = async (path: string, access_token: string, more: object = {}) =>
  (await post(simulator, path, { access_token, ...more })).body;

const itemOf = async (access_token: string) => (await answerOf("/item/get", access_token))["item"];

/** The rows of a book that are about accounts, wherever in its truth they stand. */
const rowsOf = (itemId: string, name: BookName): { account_id?: string }[] =>
  Object.values(simulator.control.truth(itemId, name)).flatMap((part) =>
    Array.isArray(part) ? part : Object.values(part as object).flatMap((list: unknown) => list ?? []),
  ) as { account_id?: string }[];

/** The accounts that have rows, each once. */
const accountsIn = (itemId: string, name: BookName): string[] => [
  ...new Set(rowsOf(itemId, name).flatMap(({ account_id }) => account_id ?? [])),
];

describe.each(PRODUCT_CASES)("$name", (each) => {
  const { name, path, product, subtype, noAccounts, byAccount, fired, webhook, first = webhook } = each;
  const read = (access_token: string, more: object = {}) => answerOf(path, access_token, { ...each.asks, ...more });
  const selects = (account_ids: unknown[]) => (byAccount === "field" ? { account_ids } : { options: { account_ids } });
  /** Another book of the same product has webhooks of its own. */
  const codes = () => inbox.codes().filter((code) => code.split("/")[0] === webhook.split("/")[0]);

  test("a product that the user consented to becomes the item's with the first request, and is ready a moment later", async () => {
    const { access_token } = makeItem({ user: "user_good", consented_products: [product] });
    const before = await itemOf(access_token);
    expect(before).toMatchObject({ products: ["transactions"], consented_products: ["transactions", product] });
    expect(before).toMatchObject({ available_products: expect.arrayContaining([product]) });
    expect(await read(access_token)).toMatchObject({ error_code: "PRODUCT_NOT_READY" });
    const after = (await itemOf(access_token)) as { available_products: string[] };
    const products = ["transactions", product];
    expect(after).toMatchObject({ products, billed_products: products, consented_products: products });
    expect(after.available_products).not.toContain(product);
    await simulator.control.advanceClock({ advance_s: 10 });
    expect((await read(access_token))["error_code"]).toBeUndefined();
    expect(codes()).toEqual([first]);
  });

  test("a product without consent is refused and stays available", async () => {
    const { access_token, item_id } = makeItem({ user: "user_good" });
    expect(await read(access_token)).toMatchObject({
      error_type: "INVALID_INPUT",
      error_code: "ADDITIONAL_CONSENT_REQUIRED",
      error_message: `client does not have user consent to access the PRODUCT_${product.toUpperCase()} product`,
    });
    expect(await itemOf(access_token)).toMatchObject({ products: ["transactions"] });
    expect(() => change(item_id, name, { add: 1 })).toThrow(/does not have the product/);
  });

  test.skipIf(ALMOST_NONE?.products.includes(product))(
    "a product that the institution does not have is refused, even with consent",
    async () => {
      const { access_token } = makeItem({ institution_id: "ins_900004", products: [product] });
      expect(await read(access_token)).toMatchObject({
        error_type: "ITEM_ERROR",
        error_code: "PRODUCTS_NOT_SUPPORTED",
        error_message: `the following products are not supported by this institution: ["${product}"]`,
      });
    },
  );

  test.skipIf(noAccounts === null)(
    "an item without a fitting account is refused until its user opens one",
    async () => {
      const { access_token, item_id } = makeItem({ products: [product] });
      const { control } = simulator;
      const { code, unless, other } = noAccounts ?? { code: "", unless: [], other: "" };
      control.addAccount(item_id, { subtype: other });
      for (const account of control.accounts(item_id).accounts) {
        if (unless.includes(String(account["type"])))
          control.revokeAccount(item_id, { account_id: String(account["account_id"]) });
      }
      expect(await read(access_token)).toMatchObject({ error_type: "ITEM_ERROR", error_code: code });
      expect(control.truth(item_id, name)).toEqual(BOOKS[name].nothing);
      expect(() => change(item_id, name, { add: 1 })).toThrow(/no account for/);
      const { account_id } = control.addAccount(item_id, { subtype });
      const opened = await read(access_token);
      expect(JSON.stringify(opened["accounts"])).toContain(account_id);
      expect(control.truth(item_id, name)).toEqual(BOOKS[name].nothing);
      change(item_id, name, { add: 1 });
      expect(JSON.stringify(control.truth(item_id, name))).toContain(account_id);
    },
  );

  test("after Link a product is not ready until the first pull ends, which one webhook announces", async () => {
    const { access_token, item_id } = makeItem({ products: [product], user: "user_good", ready: false });
    expect(await read(access_token)).toMatchObject({
      error_type: "ITEM_ERROR",
      error_code: "PRODUCT_NOT_READY",
    });
    expect(simulator.control.truth(item_id, name)).toEqual(BOOKS[name].nothing);
    expect(() => change(item_id, name, { add: 1 })).toThrow(/has not ended/);
    await simulator.control.advanceClock({ advance_s: 9 });
    expect(codes()).toEqual([]);
    await simulator.control.advanceClock({ advance_s: 3600 });
    expect(codes()).toEqual([first]);
    expect(await read(access_token)).toMatchObject(simulator.control.truth(item_id, name));
  });

  test("an item that is made ready sends no webhook by itself", async () => {
    const { access_token } = makeItem({ products: [product] });
    expect((await read(access_token))["error_code"]).toBeUndefined();
    await simulator.control.advanceClock({ advance_s: 3600 });
    expect(codes()).toEqual([]);
  });

  test("each change of a product sends one webhook, or none with webhooks: false or without a change", async () => {
    const { item_id, access_token } = makeItem({ products: [product], user: "user_good" });
    const truth = () => JSON.stringify(simulator.control.truth(item_id, name));
    for (const request of [{ modify: 1 }, { remove: 1 }, { add: 1 }]) {
      const before = truth();
      change(item_id, name, { ...request, webhooks: false });
      expect(truth()).not.toBe(before);
      expect(await read(access_token)).toMatchObject(simulator.control.truth(item_id, name));
    }
    await simulator.control.idle();
    expect(codes()).toEqual([]);
    change(item_id, name, {});
    for (const request of [{ remove: 1 }, { add: 1 }, { modify: 1 }]) change(item_id, name, request);
    await simulator.control.idle();
    expect(codes()).toEqual([webhook, webhook, webhook]);
  });

  test("an account that its user withdraws loses its rows, which a webhook announces", async () => {
    const { item_id, access_token } = makeItem({ products: [product], user: "user_good" });
    const [account_id = ""] = accountsIn(item_id, name);
    simulator.control.revokeAccount(item_id, { account_id });
    await simulator.control.idle();
    expect(JSON.stringify(await read(access_token))).not.toContain(account_id);
    expect(inbox.codes()[0]).toBe("ITEM/USER_ACCOUNT_REVOKED");
    expect(codes().filter((code) => code === webhook)).toHaveLength(1);
  });

  test.skipIf(!byAccount)(
    "account_ids selects accounts and their rows, and an account of another item is refused",
    async () => {
      const { item_id, access_token } = makeItem({ products: [product], user: "user_good" });
      const [chosen = "", other = ""] = accountsIn(item_id, name);
      const part = await read(access_token, selects([chosen]));
      if (byAccount === "option") expect(part["accounts"]).toEqual([expect.objectContaining({ account_id: chosen })]);
      const fields = Object.keys(simulator.control.truth(item_id, name));
      expect(JSON.stringify(fields.map((field) => part[field]))).toContain(chosen);
      expect(JSON.stringify(part)).not.toContain(other);
      const foreign = makeItem({ user: "user_good" });
      const foreignId = simulator.control.accounts(foreign.item_id).accounts[0]?.["account_id"];
      expect(await read(access_token, selects([chosen, foreignId]))).toMatchObject({
        error_type: "INVALID_INPUT",
        error_code: "INVALID_ACCOUNT_ID",
      });
      expect(() => change(item_id, name, { add: 1, account_id: String(foreignId) })).toThrow(
        /is not an account of this Item/,
      );
    },
  );

  test("a change of one account leaves the rows of the others alone", () => {
    const { item_id } = makeItem({ products: [product], user: "user_good" });
    const [chosen = "", other = ""] = accountsIn(item_id, name);
    const of = (id: string) => rowsOf(item_id, name).filter(({ account_id }) => account_id === id);
    const before = [of(chosen), of(other)];
    change(item_id, name, { modify: 5, remove: 1, account_id: chosen });
    expect(of(other)).toEqual(before[1]);
    expect(of(chosen)).not.toEqual(before[0]);
  });

  test("a product of an item that needs its user answers the item's error, and of a removed item nothing", async () => {
    const { item_id, access_token } = makeItem({ products: [product] });
    simulator.control.breakItem(item_id);
    expect(await read(access_token)).toMatchObject({ error_code: "ITEM_LOGIN_REQUIRED" });
    simulator.control.repairItem(item_id);
    expect((await read(access_token))["error_code"]).toBeUndefined();
    await answerOf("/item/remove", access_token);
    expect(await read(access_token)).toMatchObject({ error_code: "ITEM_NOT_FOUND" });
    expect(simulator.control.truth(item_id, name)).toEqual(BOOKS[name].nothing);
    expect(() => change(item_id, name, { add: 1 })).toThrow(/removed/);
  });

  test.skipIf(!fired)(
    "the webhook of a product can be fired for an item that has the product, and changes nothing",
    async () => {
      const [webhook_type, webhook_code] = webhook.split("/");
      const { item_id, access_token } = makeItem({ products: [product] });
      const before = simulator.control.truth(item_id, name);
      const fire = (token: string) => answerOf("/sandbox/item/fire_webhook", token, { webhook_type, webhook_code });
      expect(await fire(access_token)).toMatchObject({ webhook_fired: true });
      await simulator.control.idle();
      expect(codes()).toEqual([webhook]);
      expect(simulator.control.truth(item_id, name)).toEqual(before);
      const without = makeItem({ consented_products: [product] });
      expect(await fire(without.access_token)).toMatchObject({ error_code: "SANDBOX_PRODUCT_NOT_ENABLED" });
    },
  );

  test("the faults and rate limits of requests also apply to product endpoints", async () => {
    await using limited = await startSimulator({ ...OPTIONS, rateLimits: true });
    const [item] = limited.control.createItems({ products: [product] }).items;
    const body = { access_token: item?.access_token, ...each.asks };
    const statuses = [];
    for (let n = 0; n < 101; n += 1) statuses.push((await post(limited, path, body)).status);
    expect(statuses.at(-1)).toBe(429);
    const { item_id, access_token } = makeItem({ products: [product] });
    simulator.control.addFault({ kind: "institution_down", item_id, count: 1 });
    expect(await read(access_token)).toMatchObject({ error_code: "INSTITUTION_DOWN" });
  });
});

test("required_if_supported_products become the item's where the institution has them, and other products need consent", async () => {
  const session = {
    client_name: "Tartan",
    language: "en",
    country_codes: ["US"],
    user: { client_user_id: "user-1" },
    products: ["transactions"],
    required_if_supported_products: ["investments"],
    additional_consented_products: ["liabilities"],
  };
  const linked = async (institution_id: string) => {
    const { body } = await post(simulator, "/link/token/create", session);
    const link = simulator.control.completeLink({ link_token: String(body["link_token"]), institution_id });
    const exchange = await post(simulator, "/item/public_token/exchange", { public_token: link.public_token });
    return itemOf(String(exchange.body["access_token"]));
  };
  expect(await linked("ins_109508")).toMatchObject({
    products: ["transactions", "investments"],
    consented_products: ["transactions", "investments", "liabilities"],
  });
  expect(await linked("ins_900004")).toMatchObject({ products: ["transactions"] });
});

test("two products that are initialised at the same time each send one webhook when they are ready", async () => {
  const request: ItemRequest = { products: ["investments"], consented_products: ["liabilities"] };
  const { access_token } = makeItem({ ...request, user: "user_good", ready: false });
  await simulator.control.advanceClock({ advance_s: 4 });
  expect(await answerOf("/liabilities/get", access_token)).toMatchObject({ error_code: "PRODUCT_NOT_READY" });
  await simulator.control.advanceClock({ advance_s: 6 });
  const pulled = ["HOLDINGS/DEFAULT_UPDATE", "INVESTMENTS_TRANSACTIONS/HISTORICAL_UPDATE"];
  expect(inbox.codes().toSorted()).toEqual(pulled);
  expect(await answerOf("/liabilities/get", access_token)).toMatchObject({ error_code: "PRODUCT_NOT_READY" });
  await simulator.control.advanceClock({ advance_s: 60 });
  expect(inbox.codes().toSorted()).toEqual([...pulled, "LIABILITIES/DEFAULT_UPDATE"]);
});

test("update mode gives an item the consent that it lacks", async () => {
  const { access_token } = makeItem({ user: "user_good" });
  const session = { client_name: "Tartan", language: "en", country_codes: ["US"], access_token };
  const { body } = await post(simulator, "/link/token/create", {
    ...session,
    additional_consented_products: ["liabilities"],
  });
  expect(await answerOf("/liabilities/get", access_token)).toMatchObject({ error_code: "ADDITIONAL_CONSENT_REQUIRED" });
  simulator.control.completeLink({ link_token: String(body["link_token"]) });
  expect(await answerOf("/liabilities/get", access_token)).toMatchObject({ error_code: "PRODUCT_NOT_READY" });
  await simulator.control.advanceClock({ advance_s: 10 });
  expect(await answerOf("/liabilities/get", access_token)).toMatchObject(
    simulator.control.truth(String(((await itemOf(access_token)) as { item_id: string }).item_id), "liabilities"),
  );
});

test("an item without a named institution gets one that has its products", () => {
  const { items } = simulator.control.createItems({ count: 100, products: ["investments", "liabilities"] });
  const all = simulator.control.items().items.filter((one) => items.some(({ item_id }) => item_id === one["item_id"]));
  expect(all.map((one) => one["institution_id"])).not.toContain("ins_900004");
});

test("the control of products answers over HTTP as in code, and names an invalid field", async () => {
  const { item_id } = makeItem({ products: Object.values(BOOKS).map(({ product }) => product) });
  const call = async (method: string, path: string, body?: object) => {
    const init = body ? { method, body: JSON.stringify(body) } : { method };
    const answer = await fetch(`${simulator.url}/_simulator/items/${item_id}/${path}`, init);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  for (const name of Object.keys(BOOKS) as BookName[]) {
    expect((await call("POST", name, { modify: 1 })).body).toMatchObject({ modified: expect.anything() });
    expect((await call("GET", name)).body).toEqual(simulator.control.truth(item_id, name));
    const refused = await call("POST", name, { modify: -1, colour: "red" });
    expect(refused.status).toBe(400);
    expect(refused.body["error"]).toMatchObject({ fields: { colour: "is not a field here" } });
  }
});

test("activity also changes product books", async () => {
  await using lively = await startSimulator({ seed: "calm", rateLimits: false });
  lively.control.createItems({
    count: 5,
    webhook: inbox.url,
    products: ["transactions", "investments", "liabilities"],
  });
  lively.control.startActivity({ everyMs: 10, items: 5 });
  await expect.poll(() => new Set(inbox.codes()), { timeout: 10_000 }).toContain("HOLDINGS/DEFAULT_UPDATE");
  await expect.poll(() => new Set(inbox.codes()), { timeout: 10_000 }).toContain("LIABILITIES/DEFAULT_UPDATE");
  lively.control.stopActivity();
});
