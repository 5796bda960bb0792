/** Holdings and securities: their invariants after any changes, and Plaid's schema. */
import { array, assert as assertProperty, asyncProperty, constant, constantFrom, nat, oneof, record } from "fast-check";
import type { Holding, Security } from "plaid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { sdkFor } from "./support/client.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { openPlaidSchema, type PlaidSchema } from "./support/plaid-schema.ts";

const schema = openPlaidSchema();
let simulator: Simulator;
let inbox: Inbox;
beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({ seed: "holdings", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

type ItemRequest = Parameters<Simulator["control"]["createItems"]>[0];

function makeItem(request: ItemRequest = {}) {
  const [item] = simulator.control.createItems({ products: ["investments"], ...request }).items;
  return item ?? { item_id: "", access_token: "" };
}

const read = async (access_token: string) => (await sdkFor(simulator).investmentsHoldingsGet({ access_token })).data;
const truth = (itemId: string) =>
  simulator.control.truth(itemId, "holdings") as { holdings: Holding[]; securities: Security[] };
const keyOf = ({ account_id, security_id }: Holding) => `${account_id} ${security_id}`;
/** money in ten-thousandths, exactly */
const exact = (amount: number | null | undefined) => Math.round((amount ?? 0) * 10_000);

const users = constantFrom("controlled" as const, "user_good" as const);
const institutions = constantFrom("ins_109508", "ins_109509", "ins_127287", "ins_900005", "ins_900006");
const some = nat({ max: 4 });
const changes = array(
  record({ add: some, modify: some, remove: some, reprice: oneof(some, constant("all" as const)) }),
  { maxLength: 5 },
);

/** Runs `check` on items of every sort after every change. */
async function everywhere(check: (itemId: string, accessToken: string) => unknown): Promise<void> {
  await assertProperty(
    asyncProperty(users, institutions, changes, async (user, institution_id, requests) => {
      const { item_id, access_token } = makeItem({ user, institution_id });
      await check(item_id, access_token);
      for (const request of requests) {
        simulator.control.change(item_id, "holdings", request);
        await check(item_id, access_token);
      }
    }),
    { numRuns: 40 },
  );
}

test("after any changes the holdings answer equals the truth, with unique keys, each security once, and values that add up", async () => {
  await everywhere(async (itemId, token) => {
    const { accounts, holdings, securities } = await read(token);
    expect({ holdings, securities }).toEqual(truth(itemId));
    expect(new Set(holdings.map(keyOf)).size).toBe(holdings.length);
    const ids = securities.map(({ security_id }) => security_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(holdings.map(({ security_id }) => security_id))).toEqual(new Set(ids));
    for (const { account_id, balances } of accounts.filter(({ type }) => (type as string) === "investment")) {
      const values = holdings.filter((one) => one.account_id === account_id).map((one) => exact(one.institution_value));
      expect(values.reduce((sum, value) => sum + value, 0)).toBe(exact(balances.current));
    }
    for (const one of holdings) expectWhole(one);
  });
});

function expectWhole(one: Holding): void {
  expect(one.quantity).not.toBe(0);
  expect(Math.abs(exact(one.institution_value) - exact(one.quantity * one.institution_price))).toBeLessThanOrEqual(1);
  expect([one.iso_currency_code, one.unofficial_currency_code].filter((code) => code !== null)).toHaveLength(1);
  expect(one.vested_quantity ?? one.quantity).toBeLessThanOrEqual(Math.max(one.quantity, 0) || one.quantity);
  const lots = one.tax_lots ?? [];
  if (lots.length === 0) return;
  expect(lots.reduce((sum, lot) => sum + (lot.quantity ?? 0), 0)).toBeCloseTo(one.quantity, 5);
  for (const lot of lots) expect(lot.cost_basis === null).toBe(one.cost_basis === null);
}

describe.skipIf(schema === null)("judged by Plaid's schema", () => {
  const judge = schema as PlaidSchema;

  test("answers of the product for all kinds of items match Plaid's schema after every change", async () => {
    await everywhere(async (_, token) => {
      const answer = await read(token);
      expect(judge.answerFaults("/investments/holdings/get", answer)).toEqual([]);
      const rows = answer.holdings.map((one) => ["Holding", one] as const);
      for (const [name, one] of [...rows, ...answer.securities.map((each) => ["Security", each] as const)]) {
        expect(judge.objectFaults(name, { ...one })).toEqual([]);
      }
    });
  });
});

test("a change of holdings returns the changed keys, and the webhook counts them", async () => {
  const { item_id } = makeItem({ user: "user_good", webhook: inbox.url });
  for (const request of [{ add: 3 }, { modify: 2 }, { remove: 2 }, { reprice: 1 }, { add: 1, modify: 1, remove: 1 }]) {
    inbox.arrived.length = 0;
    const before = new Map(truth(item_id).holdings.map((one) => [keyOf(one), JSON.stringify(one)]));
    const { added, modified, removed } = simulator.control.change(item_id, "holdings", request);
    const after = new Map(truth(item_id).holdings.map((one) => [keyOf(one), JSON.stringify(one)]));
    const keys = (list: { account_id: string; security_id: string }[]) =>
      list.map((one) => `${one.account_id} ${one.security_id}`).toSorted();
    const [old, now] = [[...before.keys()], [...after.keys()]];
    expect(keys(added)).toEqual(now.filter((key) => !before.has(key)).toSorted());
    expect(keys(removed)).toEqual(old.filter((key) => !after.has(key)).toSorted());
    const differing = now.filter((key) => before.has(key) && before.get(key) !== after.get(key));
    expect(keys(modified)).toEqual(differing.toSorted());
    await simulator.control.idle();
    expect(inbox.arrived.map(({ body }) => body)).toEqual([
      expect.objectContaining({ new_holdings: added.length, updated_holdings: modified.length + removed.length }),
    ]);
  }
});

test("a security is the same for all items, except an institution's own fund", async () => {
  const items = simulator.control.createItems({ count: 60, products: ["investments"], user: "user_good" }).items;
  const ids = new Map<string, Set<string>>();
  for (const { item_id } of items) {
    for (const { institution_id, institution_security_id, name, security_id, ticker_symbol } of truth(item_id)
      .securities) {
      const label = `${institution_id ?? "all"} ${institution_security_id ?? ticker_symbol ?? name ?? "nameless"}`;
      ids.set(label, (ids.get(label) ?? new Set()).add(security_id));
    }
  }
  expect([...ids.values()].map((set) => set.size)).toEqual([...ids].map(() => 1));
  expect(new Set([...ids.values()].flatMap((set) => [...set])).size).toBe(ids.size);
  expect([...ids.keys()].filter((label) => label.endsWith("RP2055")).length).toBeGreaterThan(2);
});

test("a price moves for the changed item in all its accounts, and the next changed item gets the newest price", async () => {
  const [one, two] = simulator.control.createItems({ count: 2, products: ["investments"], user: "user_good" }).items;
  const [first, second] = [one?.item_id ?? "", two?.item_id ?? ""];
  const priced = (itemId: string) =>
    new Map(
      truth(itemId)
        .securities.filter((each) => !each.is_cash_equivalent)
        .map((each) => [each.security_id, each]),
    );
  const twin = truth(second);
  simulator.control.change(first, "holdings", { add: 40 });
  const before = priced(first);
  await simulator.control.advanceClock({ advance_s: 86_400 * 3 });
  expect(priced(first)).toEqual(before);
  simulator.control.change(first, "holdings", { reprice: "all" });
  expect(truth(second)).toEqual(twin);
  for (const [id, after] of priced(first)) {
    const sample = truth(first).holdings.find(({ security_id }) => security_id === id);
    expect(sample?.institution_price).not.toBe(before.get(id)?.close_price);
    if (after.close_price === null) continue;
    expect(after.close_price).not.toBe(before.get(id)?.close_price);
    expect((after.close_price_as_of ?? "") > (before.get(id)?.close_price_as_of ?? "")).toBe(true);
    for (const row of truth(first).holdings.filter(({ security_id }) => security_id === id)) {
      expect(row.institution_price).toBe(after.close_price);
    }
  }
  simulator.control.change(second, "holdings", { add: 40 });
  const known = new Set(twin.securities.map(({ security_id }) => security_id));
  const updated = [...priced(second)].filter(([id]) => !known.has(id) && priced(first).has(id));
  expect(updated.length).toBeGreaterThan(0);
  for (const [id, security] of updated) expect(security).toEqual(priced(first).get(id));
});

test("all kinds of rows that Plaid has occur", async () => {
  const { items } = simulator.control.createItems({ count: 400, products: ["investments"] });
  const answers = await Promise.all(items.map(({ access_token }) => read(access_token)));
  const rows = answers.flatMap(({ holdings }) => holdings);
  const securities = answers.flatMap((answer) => answer.securities);
  const types = ["cash", "cryptocurrency", "derivative", "equity", "etf", "fixed income", "mutual fund", null];
  expect(new Set(securities.map(({ type }) => type))).toEqual(new Set(types));
  const has = (found: (row: Holding) => unknown) => expect(rows.some(found), found.toString()).toBe(true);
  has((row) => row.cost_basis === null);
  has((row) => row.unofficial_currency_code !== null);
  has((row) => row.iso_currency_code === "CAD" || row.iso_currency_code === "USD");
  has((row) => (row.vested_quantity ?? 0) > 0);
  has((row) => row.quantity < 0);
  has((row) => row.institution_price_as_of === null);
  has((row) => row.institution_price_datetime !== null && row.institution_price_datetime !== undefined);
  has((row) => (row.tax_lots ?? []).length > 1);
  expect(securities.some(({ option_contract }) => option_contract !== null)).toBe(true);
  expect(securities.some(({ fixed_income }) => fixed_income?.yield_rate === null)).toBe(true);
  expect(securities.some(({ fixed_income }) => fixed_income?.yield_rate !== null)).toBe(true);
  expect(answers.some((answer) => answer.is_investments_fallback_item)).toBe(true);
  expect(answers.some((answer) => !answer.is_investments_fallback_item)).toBe(true);
  expect(
    answers.flatMap(({ accounts }) => accounts).some(({ balances }) => (balances.margin_loan_amount ?? 0) > 0),
  ).toBe(true);
  const twice = ({ holdings }: { holdings: Holding[] }) =>
    new Set(holdings.map(({ security_id }) => security_id)).size < holdings.length;
  expect(answers.some(twice)).toBe(true);
});

test("an account can have any number of holdings", async () => {
  const { item_id, access_token } = makeItem({ user: "user_good" });
  const [account] = simulator.control.accounts(item_id).accounts.filter(({ subtype }) => subtype === "401k");
  const account_id = String(account?.["account_id"]);
  simulator.control.change(item_id, "holdings", { add: 2000, account_id });
  const { holdings, securities } = await read(access_token);
  expect(new Set(holdings.map(keyOf)).size).toBe(holdings.length);
  expect(holdings.filter((one) => one.account_id === account_id).length).toBeGreaterThan(2000);
  expect(securities.length).toBeGreaterThan(2000);
});

test("the status of /item/get says when investments were last pulled", async () => {
  const { item_id, access_token } = makeItem();
  const status = async () => (await sdkFor(simulator).itemGet({ access_token })).data.status?.investments;
  const first = (await status())?.last_successful_update ?? "";
  await simulator.control.advanceClock({ advance_s: 60 });
  simulator.control.change(item_id, "holdings", { modify: 1 });
  expect(Date.parse((await status())?.last_successful_update ?? "")).toBe(Date.parse(first) + 60_000);
  const without = makeItem({ products: ["transactions"] });
  expect((await sdkFor(simulator).itemGet({ access_token: without.access_token })).data.status?.investments).toBeNull();
});
