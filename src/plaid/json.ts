/**
 * Makes Plaid's JSON fit for Postgres' jsonb, which refuses three things that JSON allows. One of them in a merchant's name
 * would block an item for ever. Everything else stays, so numbers keep their digits.
 *
 * - U+0000 and halves of surrogate pairs, which JSON can only write as escapes. They stay as the text of the escape, so
 *   `"a\u0000b"` reads a\u0000b, eight characters, and a reader still sees what Plaid sent.
 * - Numbers beyond what numeric holds: they become strings with all their characters.
 */
import { replaceTokens } from "../model/exact-json.ts";

const PAIR = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`;
const UNSTORABLE = String.raw`\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)`;
/** Matches every escape in turn, so that the second half of an escaped backslash never counts as the start of one. */
const ESCAPES = new RegExp(String.raw`(?<kept>${PAIR})|(?<unstorable>${UNSTORABLE})|\\[\s\S]`, "g");
const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])/;

const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
/**
 * A number with an exponent of four digits, behind what comes before a number. Plaid's ids hold such digits too (a quarter of the pages of
 * 500 transactions has one), and to scan a page for its numbers takes ten times as long as this search. To look for a thousand
 * digits in a row as well would cost three times as much; nobody writes numbers so.
 */
const SUSPECT_NUMBER = /[:,[\s]-?\d+(?:\.\d+)?[eE][+-]?\d{4}/;
/** The digits that numeric holds before and after the decimal point. */
const DIGITS_MAX = 131_072;
const SCALE_MAX = 16_383;

/** `text` (JSON) with everything that jsonb cannot hold replaced. */
export function storableJson(text: string): string {
  const storable = SUSPECT.test(text) ? withoutUnstorable(text) : text;
  return SUSPECT_NUMBER.test(storable) ? withoutHuge(storable) : storable;
}

const withoutUnstorable = (text: string): string =>
  text.replace(ESCAPES, (escape: string, _kept: unknown, unstorable: unknown) =>
    unstorable === undefined ? escape : `\\${escape}`,
  );

const withoutHuge = (text: string): string =>
  replaceTokens(text, ({ kind, start, end }) => {
    if (kind !== "number") return null;
    const [number, whole = "", fraction = "", exponent = "0"] = NUMBER.exec(text.slice(start, end)) ?? [];
    const power = Number(exponent);
    const isHuge = whole.length + power > DIGITS_MAX || fraction.length - power > SCALE_MAX;
    return isHuge ? `"${number}"` : null;
  });
