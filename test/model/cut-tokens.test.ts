/** Tokens are cut out of what is shown, and nothing else changes. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutTokens } from "../../src/model/cut-tokens.ts";
import { MARK } from "../../src/tokens.ts";

const UUID = "b0e2c4ee-a763-4df5-bfe9-46a46bce993d";
const PUBLIC = `public-sandbox-${UUID}`;
const LINK = `link-production-${UUID}`;

const cut = (text: string): string => cutTokens(Buffer.from(text)).bytes.toString();

describe("cutting tokens out of a webhook", () => {
  test("public tokens, lists of them and link tokens are replaced by [cut]", () => {
    const body = {
      webhook_type: "LINK",
      link_token: LINK,
      public_token: PUBLIC,
      public_tokens: [PUBLIC, PUBLIC],
      status: "SUCCESS",
    };
    const { bytes, cut: isCut } = cutTokens(Buffer.from(JSON.stringify(body, null, 2)));
    expect(isCut).toBe(true);
    const parsed: unknown = JSON.parse(bytes.toString());
    expect(parsed).toEqual({ ...body, link_token: MARK, public_token: MARK, public_tokens: [MARK, MARK] });
  });

  test("a token is found by its form under any name, and under a token's name in any form", () => {
    for (const text of [
      `{"note":"it was ${PUBLIC}, or so"}`,
      `{"a":{"b":[{"c":["${LINK}"]}]}}`,
      `{"${PUBLIC}":1}`,
      `public_token=${PUBLIC}&x=1`,
      `{"public_token" :\n "${PUBLIC}"`,
      `{"a":"\\u0070ublic-sandbox-${UUID}"}`,
      `{"note":"assets-prod-${UUID}"}`,
      `{"note":"the copy a-sandbox-${UUID}"}`,
    ])
      expect(cut(text)).not.toContain(UUID);
    for (const text of [
      '{"access_token":"odd-secret"}',
      '{"\\u0070ublic_token":"odd-secret"}',
      '{"linkToken" : "odd-secret"}',
      '{"public_tokens":[["odd-secret"],{"x":{"y":"odd-secret"}}]}',
      '{"public_token":{"value":"odd-secret","more":["odd-secret"]},"b":1}',
      '{"user_token":"odd-secret\\"odd-secret"}',
      '{"access_token":"odd-secret',
    ])
      expect(cut(text)).not.toContain("odd-secret");
  });

  test("the text beside a token stays as it came, to the digit", () => {
    const text = `{ "amount":1.10,\t"public_token":"x", "id": 12345678901234567890, "é":"ü\\n\\u00e9", "public_tokens":[ "y" , 3.00, null ],"after":["kept"],"last":"kept" }\n`;
    expect(cut(text)).toBe(text.replace('"x"', `"${MARK}"`).replace('"y"', `"${MARK}"`));
    expect(cut('{"public_token":null,"a":"kept"}')).toBe('{"public_token":null,"a":"kept"}');
    expect(cut('[{"public_token":7},"kept"]')).toBe('[{"public_token":7},"kept"]');
    expect(cut('{"public_token":[],"a":"kept"}')).toBe('{"public_token":[],"a":"kept"}');
    expect(cut('[{"public_token":null},["kept"]]')).toBe('[{"public_token":null},["kept"]]');
  });

  test("a token that was cut before it was stored is still reported as cut", () => {
    expect(cutTokens(Buffer.from(`{"access_token":"${MARK}"}`)).cut).toBe(true);
    expect(cutTokens(Buffer.from('{"access_token":null}')).cut).toBe(false);
  });

  test("cutting bytes without a token returns the same buffer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
        const bytes = Buffer.from(array);
        expect(cutTokens(bytes)).toEqual({ bytes, cut: false });
        expect(cutTokens(bytes).bytes).toBe(bytes);
      }),
    );
  });

  test("a token at any place in a document is cut and the rest is unchanged", () => {
    const place = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(PUBLIC, LINK, "text", 'quo"te\\', 1.5, null, true),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom("public_token", "public_tokens", "link_token", "note", "a"), tie("value"), {
          maxKeys: 4,
        }),
      ),
    })).value;
    const expected = (value: unknown, isToken: boolean): unknown => {
      if (typeof value === "string") return isToken || value === PUBLIC || value === LINK ? MARK : value;
      if (Array.isArray(value)) return value.map((each) => expected(each, isToken));
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => [name, expected(each, isToken || name.includes("token"))]),
      );
    };
    fc.assert(
      fc.property(place, fc.constantFrom(0, 2), (value, indent) => {
        const text = cut(JSON.stringify(value, null, indent));
        expect(text).not.toContain(UUID);
        expect(JSON.parse(text)).toEqual(expected(value, false));
      }),
      { numRuns: 500 },
    );
  });

  test("tokens are cut out of a nested or quoted body of a megabyte in one pass", () => {
    for (const text of [
      "[".repeat(1_000_000),
      `"${"\\\\".repeat(500_000)}"`,
      `{"public_tokens":[${'"a",'.repeat(200_000)}"a"]}`,
    ])
      expect(cut(text)).not.toContain('"a"');
  });
});
