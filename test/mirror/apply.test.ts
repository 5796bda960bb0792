/** Pages against tables: what is written, what is counted, and that no digit is lost. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countCurrent } from "../../src/mirror/apply.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { apply, hold, page, resource, rowsOf, txn } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

describe("numbers", () => {
  it("numbers are mirrored with every digit that Plaid sent", async () => {
    const scope = hold();
    const amounts = [
      "0.1",
      "0.30000000000000004",
      "12345678901234567890.123456789",
      "-0.00",
      "1e-7",
      "1E+3",
      "4503599627370497.5",
    ];
    const added = amounts.map((amount, n) => `{"transaction_id":"t${n}","amount":${amount}}`).join(",");
    await apply(world, scope, "transactions", [`{"added":[${added}],"modified":[],"removed":[]}`]);
    expect((await rowsOf(world, scope, "transaction_id, amount")).map((row) => row["amount"])).toEqual([
      "0.1",
      "0.30000000000000004",
      "12345678901234567890.123456789",
      "0.00",
      "0.0000001",
      "1000",
      "4503599627370497.5",
    ]);
  });

  it("mirrored numbers add up as decimals", async () => {
    const scope = hold();
    await apply(world, scope, "transactions", [
      '{"added":[{"transaction_id":"a","amount":0.1},{"transaction_id":"b","amount":0.2}],"modified":[],"removed":[]}',
    ]);
    expect(await rowsOf(world, scope, "sum(amount) as sum")).toEqual([{ sum: "0.3" }]);
  });
});

describe("columns", () => {
  it("columns are read by their paths, and an absent value is null", async () => {
    const scope = hold();
    const full = txn("t", {
      date: "2026-02-28",
      datetime: "2026-02-28T23:59:59.123Z",
      pending: false,
      personal_finance_category: { primary: "FOOD", detailed: "FOOD_PIZZA" },
      merchant_name: 'L\'Ami "Jean" \\ 🍕',
    });
    await apply(world, scope, "transactions", [
      page([full, txn("u", { personal_finance_category: null, date: null })]),
    ]);
    const [first, second] = await rowsOf(
      world,
      scope,
      "transaction_id, date, datetime, pending, merchant_name, personal_finance_category_primary as p, personal_finance_category_detailed as d, personal_finance_category_confidence_level as c, raw",
    );
    expect(first).toMatchObject({
      date: "2026-02-28",
      datetime: new Date("2026-02-28T23:59:59.123Z"),
      pending: false,
      merchant_name: 'L\'Ami "Jean" \\ 🍕',
      p: "FOOD",
      d: "FOOD_PIZZA",
      c: null,
      raw: full,
    });
    expect(second).toMatchObject({ date: null, datetime: null, pending: null, p: null });
  });

  it("the columns of an item hold its lists, its error, its status and its user", async () => {
    const scope = hold();
    const answer = {
      item: {
        item_id: scope.subjectId,
        error: { error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" },
        products: ["transactions", "au,th"],
        available_products: [],
        consented_products: null,
      },
      status: { last_webhook: { code_sent: "ERROR", sent_at: "2026-01-01T00:00:00Z" } },
      request_id: "changes each time",
    };
    expect(await apply(world, scope, "items", [JSON.stringify(answer)], true)).toEqual({
      added: 1,
      modified: 0,
      removed: 0,
    });
    const [row] = await rowsOf(world, scope, "*", "plaid.items");
    expect(row).toMatchObject({
      user_id: "user_1",
      products: ["transactions", "au,th"],
      available_products: [],
      consented_products: null,
      billed_products: null,
      error_code: "ITEM_LOGIN_REQUIRED",
      error: { error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" },
      status_last_webhook_code_sent: "ERROR",
      raw: { ...answer.item, status: answer.status },
    });
    const again = JSON.stringify({ ...answer, request_id: "another" });
    expect(await apply(world, scope, "items", [again], true)).toEqual({ added: 0, modified: 0, removed: 0 });
    scope.facts.user_id = "user_2";
    expect(await apply(world, scope, "items", [again], true)).toEqual({ added: 0, modified: 1, removed: 0 });
    const healed = JSON.stringify({ ...answer, item: { ...answer.item, error: null } });
    await apply(world, scope, "items", [healed], true);
    expect((await rowsOf(world, scope, "error, error_code, user_id", "plaid.items"))[0]).toEqual({
      error: null,
      error_code: null,
      user_id: "user_2",
    });
  });
});

describe("a snapshot", () => {
  it("a snapshot removes rows that it lacks and restores rows that return", async () => {
    const scope = hold();
    const answer = (...ids: string[]) =>
      JSON.stringify({ accounts: ids.map((account_id) => ({ account_id, balances: { current: 1.5 } })) });
    expect(await apply(world, scope, "accounts", [answer("a", "b", "c")], true)).toEqual({
      added: 3,
      modified: 0,
      removed: 0,
    });
    expect(await apply(world, scope, "accounts", [answer("a", "c")], true)).toEqual({
      added: 0,
      modified: 0,
      removed: 1,
    });
    expect(await apply(world, scope, "accounts", [answer("a", "c")], true)).toEqual({
      added: 0,
      modified: 0,
      removed: 0,
    });
    expect(await apply(world, scope, "accounts", [answer("b")], true)).toEqual({ added: 1, modified: 0, removed: 2 });
    expect(await apply(world, scope, "accounts", [answer()], true)).toEqual({ added: 0, modified: 0, removed: 1 });
    expect(await countCurrent(world.database, scope, resource("accounts"))).toBe(0);
  });
});

describe("a loop's pages", () => {
  it("a pending transaction is posted although its removal and its successor are on different pages, in either order", async () => {
    for (const pages of [
      [page([], [], ["pending"]), page([txn("posted", { pending_transaction_id: "pending" })])],
      [page([txn("posted", { pending_transaction_id: "pending" })]), page([], [], ["pending"])],
    ]) {
      const scope = hold();
      await apply(world, scope, "transactions", [page([txn("pending", { pending: true })])]);
      expect(await apply(world, scope, "transactions", pages)).toEqual({ added: 1, modified: 0, removed: 1 });
      expect(await rowsOf(world, scope, "transaction_id, removed_at is null as current")).toEqual([
        { transaction_id: "pending", current: false },
        { transaction_id: "posted", current: true },
      ]);
    }
  });

  it("the last page that mentions a row decides its content, as added or modified", async () => {
    const scope = hold();
    const changes = await apply(world, scope, "transactions", [
      page([txn("t", { name: "one" })], [txn("t", { name: "two" })]),
      page([txn("t", { name: "three" })]),
      page([], [txn("t", { name: "four" })]),
    ]);
    expect(changes).toEqual({ added: 1, modified: 0, removed: 0 });
    expect(await rowsOf(world, scope, "name")).toEqual([{ name: "four" }]);
  });

  it("a page may remove a row that never existed", async () => {
    const scope = hold();
    expect(await apply(world, scope, "transactions", [page([], [], ["ghost", "ghost"])])).toEqual({
      added: 0,
      modified: 0,
      removed: 0,
    });
  });

  it("a loop's pages change nothing of another item or integration, even with the same ids", async () => {
    const [one, two] = [hold(), hold()];
    await apply(world, one, "transactions", [page([txn("t", { name: "one" })])]);
    await apply(world, two, "transactions", [page([txn("t", { name: "two" })])]);
    await apply(world, two, "transactions", [page([], [], ["t"])]);
    await apply(world, { ...one, integrationId: "svi_other" }, "transactions", [page([])], true);
    expect(await rowsOf(world, one, "name, removed_at")).toEqual([{ name: "one", removed_at: null }]);
  });

  it("rows that are sent again unchanged are not written", async () => {
    const scope = hold();
    await apply(world, scope, "transactions", [page([txn("t"), txn("u")])]);
    const before = await rowsOf(world, scope, "transaction_id, xmin::text, changed_at");
    expect(await apply(world, scope, "transactions", [page([txn("t")], [txn("u")])])).toEqual({
      added: 0,
      modified: 0,
      removed: 0,
    });
    expect(await rowsOf(world, scope, "transaction_id, xmin::text, changed_at")).toEqual(before);
  });
});
