/**
 * Finds a value in JSON text and returns it as it is written there. Parsing and serialising would change its spaces, the order of
 * its keys and the digits of its numbers, and so the hash that Plaid signed.
 */

const STRING = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const SPACES = /\s*/y;
/** What may stand between members. */
const BETWEEN = /[\s,]*/y;
const SCALAR = /[^\s,\]}]+/y;
/** Up to the next bracket that is not in a string. */
const TO_BRACKET = /[^"[\]{}]*(?:"[^"\\]*(?:\\[\s\S][^"\\]*)*"[^"[\]{}]*)*/y;

/**
 * The text of the member under `path` in `json`, which must be valid, from the colon to what ends it: spaces around the
 * value belong to it. Null where there is no such member.
 */
export function verbatim(json: string, path: readonly string[]): string | null {
  let from = 0;
  for (const key of path) {
    const found = valueOf(json, after(SPACES, json, from), key);
    if (found === null) return null;
    from = found;
  }
  return json.slice(from, after(SPACES, json, endOf(json, after(SPACES, json, from))));
}

/** Where, behind its colon, the value of `key` starts in the object that starts at `at`. */
function valueOf(json: string, at: number, key: string): number | null {
  if (json[at] !== "{") return null;
  for (let next = after(BETWEEN, json, at + 1); json[next] === '"'; next = after(BETWEEN, json, next)) {
    const end = after(STRING, json, next);
    const name: unknown = JSON.parse(json.slice(next, end));
    const colon = after(SPACES, json, end);
    if (name === key) return colon + 1;
    next = endOf(json, after(SPACES, json, colon + 1));
  }
  return null;
}

function endOf(json: string, at: number): number {
  if (json[at] === '"') return after(STRING, json, at);
  if (json[at] !== "{" && json[at] !== "[") return after(SCALAR, json, at);
  let depth = 0;
  for (let next = at; next < json.length; next = after(TO_BRACKET, json, next + 1)) {
    depth += json[next] === "{" || json[next] === "[" ? 1 : -1;
    if (depth === 0) return next + 1;
  }
  return json.length;
}

/** Where `pattern`, matched at `at`, ends. */
function after(pattern: RegExp, json: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(json)?.[0].length ?? 0);
}
