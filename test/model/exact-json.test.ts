/** The scanner of JSON text finds what JSON.parse finds, and replaces it without touching the rest. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonTokens, replaceTokens, type JsonToken } from "../../src/model/exact-json.ts";

/** The names, strings and numbers of a value, in the order in which JSON.stringify writes them. */
function* leavesOf(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) for (const each of value) yield* leavesOf(each);
  else if (typeof value === "object" && value !== null) {
    for (const [name, each] of Object.entries(value)) {
      yield `name ${name}`;
      yield* leavesOf(each);
    }
  } else if (typeof value === "string" || typeof value === "number") yield value;
}

const leavesIn = (text: string): JsonToken[] => [...jsonTokens(text)].filter(({ kind }) => kind !== "close");

describe("scanning JSON", () => {
  test("finds every name, string and number of any document, and their depth", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2), (json, indent) => {
        const value = JSON.parse(json) as unknown;
        const text = JSON.stringify(value, null, indent);
        const found = leavesIn(text).map(({ kind, start, end }) => {
          const read = JSON.parse(text.slice(start, end)) as unknown;
          return kind === "name" ? `name ${String(read)}` : read;
        });
        expect(found).toEqual([...leavesOf(value)]);
      }),
      { numRuns: 500 },
    );
    expect([...jsonTokens('[{"a":[1]},"b"]')].map(({ kind, depth }) => `${kind} ${depth}`).join()).toBe(
      "name 2,number 3,close 2,close 1,string 1,close 0",
    );
  });

  test("what is not replaced stays as it came, to the digit", () => {
    const text = '{ "a":1.10, "big": 12345678901234567890e-3 ,"s":"1.10 \\" 2" }';
    expect(replaceTokens(text, () => null)).toBe(text);
    expect(replaceTokens(text, ({ kind }) => (kind === "number" ? "0" : null))).toBe(
      '{ "a":0, "big": 0 ,"s":"1.10 \\" 2" }',
    );
  });

  test("a string that does not end ends with the text, and a megabyte of brackets or escapes takes one pass", () => {
    expect([...jsonTokens('{"a":"b\\')].map(({ kind, end }) => [kind, end])).toEqual([
      ["name", 4],
      ["string", 8],
    ]);
    expect([...jsonTokens("[".repeat(1_000_000))]).toEqual([]);
    expect([...jsonTokens(`"${"\\\\".repeat(500_000)}"`)]).toHaveLength(1);
  });
});
