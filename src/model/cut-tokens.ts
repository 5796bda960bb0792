/**
 * Cuts Plaid's tokens out of JSON text: public tokens and link tokens, which Plaid's LINK webhooks carry, access tokens, and whatever
 * else is named like one. An access token opens a bank account for good and a public token becomes one within 30 minutes, so
 * neither is shown. Bytes outside what is cut are not touched, whether they are JSON or not.
 */
import { cutLookalikes, isTokenName, looksLikeToken, MARK } from "../tokens.ts";
import { replaceTokens, type JsonToken } from "./exact-json.ts";

/** What no text with a token is without; an escape may hide either. */
const SUSPECT = /token|-(?:sandbox|development|production)-|\\/i;

export interface CutText {
  bytes: Buffer;
  /** at least one token was cut out, here or before it was stored */
  cut: boolean;
}

/** The bytes without tokens; the same buffer where there is none. */
export function cutTokens(bytes: Buffer): CutText {
  // One character a byte, so that bytes that are not UTF-8 stay as they are.
  const text = bytes.toString("latin1");
  if (!SUSPECT.test(text)) return { bytes, cut: false };
  const named = cutNamed(text);
  const whole = cutLookalikes(named.text);
  const cut = named.cut || whole !== named.text;
  return { bytes: whole === text ? bytes : Buffer.from(whole, "latin1"), cut };
}

/** Cuts the strings that stand under the name of a token, and those whose escapes spell a token. */
function cutNamed(text: string): { text: string; cut: boolean } {
  let cut = false;
  /** the depth that the value of a token's name stands at; all strings in it are cut */
  let within: number | null = null;
  const whole = replaceTokens(text, (token) => {
    // The next name beside it ends a value that is no token here, such as null.
    if (within !== null && token.kind === "name" && token.depth <= within) within = null;
    const isCutHere = isCut(text, token, within !== null);
    if (within !== null && token.kind !== "name" && token.depth <= within) within = null;
    if (within === null && token.kind === "name" && isTokenName(spelt(text, token))) within = token.depth;
    if (isCutHere) cut = true;
    return isCutHere ? `"${MARK}"` : null;
  });
  return { text: whole, cut };
}

/** Names stay, but for those whose escapes spell a token. */
function isCut(text: string, token: JsonToken, underName: boolean): boolean {
  if (token.kind === "number" || token.kind === "close") return false;
  if (underName && token.kind === "string") return true;
  const isEscaped = text.slice(token.start, token.end).includes("\\");
  return isEscaped && looksLikeToken(spelt(text, token));
}

/** What a string says once its escapes are read. */
function spelt(text: string, { start, end }: JsonToken): string {
  const literal = text.slice(start, end);
  if (!literal.includes("\\")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
