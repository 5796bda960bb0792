/** Values of Plaid's that do not fit their columns: null there, whole in raw, noted once, and in nobody's way. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { applyReading } from "../../src/mirror/apply.ts";
import { forgetItem, purgeIntegration } from "../../src/mirror/forget.ts";
import type { Scope, Unfit } from "../../src/mirror/types.ts";
import { nameOf, tablesOf } from "../../src/mirror/rows.ts";
import { unfitValues } from "../../src/mirror/unfit-queries.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { isMaskedIn } from "../support/masking.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { appliedTo, hold, resource, rowsOf } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Applies one page in a transaction; carefully where a list is given. */
async function apply(scope: Scope, of: Resource, text: string, unfit: Unfit[] | null = null, whole = false) {
  const pages = [{ text, rows: true, removals: false }];
  return await world.database.transaction((tx) => applyReading(tx, scope, { resource: of, pages, whole }, unfit));
}

/** The usual way and, where that fails, the careful one, as a run does it. */
async function applyEither(scope: Scope, of: Resource, text: string): Promise<Unfit[]> {
  const unfit: Unfit[] = [];
  try {
    await apply(scope, of, text);
  } catch (error) {
    expect((error as { code?: string }).code).toMatch(/^(22...|23502|54000)$/);
    await apply(scope, of, text, unfit);
  }
  return unfit;
}

const ODD = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "NaN",
    "Infinity",
    "-infinity",
    "now",
    "today",
    "tomorrow",
    "epoch",
    "2026-02-30",
    "2026-13-01",
    "2026-01-02",
    "2026-01-02T03:04:05Z",
    "2026-01-02T25:00:00Z",
    "99999-01-01",
    "999999999-01-01",
    "0000-00-00",
    "01/02/2026",
    "20260102",
    20_260_102,
    "12.5",
    12.5,
    1e300,
    true,
    "true",
    "t",
    1,
    0,
    [],
    ["a", 1, null],
    [[1]],
    {},
    { a: 1 },
    "{",
    "[x]",
    "x".repeat(3000),
  ),
  fc.jsonValue(),
);
const isDate = (value: unknown): boolean =>
  typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value) && !Number.isNaN(Date.parse(value.slice(0, 10)));

const enclose = (inner: Record<string, unknown>, step: string): Record<string, unknown> =>
  step.endsWith("[]") ? { [step.slice(0, -2)]: [inner] } : { [step]: inner };

describe("a value of any kind", () => {
  for (const mirrored of resourcesOf("item").flatMap(tablesOf)) {
    const { resource: of, table } = mirrored;
    // A masked value is another than Plaid's; test/mirror has tests of masks.
    const fixed = table.rows.flatMap((at) => Object.keys(at.fixed ?? {}));
    const columns = table.columns.filter(({ name, path }) => !isMaskedIn(table, path) && !fixed.includes(name));
    if (columns.length === 0) continue;
    const { at: place = "", with: joined = [], numbered = "" } = table.rows[0] ?? {};
    it(`any value in a column of ${table.name} is stored, or is null and reported, stays whole in raw, and stops nothing`, async () => {
      const field = fc.constantFrom(...columns);
      await fc.assert(
        fc.asyncProperty(field, ODD, async (column, value) => {
          const scope = hold();
          const isRoot = table.key.length === 0;
          const key = table.key.filter((each) => each !== numbered);
          const element: Record<string, unknown> = Object.fromEntries(key.map((each) => [each, "k"]));
          let at = element;
          for (const step of column.path.slice(0, -1)) at = at[step] = {};
          at[column.path.at(-1) ?? ""] = value;
          // JSON.stringify of what was parsed: what jsonb and JavaScript say alike
          const sent = JSON.parse(JSON.stringify(element).replaceAll("\\u0000", "")) as Record<string, unknown>;
          const [last = "", ...around] = place.split(".").toReversed();
          // What is joined to a row stands around it.
          const inner = Object.fromEntries(Object.entries(sent).filter(([name]) => !joined.includes(name)));
          const outer = Object.fromEntries(joined.map((name) => [name, sent[name]]));
          const within: Record<string, unknown> = {
            modified: [],
            removed: [],
            ...outer,
            [last]: isRoot ? inner : [inner],
          };
          const text = JSON.stringify(around.reduce(enclose, within));
          if (/\\u(?:d[89a-f]|0000)/i.test(text)) return;
          const unfit = await applyEither(scope, of, text);
          const [row] = await rowsOf(
            world,
            scope,
            `"${column.name}" as value, "${column.name}"::text as text, raw`,
            nameOf(mirrored),
          );
          expect(row?.["raw"]).toMatchObject(sent);
          const noted = unfit.filter((each) => each.table === table.name).map(({ field }) => field);
          // Fields of `error` have columns of their own, so what stands there may not fit although jsonb holds anything.
          if (column.type === "jsonb") return;
          const mayFit = value === null || row?.["value"] !== null;
          expect(noted, JSON.stringify([column.name, value])).toEqual(mayFit ? [] : [column.path.join(".")]);
          if (column.type === "date" || column.type === "timestamptz")
            expect(row?.["value"] === null || isDate(value), JSON.stringify([value, row])).toBe(true);
          if (column.type === "numeric") expect(row?.["value"] === null || typeof value === "number").toBe(true);
          if (column.type === "boolean" && row?.["value"] !== null) expect(row?.["value"]).toBe(value);
          if (column.type === "text" && typeof value === "string" && row?.["value"] !== null)
            expect(row?.["value"]).toBe(JSON.parse(JSON.stringify(value).replaceAll("\\u0000", "")));
        }),
        // There are dozens of tables, and what values do depends on their types alone.
        { numRuns: 60 },
      );
    });
  }
});

describe("what does not fit", () => {
  const transactions = (...added: unknown[]) => JSON.stringify({ added, modified: [], removed: [] });

  it("an unfit value leaves the other rows and columns as they are, and is reported once for each item and field", async () => {
    const scope = hold();
    const page = transactions(
      { transaction_id: "a", amount: 1.5, date: "2026-01-32", name: "A" },
      { transaction_id: "b", amount: "NaN", date: "2026-01-31", name: { not: "text" } },
      { transaction_id: "c", amount: 3, date: "2026-01-30", personal_finance_category: "FOOD" },
    );
    const first: Unfit[] = [];
    await apply(scope, resource("transactions"), page, first);
    expect(first.map(({ field, found, new: isNew }) => [field, found, isNew]).toSorted()).toEqual([
      ["amount", "string", true],
      ["date", "string", true],
      ["name", "object", true],
      ["personal_finance_category", "string", true],
    ]);
    expect(await rowsOf(world, scope, "transaction_id, amount, date, name")).toEqual([
      { transaction_id: "a", amount: "1.5", date: null, name: "A" },
      { transaction_id: "b", amount: null, date: "2026-01-31", name: null },
      { transaction_id: "c", amount: "3", date: "2026-01-30", name: null },
    ]);
    const again: Unfit[] = [];
    await apply(scope, resource("transactions"), transactions({ transaction_id: "d", date: "soon" }), again);
    expect(again.map(({ field, new: isNew }) => [field, isNew])).toEqual([["date", false]]);
    const noted = await unfitValues(world.database, scope.integrationId, scope.subjectId);
    expect(noted).toHaveLength(4);
    expect(noted.find(({ field }) => field === "date")).toMatchObject({
      resource: "transactions",
      expected: "date",
      found: "string",
      example: "d",
      rows: 1,
    });
    expect(JSON.stringify(noted)).not.toContain("soon");
  });

  it("a row without its key is skipped and reported, and no row is removed by that reading", async () => {
    const scope = hold();
    const accounts = (...rows: unknown[]) => JSON.stringify({ accounts: rows });
    await apply(scope, resource("accounts"), accounts({ account_id: "a" }, { account_id: "b" }), null, true);
    const unfit: Unfit[] = [];
    const odd = [{ name: "no key" }, { account_id: null }, { account_id: {} }, { account_id: "" }, "text", 7, null];
    const applied = await apply(
      scope,
      resource("accounts"),
      accounts({ account_id: "a", name: "A" }, ...odd, { account_id: "x".repeat(5000) }),
      unfit,
      true,
    );
    expect(appliedTo("accounts", applied).changes).toEqual({ added: 0, modified: 1, removed: 0 });
    expect(unfit).toMatchObject([{ field: "account_id", expected: "key", new: true }]);
    expect(await rowsOf(world, scope, "account_id, name, removed_at", "plaid.accounts")).toEqual([
      { account_id: "a", name: "A", removed_at: null },
      { account_id: "b", name: null, removed_at: null },
    ]);
    for (const one of odd)
      await expect(apply(scope, resource("accounts"), accounts(one)), JSON.stringify(one)).rejects.toThrow();
  });

  it("a number that Plaid writes as text is a number to the last digit, and any other value there is null and reported", async () => {
    const scope = { ...hold(), integrationId: "svi_ledger", kind: "transfer_ledger", subjectId: "all" };
    const ledger = resourcesOf("transfer_ledger")[0] as Resource;
    const numbers = ["12.34", "0.10", "-5", null, 7.5];
    const others = ["", "NaN", "1e3", " 1", "1.", "9".repeat(200_000), true, {}];
    const text = (amounts: readonly unknown[]) =>
      JSON.stringify({ transfer_events: amounts.map((transfer_amount, n) => ({ event_id: n + 1, transfer_amount })) });
    const amounts = async () => {
      const { rows } = await world.database.query<{ amount: string | null }>(
        "select transfer_amount::text as amount from plaid.transfer_events where integration_id = $1 order by event_id::int",
        [scope.integrationId],
      );
      return rows.map(({ amount }) => amount);
    };
    await apply(scope, ledger, text(numbers));
    const stored = ["12.34", "0.10", "-5", null, "7.5"];
    expect(await amounts()).toEqual(stored);
    for (const other of others) {
      await expect(apply(scope, ledger, text([other])), JSON.stringify(other).slice(0, 20)).rejects.toThrow();
    }
    const unfit: Unfit[] = [];
    await apply(scope, ledger, text([...numbers, ...others]), unfit);
    expect(await amounts()).toEqual([...stored, ...others.map(() => null)]);
    expect(unfit).toMatchObject([{ field: "transfer_amount", expected: "decimal", new: true }]);
  });

  it.each([
    ["item", ({ integrationId, subjectId }: Scope) => forgetItem(world.database, integrationId, subjectId), 1],
    ["integration", ({ integrationId }: Scope) => purgeIntegration(world.database, integrationId), 0],
  ])("what does not fit goes with its %s, and no other does", async (_, forget, left) => {
    const [scope, other, foreign] = [hold(), hold(), { ...hold(), integrationId: "svi_more" }];
    for (const each of [scope, other, foreign]) {
      await apply(each, resource("transactions"), transactions({ transaction_id: "a", date: "soon" }), []);
    }
    await forget(scope);
    const noted = ({ integrationId, subjectId }: Scope) => unfitValues(world.database, integrationId, subjectId);
    expect(await noted(scope)).toEqual([]);
    expect(await noted(other)).toHaveLength(left);
    expect(await noted(foreign)).toHaveLength(1);
  });
});
