/** Which resources an item has, and how a run learns of it. */
import { describe, expect, it } from "vitest";
import { resourcesOf } from "../../src/resources/index.ts";
import type { Absence } from "../../src/sync/cursor-queries.ts";
import { learnAbsences } from "../../src/sync/products.ts";
import type { Failure, Outcome, Task } from "../../src/sync/types.ts";

const [root, , transactions] = resourcesOf("item").map((resource): Task => ({
  resource,
  full: false,
  explicit: false,
})) as [Task, Task, Task];
const read = (task: Task, row: Record<string, unknown> | null = null): Outcome => ({
  task,
  read: { resource: task.resource, pages: [], whole: true },
  cursor: null,
  root: row,
  complete: true,
});
const failed = (task: Task, kind: Failure["class"], errorCode = "CODE"): Outcome => ({
  task,
  failure: { class: kind, errorType: "TYPE", errorCode, message: "m" },
});
/** What it learns of one of the resources that need a product. */
const learned = (outcomes: Outcome[], was: Absence | null = null, complete = true) =>
  [...learnAbsences("item", outcomes, new Map([["transactions", { absent: was, complete }]]))].filter(
    ([name]) => name === "transactions",
  );

describe("a run learns that an item", () => {
  it("a run learns that an item lacks a resource when the item does not list its product, even where the run did not ask for the resource", () => {
    expect(learned([read(root, { products: ["auth"] })])).toEqual([["transactions", "not_listed"]]);
    expect(learned([{ task: transactions, skipped: true }])).toEqual([["transactions", "not_listed"]]);
    expect(learned([read(root, { products: ["auth"] })], "not_listed")).toEqual([]);
  });

  it("a run learns that an item has the resource again when it lists the product, unless Plaid refused the resource itself", () => {
    const lists = read(root, { products: ["auth"], billed_products: ["transactions"] });
    expect(learned([lists], "not_listed")).toEqual([["transactions", null]]);
    expect(learned([lists], "refused")).toEqual([]);
  });

  it("a run learns that an item lacks a resource that Plaid refuses for the lack of its product, and no other failure says so", () => {
    expect(learned([failed(transactions, "product_unavailable")])).toEqual([["transactions", "refused"]]);
    expect(learned([failed(transactions, "backoff")])).toEqual([]);
    expect(learned([failed(root, "backoff")], "not_listed")).toEqual([]);
  });

  it("what Plaid made and no longer shows is not absent where it was read, and refused where it never was", () => {
    const expired = failed(transactions, "product_unavailable", "CONSUMER_REPORT_EXPIRED");
    expect(learned([expired])).toEqual([]);
    expect(learned([expired], null, false)).toEqual([["transactions", "refused"]]);
  });

  it("a run learns nothing about products from a row without lists or about a resource that was read", () => {
    expect(learned([read(root, {})], "not_listed")).toEqual([]);
    expect(learned([read(root, { products: ["auth"] }), read(transactions)])).toEqual([]);
  });
});
