/**
 * Cuts Plaid's tokens out of JSON text: public tokens and link tokens, which Plaid's LINK webhooks carry, access tokens, and any
 * text in a field with such a name. An access token gives access to a bank account for good, and a public token can be exchanged for
 * one within 30 minutes, so Tartan shows neither. All other bytes stay as they are, whether they are JSON or not.
 */
import { cutLookalikes, isTokenName, looksLikeToken, MARK } from "../tokens.ts";
import { replaceTokens, type JsonToken } from "./exact-json.ts";

/** Every text with a token contains one of these; an escape may hide either. */
const SUSPECT = /token|-(?:sandbox|development|production|prod)-|\\/i;

export interface CutText {
  bytes: Buffer;
  /** at least one token was cut out, here or before it was stored */
  cut: boolean;
}

/** The bytes without tokens; the same buffer if it holds none. */
export function cutTokens(bytes: Buffer): CutText {
  // Latin-1 has one character for each byte, so bytes that are not UTF-8 stay as they are.
  const text = bytes.toString("latin1");
  if (!SUSPECT.test(text)) return { bytes, cut: false };
  const named = cutNamed(text);
  const whole = cutLookalikes(named.text);
  const cut = named.cut || whole !== named.text;
  return { bytes: whole === text ? bytes : Buffer.from(whole, "latin1"), cut };
}

/** Cuts strings under the name of a token, and strings whose escapes spell a token. */
function cutNamed(text: string): { text: string; cut: boolean } {
  let cut = false;
  /** the depth of the value under a token's name; all strings in it are cut */
  let within: number | null = null;
  const whole = replaceTokens(text, (token) => {
    // The next name at this depth ends a value that is not a token, such as null.
    if (within !== null && token.kind === "name" && token.depth <= within) within = null;
    const isCutHere = isCut(text, token, within !== null);
    if (within !== null && token.kind !== "name" && token.depth <= within) within = null;
    if (within === null && token.kind === "name" && isTokenName(spelt(text, token))) within = token.depth;
    if (isCutHere) cut = true;
    return isCutHere ? `"${MARK}"` : null;
  });
  return { text: whole, cut };
}

/** Names stay, except those whose escapes spell a token. */
function isCut(text: string, token: JsonToken, underName: boolean): boolean {
  if (token.kind === "number" || token.kind === "close") return false;
  if (underName && token.kind === "string") return true;
  const isEscaped = text.slice(token.start, token.end).includes("\\");
  return isEscaped && looksLikeToken(spelt(text, token));
}

/** The text of a string, with its escapes resolved. */
function spelt(text: string, { start, end }: JsonToken): string {
  const literal = text.slice(start, end);
  if (!literal.includes("\\")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
