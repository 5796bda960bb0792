/** Comparisons of a check: instants of Plaid's, which are whole seconds, with readings of ours, which are not. */
import { expect, test } from "vitest";
import { resourcesOf } from "../../src/resources/index.ts";
import { staleResources } from "../../src/sync/compare.ts";

const UPDATED = "2026-03-07T12:00:00Z";

/** Names of the stale resources after a reading `readMs` after Plaid's update, which an earlier check has `seen` or not. */
function stale({ readMs, seen }: { readMs: number | null; seen: boolean }): string[] {
  const verifiedAt = readMs === null ? null : new Date(Date.parse(UPDATED) + readMs);
  const reading = { verifiedAt, readWith: "" };
  const readings = new Map(["items", "accounts", "transactions"].map((name) => [name, reading]));
  const known = { row: null, readings, seen: seen ? { updates: { transactions: UPDATED } } : {} };
  return staleResources(resourcesOf("item"), known, { transactions: UPDATED }).toSorted();
}

const BOTH = ["accounts", "transactions"];

test("an update that no check has seen makes earlier readings stale, and readings that are so soon after it that clocks may differ", () => {
  expect(stale({ readMs: -60_000, seen: false })).toEqual(BOTH);
  expect(stale({ readMs: 20_000, seen: false })).toEqual(BOTH);
  expect(stale({ readMs: 40_000, seen: false })).toEqual([]);
});

test("an update that a check has seen still makes readings of its second stale, since another update may have followed in it", () => {
  expect(stale({ readMs: 500, seen: true })).toEqual(BOTH);
  expect(stale({ readMs: -500, seen: true })).toEqual(BOTH);
  expect(stale({ readMs: 3000, seen: true })).toEqual([]);
});

test("a resource that was never read to its end is stale as soon as Plaid names an update", () => {
  expect(stale({ readMs: null, seen: true })).toEqual(BOTH);
});

test("a resource of which Plaid never says when it was updated is stale at every check, where the item has it", () => {
  const reading = { verifiedAt: new Date(), readWith: "" };
  const resources = resourcesOf("item");
  const never = resources.filter(({ updatedWith }) => updatedWith === "unknown").map(({ name }) => name);
  expect(never).toContain("liabilities");
  const all = new Map(resources.map(({ name }) => [name, reading]));
  expect(staleResources(resources, { row: null, readings: all, seen: {} }, {})).toEqual(never);
  expect(staleResources(resources, { row: null, readings: new Map(), seen: {} }, {})).toEqual([]);
});
