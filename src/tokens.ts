/**
 * Finds Plaid's tokens in JSON text and cuts them out: public tokens and link tokens, which Plaid's LINK webhooks carry,
 * access tokens, and any text in a field with such a name. An access token gives access to a bank account for good, and a public
 * token can be exchanged for one within 30 minutes, so Tartan shows neither.
 *
 * Tartan cuts the text itself. Parsing it and writing it anew would pass its numbers through a float, and money must stay as
 * Plaid wrote it. All other bytes stay as they are, whether they are JSON or not.
 */

/** Replaces a token. */
export const MARK = "[cut]";

/** `public_token`, `public_tokens`, `linkToken` …: a text under such a name counts as a token, whatever its form. */
const TOKEN_NAME = /tokens?$/i;
/** The form of Plaid's tokens: https://plaid.com/docs/api/items/#itempublic_tokenexchange and /docs/api/link/ */
const TOKEN_VALUE = /(?:access|public|link|processor|user)-(?:sandbox|development|production)-[0-9a-z-]{8,}/gi;
/** Every text with a token contains one of these; an escape may hide either. */
const SUSPECT = /token|-(?:sandbox|development|production)-|\\/i;

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

/** Text of any kind, such as a log line, without what looks like a token of Plaid's. */
export const cutLookalikes = (text: string): string => text.replaceAll(TOKEN_VALUE, MARK);

/** Whether a field of this name holds a token. */
export const isTokenName = (name: string): boolean => TOKEN_NAME.test(name);

interface Literal {
  start: number;
  /** behind its closing quote, or the end of the text */
  end: number;
  isName: boolean;
}

/** Cuts texts under the name of a token, and texts whose escapes spell a token. */
function cutNamed(text: string): { text: string; cut: boolean } {
  const pieces: string[] = [];
  let [from, cut, depth] = [0, false, 0];
  /** the depth of the value under a token's name; all texts in it are cut */
  let within: number | null = null;
  for (let at = 0; at < text.length;) {
    const char = text[at];
    if (char === '"') {
      const literal = literalAt(text, at);
      at = literal.end;
      if (isCut(text, literal, within !== null)) {
        pieces.push(text.slice(from, literal.start), `"${MARK}"`);
        from = literal.end;
        cut = true;
      }
      if (within === depth && !literal.isName) within = null;
      if (within === null && literal.isName && isTokenName(spelt(text, literal))) within = depth;
      continue;
    }
    if (char === "[" || char === "{") depth += 1;
    else if (char === "]" || char === "}") depth -= 1;
    // The value of the name ends at a comma or at the end of the enclosing object.
    if (within !== null && (depth < within || (depth === within && char === ","))) within = null;
    at += 1;
  }
  pieces.push(text.slice(from));
  return { text: pieces.join(""), cut };
}

function literalAt(text: string, start: number): Literal {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  end = Math.min(end + 1, text.length);
  let next = end;
  while (" \t\r\n".includes(text[next] ?? "x")) next += 1;
  return { start, end, isName: text[next] === ":" };
}

/** Names stay, except those whose escapes spell a token. */
function isCut(text: string, literal: Literal, underName: boolean): boolean {
  if (underName && !literal.isName) return true;
  const isEscaped = text.slice(literal.start, literal.end).includes("\\");
  return isEscaped && spelt(text, literal).search(TOKEN_VALUE) !== -1;
}

/** The text of a literal, with its escapes resolved. */
function spelt(text: string, { start, end }: Literal): string {
  const literal = text.slice(start, end);
  if (!literal.includes("\\")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
