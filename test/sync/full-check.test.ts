/** Full checks: an item is proven against Plaid row for row, and what differed is named, healed and recorded as a gap. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { listGaps } from "../../src/silence/gaps.ts";
import { getFullCheck, requestFullCheck, type FullCheckState } from "../../src/sync/full-checks.ts";
import { pruneRuns } from "../../src/sync/prune.ts";
import { forgetAccount, forgetReadings } from "../../src/sync/revoked.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gapsOf } from "./reconcile-support.ts";
import { refusingAfter } from "./loop-support.ts";

const PRODUCTS = ["transactions", "auth", "identity", "investments", "liabilities"];

let world: World<"sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  world.simulator.control.addFault({ kind: "drop_webhooks" });
  item = await made();
});
afterAll(() => world[Symbol.asyncDispose]());

async function made(transactions = 40, products = PRODUCTS): Promise<Item> {
  const [one] = world.integration.makeItems(1, transactions, { products });
  if (!one) throw new Error("no item");
  await world.integration.link(one);
  await work();
  // Plaid fetched from the bank when the item was made; the readings are to be later than that.
  await world.database.query("update sync.cursors set verified_at = verified_at + interval '1 hour' where id = $1", [
    one.item_id,
  ]);
  return one;
}

async function work(options: Parameters<World<"sync">["sync"]["start"]>[0] = {}, retries = true): Promise<void> {
  await using worker = await world.sync.start(options);
  await worker.idle({ retries });
}

const which = ({ item_id: itemId }: Item) => ({ integrationId: world.integration.id, itemId });

async function proven(one: Item, resources?: string[]): Promise<FullCheckState> {
  await requestFullCheck(world.database, which(one), resources ? { resources } : {});
  await work();
  const state = await getFullCheck(world.database, which(one));
  if (!state) throw new Error("the check is gone");
  return state;
}

const outcomes = ({ resources }: FullCheckState) =>
  Object.fromEntries(resources.map(({ resource, outcome }) => [resource, outcome]));

const execute = (statement: string, ...more: unknown[]) => world.database.query(statement, [item.item_id, ...more]);

describe("of an item that nobody touched", () => {
  it("a full check reads everything that is not billed for each request and finds no difference", async () => {
    const state = await proven(item);
    expect(state).toMatchObject({ status: "equal", wrong: 0, may_be_new: 0, differences: [], error_code: null });
    expect(outcomes(state)).toMatchObject({
      items: "equal",
      accounts: "equal",
      transactions: "equal",
      auth: "equal",
      identity: "equal",
      holdings: "equal",
      investment_transactions: "equal",
      liabilities: "equal",
      statements: "absent",
    });
    expect(outcomes(state)).not.toHaveProperty("balances");
    expect(state.resources.find(({ resource }) => resource === "transactions")?.rows).toBe(40);
    expect(await gapsOf(world)).toEqual([]);
  });
});

describe("of rows that are wrong in the mirror", () => {
  it("a full check names each row and column that differs, with masked values, heals them and records a gap without values", async () => {
    const { rows } = await execute(
      "select transaction_id as id from plaid.transactions where item_id = $1 order by transaction_id limit 4",
    );
    const [column, both, missing, removed] = (rows as { id: string }[]).map(({ id }) => id);
    await execute(
      "update plaid.transactions set amount = amount + 1 where item_id = $1 and transaction_id = $2",
      column,
    );
    await execute(
      `update plaid.transactions set name = 'wrong', raw = raw || '{"name": "wrong", "new_field": 1}'
       where item_id = $1 and transaction_id = $2`,
      both,
    );
    await execute("delete from plaid.transactions where item_id = $1 and transaction_id = $2", missing);
    await execute(
      "update plaid.transactions set removed_at = now() where item_id = $1 and transaction_id = $2",
      removed,
    );
    await execute(
      `insert into plaid.transactions (integration_id, item_id, transaction_id, raw)
       select integration_id, item_id, 'surplus', '{}' from plaid.transactions where item_id = $1 limit 1`,
    );
    await execute("update plaid.auth_ach set account = 'wrong' where item_id = $1");
    const state = await proven(item);
    expect(state.status).toBe("differs");
    const named = Object.fromEntries(state.differences.map(({ key, ...row }) => [key, row]));
    const row = { resource: "transactions", table: "transactions", may_be_new: false };
    expect(named[column ?? ""]).toEqual({
      ...row,
      difference: "differs",
      columns: [{ column: "amount", mirror: expect.any(Number), plaid: expect.any(Number) }],
    });
    expect(named[both ?? ""]).toMatchObject({ ...row, difference: "differs" });
    expect(named[both ?? ""]?.columns.map(({ column: name }) => name)).toEqual(["name", "raw.new_field"]);
    expect(named[missing ?? ""]).toEqual({ ...row, difference: "missing", columns: [] });
    expect(named[removed ?? ""]).toEqual({ ...row, difference: "missing", columns: [] });
    expect(named["surplus"]).toEqual({ ...row, difference: "surplus", columns: [] });
    const masked = state.differences.filter(({ table }) => table === "auth_ach");
    expect(masked.length).toBeGreaterThan(0);
    expect(masked.map(({ may_be_new }) => may_be_new)).toEqual(masked.map(() => false));
    for (const { columns } of masked)
      expect(columns).toEqual([{ column: "account", mirror: "wrong", plaid: expect.stringMatching(/^•+/) }]);
    expect(state.wrong).toBe(5 + masked.length);
    await expectRowsEqualTruth(world.database, world.simulator, item.item_id);
    const [gap, ...others] = await gapsOf(world);
    expect(others).toEqual([]);
    expect(gap?.gap).toMatchObject({ changed_resources: ["transactions", "auth"] });
    expect(gap?.gap["wrong_rows"]).toContainEqual({
      table: "transactions",
      key: column,
      difference: "differs",
      columns: ["amount"],
    });
    expect(gap?.info).toMatchObject({ outcome: "synced" });
    const { data } = await listGaps(world.database, { item_id: item.item_id });
    expect(data[0]).toMatchObject({ found_by: "full_check", changed_resources: ["transactions", "auth"] });
    expect(data[0]?.wrong_rows).toEqual(gap?.gap["wrong_rows"]);
    expect(await proven(item)).toMatchObject({ status: "equal", wrong: 0 });
  });
});

describe("of rows that changed at Plaid", () => {
  it("a full check takes what changed at Plaid since the last reading for news and still finds the row that is wrong", async () => {
    const one = await made(30, ["transactions"]);
    world.simulator.control.changeTransactions(one.item_id, { add: 3, modify: 2, remove: 1 });
    const { rows } = await world.database.query<{ id: string }>(
      `update plaid.transactions set iso_currency_code = 'XXX' where ctid = (select ctid from plaid.transactions
        where item_id = $1 order by date desc limit 1) returning transaction_id as id`,
      [one.item_id],
    );
    const state = await proven(one, ["transactions"]);
    expect(outcomes(state)).toMatchObject({ transactions: "differs" });
    expect(state).toMatchObject({ status: "differs", wrong: 1, may_be_new: 6 });
    expect(state.differences.filter(({ may_be_new }) => !may_be_new)).toMatchObject([{ key: rows[0]?.id }]);
    expect(outcomes(await proven(one))).toMatchObject({ transactions: "equal" });
    await expectMirrorEqualsTruth(world.database, world.simulator, one.item_id);
  });

  it("a full check takes changed rows for news where Plaid has fetched from the bank since they were read", async () => {
    const one = await made(5, ["transactions"]);
    await world.database.query(
      `update plaid.accounts set name = 'old', raw = raw || '{"name": "old"}' where item_id = $1`,
      [one.item_id],
    );
    await world.database.query("update sync.cursors set verified_at = verified_at - interval '2 hours' where id = $1", [
      one.item_id,
    ]);
    const state = await proven(one);
    expect(outcomes(state)).toMatchObject({ accounts: "changed", transactions: "equal" });
    expect(state).toMatchObject({ status: "equal", wrong: 0 });
    expect(state.differences[0]).toMatchObject({ table: "accounts", may_be_new: true, columns: [{ column: "name" }] });
  });
});

describe("that cannot end at once", () => {
  it("a full check whose pages have to wait for Plaid's limit ends in a later run and names what both found", async () => {
    const one = await made(1700, ["transactions"]);
    await world.database.query("update plaid.accounts set name = 'wrong' where item_id = $1", [one.item_id]);
    await world.database.query(
      `update plaid.transactions set amount = 0 where ctid in (
        select ctid from plaid.transactions where item_id = $1 order by date limit 2)`,
      [one.item_id],
    );
    await requestFullCheck(world.database, which(one));
    const hour = { retryMs: 3_600_000, retryMaxMs: 3_600_000 };
    await work({ clientFor: refusingAfter(2).clientFor, delays: hour }, false);
    expect(await getFullCheck(world.database, which(one))).toMatchObject({
      status: "running",
      finished_at: null,
      error_code: "TRANSACTIONS_SYNC_LIMIT",
    });
    await world.sync.hurry();
    await world.database.query("delete from sync.rate_limits");
    await work();
    const state = await getFullCheck(world.database, which(one));
    expect(outcomes(state as FullCheckState)).toMatchObject({ accounts: "differs", transactions: "differs" });
    expect(state?.differences.map(({ table }) => table).toSorted()).toContain("transactions");
    expect(state?.differences.filter(({ table }) => table === "transactions")).toHaveLength(2);
    expect(await proven(one)).toMatchObject({ status: "equal", wrong: 0 });
  });

  it("a full check of an item whose user must log in is unproven and says what to do", async () => {
    const one = await made(3, ["transactions"]);
    world.simulator.control.addFault({ kind: "login_required", item_id: one.item_id, count: 20 });
    await requestFullCheck(world.database, which(one));
    await work({}, false);
    const state = (await getFullCheck(world.database, which(one))) as FullCheckState;
    expect(state).toMatchObject({ status: "unproven", error_code: "ITEM_LOGIN_REQUIRED" });
    expect(state.next_step).toContain("update mode");
    expect((await world.sync.subject(one.item_id)).claimed).not.toContain("full_check");
  });

  it("a full check that is requested while a run is under way is made by the next run", async () => {
    const one = await made(3, ["transactions"]);
    await requestFullCheck(world.database, which(one));
    await world.database.query("update sync.full_checks set generation = generation + 1 where item_id = $1", [
      one.item_id,
    ]);
    await work();
    expect(await getFullCheck(world.database, which(one))).toMatchObject({ finished_at: null });
  });
});

describe("after it", () => {
  it("a full check of an item that is unlinked meanwhile is gone with it, and one of an unknown item is refused", async () => {
    const one = await made(3, ["transactions"]);
    await requestFullCheck(world.database, which(one));
    await unlinkItem(world.database, world.integration.id, one.item_id);
    expect(await getFullCheck(world.database, which(one))).toBeNull();
    await expect(requestFullCheck(world.database, which(one))).rejects.toMatchObject({ code: "not_found" });
    await expect(requestFullCheck(world.database, which(item), { resources: ["balances"] })).rejects.toMatchObject({
      code: "not_enabled",
    });
  });

  it("what a full check named of a resource is forgotten when the resource is hidden", async () => {
    await updateIntegration(world.database, world.vault, world.integration.id, { revealed_resources: ["auth"] });
    await work();
    await execute("update plaid.auth_ach set account = 'wrong' where item_id = $1");
    await execute("update plaid.transactions set name = 'wrong' where item_id = $1");
    const { differences } = await proven(item, ["auth", "transactions"]);
    const numbers = differences.filter(({ resource }) => resource === "auth").flatMap(({ columns }) => columns);
    expect(numbers[0]?.plaid).toMatch(/^[0-9]+$/);
    await updateIntegration(world.database, world.vault, world.integration.id, { revealed_resources: [] });
    const left = await getFullCheck(world.database, which(item));
    expect(new Set(left?.differences.map(({ resource }) => resource))).toEqual(new Set(["transactions"]));
    expect(left?.wrong).toBe(differences.length);
  });

  it("what a full check named of data that a user withdrew is deleted with that data, of an item and of an account", async () => {
    const { integrationId, itemId } = which(item);
    const erasures = [
      (tx: Queryable) => forgetReadings(tx, integrationId, itemId),
      (tx: Queryable) => forgetAccount(tx, integrationId, itemId, "acc-1", new Map()),
    ];
    for (const erase of erasures) {
      const undone = world.database.transaction(async (tx) => {
        expect(await getFullCheck(tx, which(item))).not.toBeNull();
        await erase(tx);
        expect(await getFullCheck(tx, which(item))).toBeNull();
        throw new Error("undone");
      });
      await expect(undone).rejects.toThrow("undone");
    }
  });

  it("retention deletes full checks that were requested more than a month ago", async () => {
    await execute("update sync.full_checks set requested_at = now() - interval '31 days' where item_id = $1");
    expect(await pruneRuns(world.database)).toBe(1);
    expect(await getFullCheck(world.database, which(item))).toBeNull();
  });
});
