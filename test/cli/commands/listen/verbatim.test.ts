/** Finding a value in JSON text as it is written there. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { verbatim } from "../../../../src/cli/commands/listen/verbatim.ts";

it("a value is found as it was written, with its spaces, its order and its digits", () => {
  const body = ' { "b": 1.10,\n  "a": [1e400, "}\\"]", {"data": {}}],\t"n": 12345678901234567890 }\n';
  const envelope = `{"id":"evt_1","odd":"{\\\\\\"data\\":","data":{"source":"PLAID","webhook":${body},"body_base64":null}}`;
  expect(verbatim(envelope, ["data", "webhook"])).toBe(body);
  expect(verbatim(envelope, ["data", "body_base64"])).toBe("null");
  expect(verbatim(envelope, ["data", "source"])).toBe('"PLAID"');
});

it("a path without a value yields null", () => {
  expect(verbatim('{"data":{}}', ["data", "webhook"])).toBeNull();
  expect(verbatim('{"data":[1]}', ["data", "webhook"])).toBeNull();
  expect(verbatim("{}", ["data"])).toBeNull();
  expect(verbatim("3", ["data"])).toBeNull();
});

it("any value between any others is found as it was written", () => {
  const key = fc.string().filter((name) => name !== "it");
  const spaces = fc.constantFrom(undefined, 1, 2, "\t", "\n ");
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.jsonValue()),
      fc.jsonValue(),
      fc.jsonValue(),
      spaces,
      (before, value, last, by) => {
        const written = JSON.stringify(value, null, by);
        const head = JSON.stringify(before, null, by).trim().slice(1, -1).trim();
        const json = `{${head}${head === "" ? "" : ","} "it" :\n${written} , "z":${JSON.stringify(last)}}`;
        expect(verbatim(json, ["it"])).toBe(`\n${written} `);
      },
    ),
    { numRuns: 500 },
  );
});

it("a string of a million characters does not overflow the search", () => {
  const long = JSON.stringify(`${'\\"'.repeat(300_000)}${"x".repeat(500_000)}`);
  expect(verbatim(`{"a":${long},"it":[${long}]}`, ["it"])).toBe(`[${long}]`);
});
