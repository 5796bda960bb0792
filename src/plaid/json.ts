/**
 * Makes Plaid's JSON fit for Postgres. JSON may escape U+0000 and halves of surrogate pairs; jsonb refuses both, and one
 * such character in a merchant's name would block an item for ever. They become U+FFFD; nothing else is touched, so
 * numbers keep their digits.
 */

const PAIR = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`;
const UNSTORABLE = String.raw`\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)`;
/** Every escape in turn, so that the second half of an escaped backslash is never taken for the start of one. */
const ESCAPES = new RegExp(String.raw`(?<kept>${PAIR})|(?<unstorable>${UNSTORABLE})|\\[\s\S]`, "g");
const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])/;

/** `text` (JSON) with what jsonb cannot hold replaced by U+FFFD. */
export function storableJson(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return text.replace(ESCAPES, (escape: string, _kept: unknown, unstorable: unknown) =>
    unstorable === undefined ? escape : String.raw`\ufffd`,
  );
}
