/**
 * Makes Plaid's JSON fit for Postgres' jsonb, which refuses three things that JSON allows. One of them in a merchant's name
 * would block an item for ever. Nothing else is touched, so numbers keep their digits.
 *
 * - U+0000 and halves of surrogate pairs, which can only be written as escapes: they stay as the text of the escape, so
 *   `"a\u0000b"` reads a\u0000b, eight characters, so that it can be told what was sent.
 * - Numbers beyond what numeric holds: they become strings with all their characters.
 */

const PAIR = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`;
const UNSTORABLE = String.raw`\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)`;
/** Every escape in turn, so that the second half of an escaped backslash is never taken for the start of one. */
const ESCAPES = new RegExp(String.raw`(?<kept>${PAIR})|(?<unstorable>${UNSTORABLE})|\\[\s\S]`, "g");
const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])/;

/** Numbers, and strings whole, so that what looks like a number inside of one is left alone. */
const NUMBERS = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/g;
/** To look for a thousand digits in a row as well would cost three times as much; nobody writes numbers so. */
const SUSPECT_NUMBER = /\d[eE][+-]?\d{4}/;
/** What numeric holds before and after the decimal point. */
const DIGITS_MAX = 131_072;
const SCALE_MAX = 16_383;

/** `text` (JSON) with what jsonb cannot hold written in another way. */
export function storableJson(text: string): string {
  const storable = SUSPECT.test(text) ? withoutUnstorable(text) : text;
  return SUSPECT_NUMBER.test(storable) ? withoutHuge(storable) : storable;
}

const withoutUnstorable = (text: string): string =>
  text.replace(ESCAPES, (escape: string, _kept: unknown, unstorable: unknown) =>
    unstorable === undefined ? escape : `\\${escape}`,
  );

const withoutHuge = (text: string): string =>
  text.replace(NUMBERS, (token: string, whole?: string, fraction = "", exponent = "0") => {
    if (whole === undefined) return token;
    const power = Number(exponent);
    return whole.length + power > DIGITS_MAX || fraction.length - power > SCALE_MAX ? `"${token}"` : token;
  });
