/**
 * The one scanner of JSON text. Parsing JSON and writing it anew would pass its numbers through a float, and money must stay as Plaid
 * wrote it. So callers replace parts of the text in place and leave the rest as it is.
 *
 * The text need not be valid JSON: an unfinished string ends with the text, and the scanner skips all other characters.
 */

export interface JsonToken {
  /** `name`: a string that a colon follows; `close`: the end of an array or object */
  kind: "name" | "string" | "number" | "close";
  start: number;
  /** the offset after its last character */
  end: number;
  /** how many arrays and objects are open around it, or around the one that it closes */
  depth: number;
}

/** The start of a string, a bracket, or a whole number with its fraction and exponent. */
const NEXT = /["[\]{}]|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The strings, the numbers and the ends of arrays and objects, in their order. */
export function* jsonTokens(text: string): Generator<JsonToken, void, undefined> {
  const next = new RegExp(NEXT);
  let depth = 0;
  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const start = found.index;
    const [match] = found;
    if (match === '"') {
      next.lastIndex = endOfString(text, start);
      yield { kind: isFollowedByColon(text, next.lastIndex) ? "name" : "string", start, end: next.lastIndex, depth };
    } else if (match === "[" || match === "{") depth += 1;
    else if (match === "]" || match === "}") yield { kind: "close", start, end: next.lastIndex, depth: (depth -= 1) };
    else yield { kind: "number", start, end: next.lastIndex, depth };
  }
}

/** The text with some of its strings and numbers replaced. @param replace null: the token stays */
export function replaceTokens(text: string, replace: (token: JsonToken) => string | null): string {
  const pieces: string[] = [];
  let from = 0;
  for (const token of jsonTokens(text)) {
    const replacement = replace(token);
    if (replacement === null) continue;
    pieces.push(text.slice(from, token.start), replacement);
    from = token.end;
  }
  return from === 0 ? text : pieces.join("") + text.slice(from);
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end + 1;
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === "\\") first -= 1;
  return (at - first) % 2 === 1;
}

function isFollowedByColon(text: string, end: number): boolean {
  let next = end;
  while (" \t\r\n".includes(text[next] ?? "x")) next += 1;
  return text[next] === ":";
}
