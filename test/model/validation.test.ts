/** Errors of validation: each names its field and says what to do, and none repeats a value. */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkedFilter, page } from "../../src/model/listing.ts";
import { anyText, filledText, instant, text, described, wholeNumber, wholeNumberText } from "../../src/model/schema.ts";
import { boundsOf, checked, errorOf, validate } from "../../src/model/validation.ts";

const Input = z.strictObject({
  name: filledText(5, "A name."),
  count: wholeNumber(1, 9, "A count.").optional(),
  kind: z.enum(["one", "two", "three"]).optional(),
  list: z.array(text(3, "A text.")).min(2).optional(),
  inner: z
    .strictObject({ at: instant("When.").optional() })
    .nullable()
    .optional(),
  named: z.record(z.string().regex(/^[a-z]+$/, "must have names of letters"), z.boolean()).optional(),
});

const fieldsOf = (value: unknown): Record<string, string> => validate(Input, value).errors.fields;

describe("an error of validation", () => {
  test.for<[string, unknown, Record<string, string>]>([
    ["a field that is missing", {}, { name: "is required" }],
    ["a text that is empty", { name: "" }, { name: "must not be empty" }],
    ["a text of blanks", { name: "  " }, { name: "must not be empty" }],
    ["a text that is too long", { name: "secret" }, { name: "must be at most 5 characters" }],
    ["a NUL byte", { name: "a\0" }, { name: "has characters that cannot be stored" }],
    ["half a surrogate pair", { name: "\ud800" }, { name: "has characters that cannot be stored" }],
    ["another type", { name: ["secret"] }, { name: "must be a string" }],
    ["a number that is too large", { name: "a", count: 1e300 }, { count: "must be a whole number from 1 to 9" }],
    ["a number that is not whole", { name: "a", count: 1.5 }, { count: "must be a whole number from 1 to 9" }],
    ["no number", { name: "a", count: Number.NaN }, { count: "must be a whole number from 1 to 9" }],
    ["a text for a number", { name: "a", count: "3" }, { count: "must be a whole number from 1 to 9" }],
    [
      "a word that is not one of few",
      { name: "a", kind: "tree" },
      { kind: "must be one of one, two, three; did you mean three?" },
    ],
    ["a word that is nothing like them", { name: "a", kind: "secret" }, { kind: "must be one of one, two, three" }],
    ["a list that is too short", { name: "a", list: ["a"] }, { list: "must be at least 2 entries" }],
    ["an entry of a list", { name: "a", list: ["a", "long"] }, { "list.1": "must be at most 3 characters" }],
    ["no time", { name: "a", inner: { at: "soon" } }, { "inner.at": "must be a time such as 2026-11-20T17:03:29Z" }],
    [
      "an unknown name, with those that are known",
      { name: "a", nmae: 1 },
      { nmae: "is not a known field; known are name, count, kind, list, inner, named" },
    ],
    [
      "an unknown name inside, with those that are known there",
      { name: "a", inner: { on: 1 } },
      { "inner.on": "is not a known field; known are at" },
    ],
    [
      "the name of an entry, which may be a secret",
      { name: "a", named: { "My Secret": true } },
      { named: "must have names of letters" },
    ],
    ["an array for an object", [], { body: "must be a JSON object" }],
    ["null for an object", null, { body: "must be a JSON object" }],
  ])("says what to do about %s", ([, value, fields]) => {
    expect(fieldsOf(value)).toEqual(fields);
    expect(JSON.stringify(fieldsOf(value))).not.toMatch(/secret/i);
  });

  test("names the prototype as a field like any other, and nothing is inherited from it", () => {
    const hostile = JSON.parse('{"name":"a","__proto__":{"count":3},"constructor":1}') as unknown;
    const { fields } = validate(Input, hostile).errors;
    expect(Object.entries(fields).map(([name]) => name)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
  });

  test("does not come from deep nesting, which is refused like any other type", () => {
    const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`) as unknown;
    expect(fieldsOf({ name: deep, count: deep, inner: deep, list: deep })).toEqual({
      name: "must be a string",
      count: "must be a whole number from 1 to 9",
      list: "must be an array",
      "inner.a": "is not a known field; known are at",
    });
  });

  test("the error of a list that is too long is about its length alone, since a megabyte may hold hundreds of thousands of entries", () => {
    let looked = 0;
    const entry = z.string().refine(() => (looked += 1) > 0);
    const Lists = z.strictObject({ inner: z.strictObject({ list: z.array(entry).max(3).optional() }).nullable() });
    const { fields } = validate(Lists, { inner: { list: Array.from({ length: 4 }, String) } }).errors;
    expect([fields, looked]).toEqual([{ "inner.list": "must be at most 3 entries" }, 0]);
    expect(validate(Lists, { inner: { list: ["a", "b", "c"] } }).errors.fields).toEqual({});
    expect(looked).toBe(3);
  });

  test("names a hundred fields at most, so that an answer is not larger than what was sent", () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`x${index}`, 1]));
    expect(Object.keys(fieldsOf({ name: "a", ...many }))).toHaveLength(100);
  });

  test("names all fields, and five of them in its message", () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`x${index}`, 1]));
    expect(() => checked(Input, { name: "a", ...many }, "thing")).toThrow(
      expect.objectContaining({
        code: "invalid_request",
        message: expect.stringMatching(/^The thing is not usable: x0 is (?!.* x5 ).* x4 is .*\.$/),
        fields: expect.objectContaining({ x8: expect.any(String) }),
      }),
    );
  });
});

test("what is checked has its defaults, and a text of a query string becomes its number", () => {
  const Query = z.strictObject({
    count: wholeNumberText(1, 9, "A count.").default(3),
    note: anyText(5, "A note.").optional(),
  });
  expect(checked(Query, {}, "query")).toEqual({ count: 3 });
  expect(checked(Query, { count: "7", note: "" }, "query")).toEqual({ count: 7, note: "" });
  for (const count of ["", "ten", "1.5", "0", "10", "1e9"])
    expect(errorOf(Query.shape.count, count)).toBe("must be a whole number from 1 to 9");
});

test("a page that had no next cursor is the same as no cursor", () => {
  const Filter = z.strictObject({ ...page });
  expect(checkedFilter(Filter, { cursor: null })).toEqual({ limit: 50 });
  expect(() => checkedFilter(Filter, { cursor: "" })).toThrow(
    expect.objectContaining({ fields: { cursor: "must not be empty" } }),
  );
});

test("the bounds of a number are read through what makes it optional", () => {
  expect(boundsOf(described(wholeNumber(1000, 30_000, "A while.").nullable().optional(), "A while."))).toEqual({
    least: 1000,
    most: 30_000,
  });
  expect(boundsOf(page.limit)).toEqual({ least: 1, most: 500 });
});
