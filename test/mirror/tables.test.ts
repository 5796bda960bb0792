/** Several tables out of one answer, and keys of several fields, against a simple model. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Changes } from "../../src/mirror/types.ts";
import { unfitValues } from "../../src/mirror/unfit-queries.ts";
import { applyReading } from "../../src/mirror/apply.ts";
import type { Unfit } from "../../src/mirror/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { apply, applyTables, hold, resource, rowsOf } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Ids that would be mistaken for one another if the fields of a key were only put behind each other. */
const id = fc.constantFrom("a", "b", 'a"', 'a", "b', "a,b", "é", "a b", "null");
const position = fc.record({ account_id: id, security_id: id, quantity: fc.nat({ max: 2 }) });
const security = fc.record({ security_id: id, close_price: fc.nat({ max: 2 }) });
const reading = fc.record({
  holdings: fc.array(position, { maxLength: 12 }),
  securities: fc.array(security, { maxLength: 6 }),
});

type Rows = Map<string, unknown>;

function changesOf(before: Rows, after: Rows): Changes {
  const both = [...after.keys()].filter((key) => before.has(key));
  return {
    added: after.size - both.length,
    modified: both.filter((key) => before.get(key) !== after.get(key)).length,
    removed: before.size - both.length,
  };
}

describe("holdings and their securities", () => {
  it("all fields of a key identify the rows of two tables of one answer, for any sequence of answers", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(reading, { minLength: 1, maxLength: 4 }), async (readings) => {
        const scope = hold();
        const known: Record<string, Rows> = { holdings: new Map(), securities: new Map() };
        for (const { holdings, securities } of readings) {
          const now: Record<string, Rows> = {
            holdings: new Map(holdings.map((one) => [JSON.stringify([one.account_id, one.security_id]), one.quantity])),
            securities: new Map(securities.map((one) => [one.security_id, one.close_price])),
          };
          expect(await applyTables(world, scope, "holdings", [JSON.stringify({ holdings, securities })], true)).toEqual(
            {
              holdings: changesOf(known["holdings"] as Rows, now["holdings"] as Rows),
              securities: changesOf(known["securities"] as Rows, now["securities"] as Rows),
            },
          );
          Object.assign(known, now);
          const columns = "account_id, security_id, quantity::int, removed_at";
          const rows = (await rowsOf(world, scope, columns, "plaid.holdings")).filter(
            (row) => row["removed_at"] === null,
          );
          const found = rows.map((row) => [JSON.stringify([row["account_id"], row["security_id"]]), row["quantity"]]);
          expect(new Map(found as [string, unknown][])).toEqual(now["holdings"]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("a row that lacks a field of its key is skipped and reported with its table, and only that table keeps missing rows", async () => {
    const scope = hold();
    const [kept, gone] = [
      { account_id: "a", security_id: "s" },
      { account_id: "b", security_id: "t" },
    ];
    const before = { holdings: [kept, gone], securities: [{ security_id: "s" }, { security_id: "t" }] };
    await apply(world, scope, "holdings", [JSON.stringify(before)], true);
    const unfit: Unfit[] = [];
    const text = JSON.stringify({ holdings: [kept, { account_id: "b" }], securities: [{ security_id: "s" }] });
    const pages = [{ text, rows: true, removals: false }];
    const all = { resource: resource("holdings"), pages, whole: true };
    await expect(world.database.transaction((tx) => applyReading(tx, scope, all))).rejects.toMatchObject({
      code: "23502",
    });
    const applied = await world.database.transaction((tx) => applyReading(tx, scope, all, unfit));
    expect(unfit).toMatchObject([{ resource: "holdings", table: "holdings", field: "security_id", expected: "key" }]);
    expect(applied.get("holdings")?.changes).toEqual({ added: 0, modified: 0, removed: 0 });
    expect(applied.get("securities")?.changes).toEqual({ added: 0, modified: 0, removed: 1 });
    expect(await unfitValues(world.database, scope.integrationId, scope.subjectId)).toMatchObject([
      { resource: "holdings", table: "holdings", field: "security_id", expected: "key", example: "b" },
    ]);
  });
});

it("a field of the same name in two tables of one resource is noted for each of them", async () => {
  const scope = hold();
  const terms = { account_id: "a", last_payment_amount: "much" };
  const text = JSON.stringify({ liabilities: { credit: [terms], mortgage: [terms], student: null } });
  const reading = { resource: resource("liabilities"), pages: [{ text, rows: true, removals: false }], whole: true };
  await world.database.transaction((tx) => applyReading(tx, scope, reading, []));
  expect(await unfitValues(world.database, scope.integrationId, scope.subjectId)).toMatchObject([
    { table: "liabilities_credit", field: "last_payment_amount", example: "a" },
    { table: "liabilities_mortgage", field: "last_payment_amount", example: "a" },
  ]);
});
