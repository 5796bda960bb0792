/** The rows that a run has changed, as events hold them: complete, exact, once, and in bounded parts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { applyReading, removeEverything } from "../../src/mirror/apply.ts";
import { both } from "../../src/mirror/changes.ts";
import { KEYS_MAX } from "../../src/mirror/queries.ts";
import type { Applied, Scope } from "../../src/mirror/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { appliedTo, changedRows, hold, page, resource, txn } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

interface Part {
  run_id: string;
  part: number;
  parts: number;
  counts: Applied["changes"];
  added: Record<string, unknown>[];
  modified: Record<string, unknown>[];
  removed: Record<string, unknown>[];
}

/** Applies one page of each text in one run; gives the texts of the parts. */
async function tell(scope: Scope, texts: string[], { gone = false } = {}): Promise<string[]> {
  return await world.database.transaction(async (tx) => {
    const reads: Applied[] = [];
    for (const text of texts) {
      const pages = [{ text, rows: true, removals: true }];
      const reading = { resource: resource("transactions"), pages, whole: false };
      reads.push(appliedTo("transactions", await applyReading(tx, scope, reading)));
    }
    if (gone) reads.push(appliedTo("transactions", await removeEverything(tx, scope, resource("transactions"))));
    const rows = await changedRows(tx, scope, "transactions", reads.reduce(both));
    expect(rows.map(({ part }) => part)).toEqual(rows.map((_, index) => index + 1));
    return rows.map(({ data }) => data);
  });
}

const parse = (texts: readonly string[]): Part[] => texts.map((text) => JSON.parse(text) as Part);
const ids = (rows: Record<string, unknown>[]) => rows.map((row) => row["transaction_id"]).toSorted();
const many = (count: number, more: Record<string, unknown> = {}) =>
  Array.from({ length: count }, (_, n) => txn(`t${n}`, more));

describe("changed rows", () => {
  it("changed rows have every digit that Plaid sent", async () => {
    const scope = hold();
    const numbers = ["12345678901234567.89", "0.1", "1.10", "-0.00", "0.30000000000000004", "4503599627370497.5"];
    const added = numbers.map((amount, n) => `{"transaction_id":"t${n}","amount":${amount}}`).join(",");
    const [text = ""] = await tell(scope, [`{"added":[${added}],"modified":[],"removed":[]}`]);
    for (const [n, amount] of numbers.entries()) {
      expect(text).toMatch(
        new RegExp(`"amount": ${amount.replace("-", "").replace(".", "[.]")}, "transaction_id": "t${n}"`),
      );
    }
  });

  it("the changed rows of a run are those that differ before and after it, however often its pages mention them", async () => {
    const scope = hold();
    await tell(scope, [page([txn("kept"), txn("gone", { name: "last known" }), txn("back"), txn("was")])]);
    await tell(scope, [page([], [], ["was"])]);
    const [part] = parse(
      await tell(scope, [
        page([txn("new"), txn("fleeting")], [txn("kept", { name: "changed" })]),
        page([txn("was", { name: "again" })], [], ["gone", "fleeting", "back"]),
        page([txn("back", { name: "returned" })], [txn("new", { name: "last word" })]),
      ]),
    );
    expect(part).toMatchObject({ run_id: "run", part: 1, parts: 1, counts: { added: 2, modified: 2, removed: 1 } });
    expect(part && [ids(part.added), ids(part.modified), ids(part.removed)]).toEqual([
      ["new", "was"],
      ["back", "kept"],
      ["gone"],
    ]);
    expect(part?.added.find((row) => row["transaction_id"] === "new")).toEqual(txn("new", { name: "last word" }));
    expect(part?.removed).toEqual([txn("gone", { name: "last known" })]);
  });

  it("a run that changes nothing has no changed rows, and a row that came and went is none", async () => {
    const scope = hold();
    await tell(scope, [page([txn("a")])]);
    expect(await tell(scope, [page([txn("a")])])).toEqual([]);
    expect(await tell(scope, [page([txn("b")]), page([], [], ["b"])])).toEqual([]);
    expect(await tell(scope, [page([txn("c")])], { gone: true })).toMatchObject([
      expect.stringContaining('"counts":{"added":0,"modified":0,"removed":1}'),
    ]);
  });

  it("the changed rows of a run are its own item's only", async () => {
    const [one, two] = [hold(), hold()];
    await world.database.transaction(async (tx) => {
      for (const scope of [one, two]) {
        const pages = [{ text: page([txn("t", { of: scope.subjectId })]), rows: true, removals: false }];
        const reading = { resource: resource("transactions"), pages, whole: false };
        const applied = appliedTo("transactions", await applyReading(tx, scope, reading));
        for (const keys of [applied.keys, null]) {
          const [row] = await changedRows(tx, scope, "transactions", { ...applied, keys });
          expect(parse([row?.data ?? ""])[0]?.added).toEqual([txn("t", { of: scope.subjectId })]);
        }
      }
    });
  });
});

describe("parts", () => {
  it("the parts of an event hold a hundred rows at most, and each row is in one part", async () => {
    const scope = hold();
    const parts = parse(await tell(scope, [page(many(KEYS_MAX + 250))]));
    expect(parts.map((each) => each.added.length)).toEqual([...Array.from({ length: 22 }, () => 100), 50]);
    expect(new Set(parts.flatMap(({ added }) => ids(added))).size).toBe(KEYS_MAX + 250);
    expect(new Set(parts.map((each) => each.parts))).toEqual(new Set([23]));
    for (const { counts } of parts) expect(counts).toEqual({ added: KEYS_MAX + 250, modified: 0, removed: 0 });
  });

  it("the parts of an event hold about 80 kB, even if rows compress well, and a larger row ends its part", async () => {
    const scope = hold();
    const rows = [...many(60, { text: "x".repeat(5000) }), txn("vast", { text: "y".repeat(300_000) })];
    const texts = await tell(scope, [page(rows)]);
    expect(parse(texts).reduce((sum, { added }) => sum + added.length, 0)).toBe(61);
    const sizes = texts.map((text) => Buffer.byteLength(text)).toSorted((a, b) => a - b);
    expect(sizes.at(-1)).toBeLessThan(300_000 + 80_000);
    expect(Math.max(...sizes.slice(0, -1))).toBeLessThan(90_000);
    expect(texts.length).toBeLessThan(8);
  });

  it("the parts of an event hold added, modified and removed rows side by side", async () => {
    const scope = hold();
    await tell(scope, [page(many(150))]);
    const parts = parse(
      await tell(scope, [
        page(
          Array.from({ length: 60 }, (_, n) => txn(`n${n}`)),
          many(70, { name: "changed" }),
          many(150)
            .slice(70)
            .map(({ transaction_id }) => transaction_id),
        ),
      ]),
    );
    const sum = (change: "added" | "modified" | "removed") =>
      parts.reduce((total, part) => total + part[change].length, 0);
    expect([sum("added"), sum("modified"), sum("removed"), parts.length]).toEqual([60, 70, 80, 3]);
  });
});
