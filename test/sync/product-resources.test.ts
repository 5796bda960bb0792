/** Resources of products: several tables from one answer, asked for only where the item has the product, gone when Plaid says so. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nameOf, tablesOf } from "../../src/mirror/rows.ts";
import { endpointsOf, resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { BOOKS, type BookName } from "../../src/simulator/products/index.ts";
import { resourcesOfItem } from "../../src/sync/cursor-queries.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { checkOnce, unheardItem } from "./reconcile-support.ts";
import { openEventReader } from "./event-reader.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (options: Partial<SyncOptions> = {}): Promise<void> => {
  const worker = await world.sync.start(options);
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};
const expectEqual = ({ item_id }: Item): Promise<void> =>
  expectMirrorEqualsTruth(world.database, world.simulator, item_id);
const stateOf = async ({ item_id }: Item, name: string) =>
  (await resourcesOfItem(world.database, world.integration.id, item_id)).find(({ resource }) => resource === name);
const askedAll = (resource: Resource): number =>
  endpointsOf(resource.fetch).reduce((sum, endpoint) => sum + world.simulator.asked(endpoint), 0);

/** The resources whose data the simulator has in a book, and how that is made to appear and go. */
const CASES = (Object.keys(BOOKS) as BookName[]).map((name) => {
  const resource = resourcesOf("item").find((each) => each.name === name);
  const [product] = resource?.products ?? [];
  const type = resource?.touchedBy[0]?.type;
  if (!resource || product === undefined || type === undefined) throw new Error(`there is no resource ${name}`);
  return { name, resource, product, type };
});

async function made(more: Parameters<World<"sync">["integration"]["makeItems"]>[2]): Promise<Item> {
  const [item] = world.integration.makeItems(1, 3, more);
  if (!item) throw new Error("no item");
  await world.integration.link(item);
  await run();
  return item;
}

async function rowsOf(resource: Resource, { item_id }: Item, where = "removed_at is null"): Promise<number> {
  let rows = 0;
  for (const name of tablesOf(resource).map(nameOf)) {
    const found = await world.database.query(`select from ${name} where item_id = $1 and ${where}`, [item_id]);
    rows += found.rows.length;
  }
  return rows;
}

describe.each(CASES)("the resource $name", ({ name, resource, product, type }) => {
  it("the rows of a product are mirrored into every table of its resource, and events name each changed row", async () => {
    const item = await made({ products: ["transactions", product] });
    await expectEqual(item);
    expect(await rowsOf(resource, item)).toBeGreaterThan(0);
    expect(await stateOf(item, name)).toMatchObject({ absent: null, verified_at: expect.any(String) });
    const { control } = world.simulator;
    for (const change of [{ modify: 3 }, { add: 2 }, { remove: 1 }, { remove: 100 }, { add: 2 }]) {
      control.change(item.item_id, name, { ...change, webhooks: false });
      const { notifyAndWork } = openEventReader(world);
      await notifyAndWork(item, "DEFAULT_UPDATE", type);
      await expectEqual(item);
    }
  });

  it("a run does not request a product that the item does not have, even if its user consented to the product", async () => {
    const before = askedAll(resource);
    const item = await made({ products: ["transactions"], consented_products: [product] });
    await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
    await requestSync(world.database, item.item_id, { full: true });
    await run();
    expect(askedAll(resource)).toBe(before);
    expect(await stateOf(item, name)).toMatchObject({ absent: "not_listed", verified_at: null });
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", verified_at: expect.any(Date) });
    expect(world.simulator.control.item(item.item_id)["item"]).toMatchObject({ products: ["transactions"] });
    await expectEqual(item);
  });

  it("a product without consent is refused for its resource, and the item is ok without it", async () => {
    const item = await made({ products: ["transactions"] });
    await requestSync(world.database, item.item_id, { resources: [name] });
    await run();
    expect(await stateOf(item, name)).toMatchObject({ absent: "refused", rows: 0 });
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "ok",
      due_at: null,
      requested: [],
      claimed: [],
    });
  });

  it("a product that Plaid does not have ready is read once its webhook arrives", async () => {
    await using later = await startWorld({
      simulator: { extraction: { initialMs: 3_600_000, historicalMs: 7_200_000 } },
      sync: {},
    });
    const [item] = later.integration.makeItems(1, 3, { products: [product], ready: false });
    if (!item) throw new Error("no item");
    await later.integration.link(item);
    const delays = { notReadyMs: 3_600_000 };
    await using worker = await later.sync.start({ delays });
    await worker.idle();
    expect(await later.sync.subject(item.item_id)).toMatchObject({
      status: "waiting",
      last_error: { error_code: "PRODUCT_NOT_READY", resource: name },
    });
    await later.simulator.control.advanceClock({ advance_s: 3601 });
    await later.sync.notify(item.item_id, "DEFAULT_UPDATE", type);
    await worker.idle();
    expect(await later.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    await expectMirrorEqualsTruth(later.database, later.simulator, item.item_id);
  });

  it("the rows of a product are removed when Plaid says that the item has no account for them, and come back with one", async () => {
    const item = await made({ products: ["transactions", product] });
    const { control } = world.simulator;
    const rows = await rowsOf(resource, item);
    for (const { account_id } of control.accounts(item.item_id).accounts) {
      if (control.item(item.item_id)["accounts"] === 1) break;
      control.revokeAccount(item.item_id, { account_id: String(account_id), webhooks: false });
    }
    const [left] = control.accounts(item.item_id).accounts;
    control.addAccount(item.item_id, { subtype: "checking", webhooks: false });
    control.revokeAccount(item.item_id, { account_id: String(left?.["account_id"]), webhooks: false });
    await world.sync.notify(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM");
    await run();
    expect(await rowsOf(resource, item)).toBe(0);
    expect(await rowsOf(resource, item, "removed_at is not null")).toBe(rows);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok" });
    expect(await stateOf(item, name)).toMatchObject({ absent: null, rows: 0 });
    await expectEqual(item);
    control.addAccount(item.item_id, { subtype: name === "holdings" ? "brokerage" : "mortgage", webhooks: false });
    control.change(item.item_id, name, { add: 2, webhooks: false });
    await world.sync.notify(item.item_id, "NEW_ACCOUNTS_AVAILABLE", "ITEM");
    await run();
    expect(await rowsOf(resource, item)).toBeGreaterThan(0);
    await expectEqual(item);
  });

  it("the webhook of a product reads the accounts too, since their balances change with it", async () => {
    const item = await made({ products: [product] });
    const before = world.simulator.asked("/accounts/get");
    await world.sync.notify(item.item_id, "DEFAULT_UPDATE", type);
    await run();
    expect(world.simulator.asked("/accounts/get")).toBe(before + 1);
  });

  it("an answer that lacks one of the resource's lists is unreadable and removes nothing", async () => {
    const item = await made({ products: ["transactions", product] });
    const rows = await rowsOf(resource, item);
    const [endpoint] = endpointsOf(resource.fetch);
    const places = resource.tables.flatMap((table) => table.rows.map(({ at }) => at.split(".")));
    for (const [at = "", inner] of places) {
      const real = gated((_path, _body, pass) => pass());
      const clientFor: SyncOptions["clientFor"] = (integration) => {
        const client = real(integration);
        const post: typeof client.post = async (path, body, signal) => {
          const answer = await client.post(path, body, signal);
          if (path !== endpoint) return answer;
          const answered = JSON.parse(answer.text) as Record<string, Record<string, unknown>>;
          if (inner === undefined) delete answered[at];
          else delete answered[at]?.[inner];
          return { ...answer, text: JSON.stringify(answered) };
        };
        return { ...client, post };
      };
      await world.sync.notify(item.item_id, "DEFAULT_UPDATE", type);
      await using worker = await world.sync.start({ clientFor, delays: { retryMs: 600_000, retryMaxMs: 600_000 } });
      await worker.idle();
      expect(await world.sync.subject(item.item_id)).toMatchObject({
        status: "retrying",
        last_error: { error_code: "UNREADABLE_ANSWER", resource: name },
      });
      expect(await rowsOf(resource, item)).toBe(rows);
      await world.sync.hurry();
      await worker[Symbol.asyncDispose]();
      await run();
    }
    await expectEqual(item);
  });

  it("a check of the item reads the rows of a product that changed without a webhook", async () => {
    await using silent = await startWorld({ sync: {} });
    const item = await unheardItem(silent, 3, ["transactions", product]);
    silent.simulator.control.change(item.item_id, name, { add: 1, modify: 2, remove: 1, webhooks: false });
    await checkOnce(silent, item.item_id);
    await using worker = await silent.sync.start();
    await worker.idle();
    await expectMirrorEqualsTruth(silent.database, silent.simulator, item.item_id);
  });

  it("erasing an item deletes its rows of a product and none of another item", async () => {
    const [mine, other] = [
      await made({ products: ["transactions", product], institution_id: "ins_109508" }),
      await made({ products: ["transactions", product], institution_id: "ins_109508" }),
    ];
    const rows = await rowsOf(resource, other);
    await eraseItem(world.database, world.integration.id, mine.item_id);
    expect(await rowsOf(resource, mine, "true")).toBe(0);
    expect(await rowsOf(resource, other)).toBe(rows);
    await expectEqual(other);
  });
});

it("the same security in two accounts is two rows of holdings, and one security", async () => {
  const item = await made({ products: ["transactions", "investments"] });
  const { control } = world.simulator;
  for (let n = 0; n < 3; n += 1) control.addAccount(item.item_id, { subtype: "brokerage", webhooks: false });
  control.change(item.item_id, "holdings", { add: 40, webhooks: false });
  await world.sync.notify(item.item_id, "DEFAULT_UPDATE", "HOLDINGS");
  await run();
  await expectEqual(item);
  const { rows } = await world.database.query<{ security_id: string; positions: number }>(
    `select security_id, count(*)::int as positions from plaid.current_holdings where item_id = $1
     group by 1 having count(*) > 1`,
    [item.item_id],
  );
  expect(rows.length).toBeGreaterThan(0);
  control.change(item.item_id, "holdings", { reprice: "all", webhooks: false });
  const { notifyAndWork } = openEventReader(world);
  const events = await notifyAndWork(item, "DEFAULT_UPDATE", "HOLDINGS");
  expect(events.map((each) => each.type)).toEqual(
    expect.arrayContaining(["accounts.changed", "holdings.changed", "securities.changed"]),
  );
  await expectEqual(item);
});
