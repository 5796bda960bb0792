/**
 * Finds the members of a JSON object as texts, without parsing them: a page of transactions is most of a megabyte, and
 * sync needs only its cursor. Parsing all of it costs twice the time, and as much again to collect the garbage.
 * It does not check the content of the members; Postgres does when it reads them.
 */

const QUOTE = 34;
const BACKSLASH = 92;
// [ and { differ from each other by one bit, as do ] and }.
const BRACKET_BIT = 32;
const OPENING = 123;
const CLOSING = 125;
const SPACE = /[\t\n\r ]*/y;
const PRIMITIVE = /[^\t\n\r ,\]}"[{:]+/y;

/**
 * Key → the text of its value; of a key that occurs twice, the last, as in JSON.parse and jsonb.
 * @throws SyntaxError when the text is not an object, as far as that shows without parsing its members
 */
export function membersOf(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = expect(text, 0, "{");
  if (text[at] === "}") return members;
  for (;;) {
    const keyEnd = endOfValue(text, at);
    const key: unknown = JSON.parse(text.slice(at, keyEnd));
    if (typeof key !== "string") throw malformed(at);
    const start = expect(text, keyEnd, ":");
    const end = endOfValue(text, start);
    members.set(key, text.slice(start, end));
    at = match(SPACE, text, end);
    if (text[at] === "}") return members;
    at = expect(text, at, ",");
  }
}

const malformed = (at: number): SyntaxError => new SyntaxError(`not a JSON object, at character ${at}`);

/** Skips space, `char`, and space. */
function expect(text: string, from: number, char: string): number {
  const at = match(SPACE, text, from);
  if (text[at] !== char) throw malformed(at);
  return match(SPACE, text, at + 1);
}

function match(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if ((first | BRACKET_BIT) === OPENING) return endOfNested(text, start);
  const end = match(PRIMITIVE, text, start);
  if (end === start) throw malformed(start);
  return end;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
    // The quote is part of the text when an odd number of backslashes is before it.
    if ((end - before) % 2 === 0) return end + 1;
  }
  throw malformed(start);
}

function endOfNested(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if ((code | BRACKET_BIT) === OPENING) depth += 1;
    else if ((code | BRACKET_BIT) === CLOSING && (depth -= 1) === 0) return at + 1;
  }
  throw malformed(start);
}
