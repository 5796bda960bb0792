/** The matcher: what each operator says, of values, of what is missing and of arrays; and what is refused. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../../src/errors.ts";
import { compileMatcher } from "../../../src/relay/routing/matcher.ts";

const matches = (matcher: unknown, value: unknown): boolean => compileMatcher(matcher)(value);

function faultsOf(matcher: unknown): Record<string, string> {
  try {
    compileMatcher(matcher);
  } catch (error) {
    if (error instanceof TartanError && error.code === "invalid_request") return error.fields ?? {};
    throw error;
  }
  return {};
}

/** matcher, a value that it takes, one that it does not */
const OPERATORS: [string, unknown, unknown, unknown][] = [
  ["a value alone is equality", { a: "x" }, { a: "x" }, { a: "y" }],
  ["$eq", { a: { $eq: 1 } }, { a: 1 }, { a: "1" }],
  ["$eq null", { a: null }, { a: null }, {}],
  ["$ne", { a: { $ne: 1 } }, { a: 2 }, { a: 1 }],
  ["$ne of what is missing", { a: { $ne: 1 } }, {}, { a: 1 }],
  ["$gt", { a: { $gt: 1 } }, { a: 1.5 }, { a: 1 }],
  ["$gte", { a: { $gte: 1 } }, { a: 1 }, { a: 0 }],
  ["$lt", { a: { $lt: 1 } }, { a: -2 }, { a: 1 }],
  ["$lte", { a: { $lte: 1 } }, { a: 1 }, { a: 2 }],
  ["texts have an order", { a: { $gte: "2026-11-20" } }, { a: "2026-11-21T00:00:00Z" }, { a: "2026-11-19" }],
  ["a number and a text have none", { a: { $gt: 1 } }, { a: 2 }, { a: "2" }],
  ["what is missing has none", { a: { $lt: 1 } }, { a: 0 }, {}],
  ["null has none", { a: { $lte: 1 } }, { a: 1 }, { a: null }],
  ["$in", { a: { $in: ["x", 2, null] } }, { a: null }, { a: "y" }],
  ["$nin", { a: { $nin: ["x", 2] } }, { a: "y" }, { a: 2 }],
  ["$exists", { a: { $exists: true } }, { a: null }, {}],
  ["$exists false", { a: { $exists: false } }, {}, { a: null }],
  ["$startsWith", { a: { $startsWith: "ITEM_" } }, { a: "ITEM_LOCKED" }, { a: "X_ITEM_" }],
  ["$endsWith", { a: { $endsWith: "_UPDATE" } }, { a: "DEFAULT_UPDATE" }, { a: "UPDATE" }],
  ["$contains", { a: { $contains: "LOGIN" } }, { a: "ITEM_LOGIN_REQUIRED" }, { a: ["LOCKED"] }],
  ["several operators must all hold", { a: { $gt: 1, $lt: 3 } }, { a: 2 }, { a: 4 }],
  ["all keys must hold", { a: 1, b: 2 }, { a: 1, b: 2 }, { a: 1, b: 3 }],
  ["a dotted path", { "a.b.c": 1 }, { a: { b: { c: 1 } } }, { a: { b: { c: 2 } } }],
  ["a matcher within", { a: { b: { $gt: 1 }, c: 2 } }, { a: { b: 2, c: 2 } }, { a: { b: 2, c: 3 } }],
  ["$and", { $and: [{ a: 1 }, { b: 2 }] }, { a: 1, b: 2 }, { a: 1 }],
  ["$or", { $or: [{ a: 1 }, { b: 2 }] }, { b: 2 }, { a: 2, b: 1 }],
  ["$or of what is there", { a: { $or: [{ $lt: 0 }, { $exists: false }] } }, {}, { a: 1 }],
  ["$not", { $not: { a: 1 } }, { a: 2 }, { a: 1 }],
  ["$not of operators", { a: { $not: { $gt: 1 } } }, {}, { a: 2 }],
  ["an empty matcher takes what is an object", {}, { a: 1 }, undefined],
];

test.for(OPERATORS.filter(([name]) => !name.startsWith("an empty")))("%s", ([, matcher, taken, left]) => {
  expect(matches(matcher, taken)).toBe(true);
  expect(matches(matcher, left)).toBe(false);
});

test("an empty matcher takes every payload, even one that is not JSON", () => {
  for (const value of [{}, [], "text", 1, null, undefined]) expect(matches({}, value)).toBe(true);
});

describe("arrays", () => {
  const added = {
    added: [
      { amount: 5, pending: true },
      { amount: 500, pending: false },
      { amount: 900, pending: true },
    ],
  };

  test("a path that meets an array matches when one element does", () => {
    expect(matches({ "added.amount": { $gt: 800 } }, added)).toBe(true);
    expect(matches({ "added.amount": { $gt: 901 } }, added)).toBe(false);
    expect(matches({ products: "auth" }, { products: ["transactions", "auth"] })).toBe(true);
    expect(matches({ products: { $in: ["auth"] } }, { products: [["transactions", ["auth"]]] })).toBe(true);
  });

  test("a matcher for elements must match one single element", () => {
    expect(matches({ added: { amount: { $gt: 400 }, pending: false } }, added)).toBe(true);
    expect(matches({ added: { amount: { $gt: 600 }, pending: false } }, added)).toBe(false);
    expect(matches({ added: { amount: { $gt: 600 }, $not: { pending: true } } }, added)).toBe(false);
    expect(matches({ added: { amount: { $gt: 400 }, $or: [{ pending: false }, { x: 1 }] } }, added)).toBe(true);
  });

  test("$ne, $nin and $not require that no element matches", () => {
    expect(matches({ tags: { $ne: "x" } }, { tags: ["x", "y"] })).toBe(false);
    expect(matches({ tags: { $ne: "x" } }, { tags: ["y", "z"] })).toBe(true);
    expect(matches({ tags: { $nin: ["x"] } }, { tags: ["x", "y"] })).toBe(false);
    expect(matches({ tags: { $not: { $startsWith: "x" } } }, { tags: ["y", "xy"] })).toBe(false);
    expect(matches({ $not: { "added.amount": { $gt: 800 } } }, added)).toBe(false);
  });

  test("an empty array exists and has no element that matches", () => {
    expect(matches({ added: { $exists: true } }, { added: [] })).toBe(true);
    expect(matches({ added: { pending: { $ne: true } } }, { added: [] })).toBe(false);
    expect(matches({ "added.pending": { $exists: false } }, { added: [] })).toBe(true);
  });
});

test("only an object's own members are compared", () => {
  for (const path of ["constructor", "toString", "__proto__", "a.length", "a.0", "__proto__.polluted"]) {
    expect(matches({ [path]: { $exists: true } }, { a: ["x"] })).toBe(false);
  }
  expect(matches(JSON.parse('{"__proto__": 1}'), JSON.parse('{"__proto__": 1}'))).toBe(true);
});

describe("an invalid matcher is refused", () => {
  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });
  const TABLE: [string, unknown, string][] = [
    ["no object", [1], "match"],
    ["null", null, "match"],
    ["an operator that does not exist", { a: { $regex: "x" } }, "match.a.$regex"],
    ["one that every object has", { a: { $constructor: 1 } }, "match.a.$constructor"],
    ["an empty object behind a path", { a: {} }, "match.a"],
    ["a list behind a path", { a: [1, 2] }, "match.a"],
    ["an object to equal", { a: { $eq: { b: 1 } } }, "match.a.$eq"],
    ["a list with an object", { a: { $in: [{ b: 1 }] } }, "match.a.$in"],
    ["$in without a list", { a: { $in: "x" } }, "match.a.$in"],
    ["an order of booleans", { a: { $gt: true } }, "match.a.$gt"],
    ["$exists of a text", { a: { $exists: "yes" } }, "match.a.$exists"],
    ["$contains of a number", { a: { $contains: 1 } }, "match.a.$contains"],
    ["$or without members", { $or: [] }, "match.$or"],
    ["$and of values", { $and: [1] }, "match.$and"],
    ["$not of a list", { a: { $not: [1] } }, "match.a.$not"],
    ["an empty name", { "a..b": 1 }, "match.a..b"],
    ["what Postgres cannot keep", { a: "x\0y" }, "match.a"],
    ["half a character", { a: { $contains: "\ud800" } }, "match.a.$contains"],
    ["a text of more than a kilobyte", { a: "x".repeat(1025) }, "match.a"],
    ["a list of more than 200 values", { a: { $in: Array.from({ length: 201 }, (_, n) => n) } }, "match"],
    ["more than 200 keys", Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`k${n}`, n])), "match"],
    ["more than 200 conditions", { $or: Array.from({ length: 201 }, () => ({ a: 1 })) }, "match"],
    ["more than 8 objects within one another", deep(9), `match${".a".repeat(8)}`],
    ["a number that is none", { a: Number.NaN }, "match.a"],
    ["what JSON does not have", { a: undefined }, "match.a"],
  ];

  test.for(TABLE)("%s", ([, matcher, place]) => {
    expect(Object.keys(faultsOf(matcher))).toEqual([place]);
  });

  test("a matcher of 8 nested objects is accepted", () => {
    expect(faultsOf(deep(8))).toEqual({});
  });

  test("all errors of a matcher are returned together", () => {
    const faults = faultsOf({ a: { $regex: "x" }, b: [1], "c.d": { $in: 5, $lt: null } });
    expect(Object.keys(faults)).toEqual(["match.a.$regex", "match.b", "match.c.d.$in", "match.c.d.$lt"]);
  });
});

const scalar = fc.oneof(fc.string({ maxLength: 5 }), fc.integer(), fc.boolean(), fc.constant(null));
const { matcher } = fc.letrec<{ matcher: Record<string, unknown>; condition: unknown }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.record({ $gt: fc.integer() }),
    fc.record({ $in: fc.array(scalar, { maxLength: 3 }) }),
    fc.record({ $ne: scalar, $exists: fc.boolean() }),
    fc.record({ $not: fc.record({ $eq: scalar }) }),
    tie("matcher").filter((value) => Object.keys(value as object).length > 0),
  ),
  matcher: fc.oneof(
    { maxDepth: 3 },
    fc.dictionary(fc.constantFrom("a", "b", "a.b"), tie("condition"), { maxKeys: 3 }),
    fc.record({ $or: fc.array(tie("matcher"), { minLength: 1, maxLength: 2 }) }),
  ) as fc.Arbitrary<Record<string, unknown>>,
}));
const payload = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b"), tie("any")),
  ),
})).any;

test("any matcher answers the same each time for any payload, and $not answers the contrary", () => {
  fc.assert(
    fc.property(matcher, payload, (given, value) => {
      // Some are deeper than is allowed.
      fc.pre(Object.keys(faultsOf(given)).length === 0 && Object.keys(faultsOf({ $not: given })).length === 0);
      const answer = matches(given, value);
      expect(matches(given, value)).toBe(answer);
      if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(given).length > 0) {
        expect(matches({ $not: given }, value)).toBe(!answer);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a payload of any depth can be matched", () => {
  const nested: unknown = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  expect(matches({ a: { $ne: 1 }, $or: [{ b: { $exists: false } }] }, { a: nested, b: nested })).toBe(false);
  expect(matches({ "a.a.a": { a: { a: { $exists: false } } } }, { a: nested })).toBe(true);
});
