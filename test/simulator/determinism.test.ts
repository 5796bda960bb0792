/** The same seed and the same calls give the same bytes; another seed gives another world. */
import { expect, test } from "vitest";
import { frozenClock, startSimulator } from "../../src/simulator/index.ts";
import { Random } from "../../src/simulator/random.ts";
import { openInbox } from "./support/inbox.ts";
import { post } from "./support/client.ts";
import { PRODUCT_CASES } from "./support/product-cases.ts";

async function story(seed: string): Promise<string[]> {
  await using inbox = await openInbox();
  await using simulator = await startSimulator({
    seed,
    clock: frozenClock("2026-03-07T12:00:00Z"),
    rateLimits: false,
    concurrency: 1,
  });
  const answers: string[] = [];
  const say = async (path: string, body: unknown) => {
    const { text } = await post(simulator, path, body);
    answers.push(text.replaceAll(inbox.url, "URL"));
    return JSON.parse(text) as Record<string, string>;
  };
  const { public_token } = await say("/sandbox/public_token/create", {
    institution_id: "ins_109508",
    initial_products: ["transactions"],
    options: { webhook: inbox.url, override_username: "user_transactions_dynamic" },
  });
  const { access_token } = await say("/item/public_token/exchange", { public_token });
  await say("/_simulator/clock", { advance_s: 60 });
  const { next_cursor } = await say("/transactions/sync", { access_token, count: 500 });
  await say("/transactions/refresh", { access_token });
  await say("/_simulator/clock", { advance_s: 60 });
  await say("/transactions/sync", { access_token, count: 500, cursor: next_cursor });
  await say("/accounts/get", { access_token });
  const products = ["transactions", ...new Set(PRODUCT_CASES.map(({ product }) => product))];
  const made = await say("/_simulator/items", { count: 3, webhook: inbox.url, products });
  const items = (made as unknown as { items: { item_id: string; access_token: string }[] }).items;
  for (const { item_id, access_token } of items) {
    await say(`/_simulator/items/${item_id}/transactions`, { add: 2, modify: 2, remove: 2, post_pending: 1 });
    await say("/transactions/get", { access_token, start_date: "2020-01-01", end_date: "2026-12-31" });
    for (const { name, path, asks } of PRODUCT_CASES) {
      await say(`/_simulator/items/${item_id}/${name}`, { add: 2, modify: 2, remove: 1 });
      await say(path, { access_token, ...asks });
    }
  }
  await simulator.control.idle();
  const { kid = "" } = simulator.control.webhooks().webhooks[0]?.attempts[0] ?? {};
  await say("/webhook_verification_key/get", { key_id: kid });
  return [...answers, ...inbox.arrived.map(({ raw }) => raw.toString("utf8"))];
}

test("the same seed gives the same answers, byte for byte", async () => {
  const [first, second, other] = [await story("one"), await story("one"), await story("two")];
  expect(first.length).toBeGreaterThan(20);
  expect(second).toEqual(first);
  expect(other).not.toEqual(first);
});

test("an item is the same whether it is read first or last", async () => {
  const bookOf = async (order: number[]) => {
    await using simulator = await startSimulator({ seed: "order", clock: frozenClock("2026-03-07T12:00:00Z") });
    const { items } = simulator.control.createItems({ count: 3 });
    const books = new Map(
      order.map((at) => [at, [items[at], simulator.control.transactions(items[at]?.item_id ?? "")]]),
    );
    return [0, 1, 2].map((at) => books.get(at));
  };
  expect(await bookOf([2, 0, 1])).toEqual(await bookOf([0, 1, 2]));
});

test("a million ids are all different", () => {
  const random = new Random("ids");
  const seen = new Set<string>();
  for (let i = 0; i < 1000; i += 1) {
    const stream = random.fork(i);
    for (let k = 0; k < 1000; k += 1) seen.add(stream.id());
  }
  expect(seen.size).toBe(1_000_000);
});
