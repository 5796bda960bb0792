/**
 * Every resource of an item whose data the simulator has in a product book, in one item with all products: mirrored row for row, asked
 * for only where the item has the product, and gone when Plaid says so. A new resource is in these tests once it has a book.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { nameOf, tablesOf } from "../../src/mirror/rows.ts";
import { endpointsOf, resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { BOOKS, type BookName } from "../../src/simulator/products/index.ts";
import { resourcesOfItem } from "../../src/sync/cursor-queries.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { checkOnce, unheardItem } from "./reconcile-support.ts";
import { openEventReader } from "./event-reader.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

/** Such a resource, its product, and a webhook that touches it and says so by its type alone. */
const CASES = (Object.keys(BOOKS) as BookName[]).map((name) => {
  const resource = resourcesOf("item").find((each) => each.name === name);
  const [product] = resource?.products ?? [];
  const [touch] = resource?.touchedBy ?? [];
  if (!resource || product === undefined || touch === undefined) throw new Error(`there is no resource ${name}`);
  return { name, resource, product, type: touch.type, code: touch.codes?.[0] ?? "DEFAULT_UPDATE" };
});
const PRODUCTS = [...new Set(CASES.map(({ product }) => product))];
const ALL = ["transactions", ...PRODUCTS];
/** Enough of them that some recur. */
const TRANSACTIONS = 60;

let world: World<"sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
  item ??= await made({ products: ALL });
});

async function run({ sync }: World<"sync"> = world): Promise<void> {
  const worker = await sync.start();
  await worker.idle();
  await worker[Symbol.asyncDispose]();
}

async function made(more: Parameters<World<"sync">["integration"]["makeItems"]>[2]): Promise<Item> {
  const [one] = world.integration.makeItems(1, TRANSACTIONS, more);
  if (!one) throw new Error("no item");
  await world.integration.link(one);
  await run();
  return one;
}

const expectEqual = ({ item_id }: Item): Promise<void> =>
  expectMirrorEqualsTruth(world.database, world.simulator, item_id);

async function statesOf({ item_id }: Item) {
  const states = await resourcesOfItem(world.database, world.integration.id, item_id);
  return Object.fromEntries(states.map(({ resource, ...state }) => [resource, state]));
}

const inEach = <T>(value: T): Record<string, T> => Object.fromEntries(CASES.map(({ name }) => [name, value]));

/** The webhook of each resource, and one run for all. */
async function notifyEach({ item_id }: Item): Promise<void> {
  for (const { type, code } of CASES) await world.sync.notify(item_id, code, type);
  await run();
}

async function rowsOf(resource: Resource, { item_id }: Item, where = "removed_at is null"): Promise<number> {
  let rows = 0;
  for (const name of tablesOf(resource).map(nameOf)) {
    const found = await world.database.query(`select from ${name} where item_id = $1 and ${where}`, [item_id]);
    rows += found.rows.length;
  }
  return rows;
}

async function rowsOfEach(of: Item, where?: string): Promise<Record<string, number>> {
  const rows: Record<string, number> = {};
  for (const { name, resource } of CASES) rows[name] = await rowsOf(resource, of, where);
  return rows;
}

const asked = (): number[] =>
  CASES.map(({ resource }) =>
    endpointsOf(resource.fetch).reduce((sum, endpoint) => sum + world.simulator.asked(endpoint), 0),
  );

it("the rows of every product are mirrored into the tables of its resource when the item is linked", async () => {
  await expectEqual(item);
  for (const [name, rows] of Object.entries(await rowsOfEach(item))) expect(rows, name).toBeGreaterThan(0);
  const read = { absent: null, verified_at: expect.any(String) as string };
  expect(await statesOf(item)).toMatchObject(inEach(read));
});

it.each([[{ modify: 3 }], [{ add: 2 }], [{ remove: 1 }], [{ remove: 1000 }], [{ add: 2 }]])(
  "after a change of %j, the webhook of each product brings its rows, and events name each changed row",
  async (change) => {
    for (const { name } of CASES) world.simulator.control.change(item.item_id, name, { ...change, webhooks: false });
    await notifyEach(item);
    await expectEqual(item);
  },
);

it("a run does not request a product that the item does not have, even if its user consented to the product", async () => {
  const without = await made({ products: ["transactions"], consented_products: PRODUCTS });
  const before = asked();
  await world.sync.notify(without.item_id, "LOGIN_REPAIRED", "ITEM");
  await requestSync(world.database, without.item_id, { full: true });
  await run();
  expect(asked()).toEqual(before);
  expect(await statesOf(without)).toMatchObject(inEach({ absent: "not_listed", verified_at: null }));
  expect(await world.sync.subject(without.item_id)).toMatchObject({ status: "ok", verified_at: expect.any(Date) });
  expect(world.simulator.control.item(without.item_id)["item"]).toMatchObject({ products: ["transactions"] });
  await expectEqual(without);
});

it("products without consent are refused each for its resource, and the item is ok without them", async () => {
  const without = await made({ products: ["transactions"] });
  await requestSync(world.database, without.item_id, { resources: CASES.map(({ name }) => name) });
  await run();
  expect(await statesOf(without)).toMatchObject(inEach({ absent: "refused", rows: 0 }));
  const settled = { status: "ok", due_at: null, requested: [], claimed: [] };
  expect(await world.sync.subject(without.item_id)).toMatchObject(settled);
});

it("products that Plaid does not have ready are read once their webhooks arrive", async () => {
  await using later = await startWorld({
    simulator: { extraction: { initialMs: 3_600_000, historicalMs: 3_600_000 } },
    sync: { delays: { notReadyMs: 3_600_000 } },
  });
  const [one] = later.integration.makeItems(1, TRANSACTIONS, { products: ALL, ready: false });
  if (!one) throw new Error("no item");
  await later.integration.link(one);
  await run(later);
  expect(await later.sync.subject(one.item_id)).toMatchObject({
    status: "waiting",
    last_error: { error_code: "PRODUCT_NOT_READY" },
  });
  for (const state of await resourcesOfItem(later.database, later.integration.id, one.item_id))
    if (state.resource in BOOKS) expect(state).toMatchObject({ verified_at: null, absent: null });
  await later.simulator.control.advanceClock({ advance_s: 3601 });
  for (const { type, code } of CASES) await later.sync.notify(one.item_id, code, type);
  await later.sync.notify(one.item_id);
  await run(later);
  expect(await later.sync.subject(one.item_id)).toMatchObject({ status: "ok" });
  await expectMirrorEqualsTruth(later.database, later.simulator, one.item_id);
});

it("the rows of a product are removed when Plaid says that the item has no account for them, and come back with one", async () => {
  const left = await made({ products: ALL });
  const { control } = world.simulator;
  const wereGone = new Set<string>();
  for (const subtype of ["checking", "mortgage"]) {
    const before = await rowsOfEach(left);
    const { account_id } = control.addAccount(left.item_id, { subtype, webhooks: false });
    for (const account of control.accounts(left.item_id).accounts)
      if (account["account_id"] !== account_id)
        control.revokeAccount(left.item_id, { account_id: String(account["account_id"]), webhooks: false });
    await world.sync.notify(left.item_id, "USER_ACCOUNT_REVOKED", "ITEM");
    await run();
    await expectEqual(left);
    expect(await world.sync.subject(left.item_id)).toMatchObject({ status: "ok" });
    expect(await statesOf(left)).toMatchObject(inEach({ absent: null }));
    const after = await rowsOfEach(left);
    for (const { name } of CASES) if ((before[name] ?? 0) > 0 && after[name] === 0) wereGone.add(name);
  }
  expect([...wereGone].toSorted()).toEqual(CASES.map(({ name }) => name).toSorted());
  for (const subtype of ["brokerage", "checking", "credit card"])
    control.addAccount(left.item_id, { subtype, transactions: subtype === "checking" ? 20 : 0, webhooks: false });
  for (const { name } of CASES) control.change(left.item_id, name, { add: 2, webhooks: false });
  await world.sync.notify(left.item_id, "NEW_ACCOUNTS_AVAILABLE", "ITEM");
  await run();
  await expectEqual(left);
  for (const [name, rows] of Object.entries(await rowsOfEach(left))) expect(rows, name).toBeGreaterThan(0);
});

it("a check of an item reads the rows of every product that changed without a webhook", async () => {
  await using silent = await startWorld({ sync: {} });
  const unheard = await unheardItem(silent, TRANSACTIONS, ALL);
  for (const { name } of CASES)
    silent.simulator.control.change(unheard.item_id, name, { add: 1, modify: 2, remove: 1, webhooks: false });
  await checkOnce(silent, unheard.item_id);
  await run(silent);
  await expectMirrorEqualsTruth(silent.database, silent.simulator, unheard.item_id);
});

it("erasing an item deletes its rows of every product and none of another item", async () => {
  const other = await made({ products: ALL });
  const before = await rowsOfEach(other, "true");
  expect(await rowsOfEach(item, "true")).not.toEqual(inEach(0));
  await eraseItem(world.database, world.integration.id, item.item_id);
  expect(await rowsOfEach(item, "true")).toEqual(inEach(0));
  expect(await rowsOfEach(other, "true")).toEqual(before);
  await expectEqual(other);
});

it("the same security in two accounts is two rows of holdings, and one security", async () => {
  const investor = await made({ products: ["transactions", "investments"] });
  const { control } = world.simulator;
  for (let n = 0; n < 3; n += 1) control.addAccount(investor.item_id, { subtype: "brokerage", webhooks: false });
  control.change(investor.item_id, "holdings", { add: 40, webhooks: false });
  await world.sync.notify(investor.item_id, "DEFAULT_UPDATE", "HOLDINGS");
  await run();
  await expectEqual(investor);
  const { rows } = await world.database.query<{ security_id: string; positions: number }>(
    `select security_id, count(*)::int as positions from plaid.current_holdings where item_id = $1
     group by 1 having count(*) > 1`,
    [investor.item_id],
  );
  expect(rows.length).toBeGreaterThan(0);
  control.change(investor.item_id, "holdings", { reprice: "all", webhooks: false });
  const { notifyAndWork } = openEventReader(world);
  const events = await notifyAndWork(investor, "DEFAULT_UPDATE", "HOLDINGS");
  expect(events.map((each) => each.type)).toEqual(
    expect.arrayContaining(["accounts.changed", "holdings.changed", "securities.changed"]),
  );
  await expectEqual(investor);
});
