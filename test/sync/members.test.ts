/** Members of a JSON object, found without parsing: the same that JSON.parse finds. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { membersOf } from "../../src/sync/members.ts";

const parsed = (text: string): Record<string, unknown> =>
  Object.fromEntries([...membersOf(text)].map(([key, value]) => [key, JSON.parse(value) as unknown]));

describe("members", () => {
  it("the members of a JSON text are those of JSON.parse, with any spacing and any strings", () => {
    const tricky = fc.string({
      unit: fc.constantFrom('"', "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "a", "é", "🍕"),
      maxLength: 12,
    });
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        tricky,
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(tricky, tie("any"), { maxKeys: 3 }),
      ),
    })).any;
    fc.assert(
      fc.property(
        fc.dictionary(tricky, value, { maxKeys: 5 }),
        fc.constantFrom(undefined, 2, "\t", " \r\n"),
        (object, space) => {
          const text = JSON.stringify(object, null, space);
          expect(parsed(` ${text}\n`)).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("the members of a JSON text keep their digits", () => {
    expect(membersOf('{"a":12345678901234567890.10,"b":[1e400]}')).toEqual(
      new Map([
        ["a", "12345678901234567890.10"],
        ["b", "[1e400]"],
      ]),
    );
  });

  it("of two members with the same key the last one counts", () => {
    expect(parsed('{"a":1,"a":2}')).toEqual({ a: 2 });
  });

  it.each([
    "",
    "null",
    "[]",
    '"x"',
    "{",
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1',
    '{"a":"',
    '{"a":[',
    '{"a":1,',
    '{"a":1 2}',
    "{1:2}",
    '{"a"}',
    '{"a":1,}',
  ])("the text %j has no members and is refused", (text) => {
    expect(() => membersOf(text)).toThrow(SyntaxError);
  });
});
