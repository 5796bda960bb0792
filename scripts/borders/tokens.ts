/** SQL as tokens, and a reader that finds names among them. */

/** Stands for `${…}` in the text of a template literal. */
export const HOLE = "\uFFFC";

/** Stands for a name that is not in the text: `sync.*` when the schema is known, `*` when nothing is. */
export const ANY = "*";

export interface Token {
  readonly kind: "word" | "hole" | "string" | "body" | "sign" | "comment";
  /** Lower case for a word, its beginning for a hole, without quotes for the others. */
  readonly text: string;
  readonly start: number;
  /** Where the text of a string or a body begins. */
  readonly inner: number;
}

const PLACEHOLDER = String.raw`%(?:\d+\$)?[IsL](?![A-Za-z])`;
const TOKEN = new RegExp(
  [
    String.raw`(?<comment>--[^\n]*|/\*[\s\S]*?\*/)`,
    String.raw`(?<body>(?<tag>\$(?:[A-Za-z_]\w*)?\$)(?<inside>[\s\S]*?)\k<tag>)`,
    String.raw`(?<escaped>[eE]'(?:\\[\s\S]|''|[^'\\])*')`,
    String.raw`(?<string>'(?:''|[^'])*')`,
    String.raw`(?<quoted>"(?:""|[^"])+")`,
    String.raw`(?<word>(?:[\p{L}_${HOLE}]|${PLACEHOLDER})(?:[\p{L}\p{N}_$${HOLE}]|${PLACEHOLDER})*)`,
    String.raw`(?<number>\d[\w.]*)`,
    String.raw`(?<sign>\S)`,
  ].join("|"),
  "gu",
);
const HAS_HOLE = new RegExp(`${HOLE}|${PLACEHOLDER}`, "u");

/** Of a name with a hole, what stands before the hole is kept: `things` of `things${where}`. */
const identifier = (written: string, text: string, start: number): Token =>
  HAS_HOLE.test(written)
    ? { kind: "hole", text: text.slice(0, written.search(HAS_HOLE)), start, inner: start }
    : { kind: "word", text, start, inner: start };

function tokenOf(match: RegExpMatchArray): Token {
  const start = match.index ?? 0;
  const { comment, body, tag = "", inside = "", escaped, string, quoted, word } = match.groups ?? {};
  if (comment !== undefined) return { kind: "comment", text: comment, start, inner: start };
  if (body !== undefined) return { kind: "body", text: inside, start, inner: start + tag.length };
  const quote = escaped ?? string;
  if (quote !== undefined) {
    const skipped = escaped === undefined ? 1 : 2;
    // As long as before, so that offsets stay: a quote in a string of a string opens one again.
    return {
      kind: "string",
      text: quote.slice(skipped, -1).replaceAll(/''|\\'/g, " '"),
      start,
      inner: start + skipped,
    };
  }
  if (quoted !== undefined) {
    const name = quoted.slice(1, -1).replaceAll('""', '"').trim();
    return identifier(name, name, start);
  }
  if (word !== undefined) return identifier(word, word.toLowerCase(), start);
  return { kind: "sign", text: match[0], start, inner: start };
}

/** The tokens of a text, comments among them. */
export const tokensOf = (text: string): Token[] => [...text.matchAll(TOKEN)].map(tokenOf);

export interface Name {
  /** `schema.name`, `schema.*`, `*`, or what stands there without a schema */
  readonly name: string;
  /** Of a name that ends in a hole, what stands before it. */
  readonly begins?: string;
  readonly qualified: boolean;
  /** A blank follows the dot, as where a sentence ends. */
  readonly parted?: boolean;
  /** The index after it. */
  readonly next: number;
}

/** A cursor over the tokens that are not comments. */
export class Reader {
  readonly tokens: Token[];
  constructor(tokens: Token[]) {
    this.tokens = tokens;
  }
  word(index: number): string {
    const token = this.tokens[index];
    return token?.kind === "word" ? token.text : "";
  }
  sign(index: number, text: string): boolean {
    const token = this.tokens[index];
    return token?.kind === "sign" && token.text === text;
  }
  /** The index after all words of the set. */
  skip(index: number, words: ReadonlySet<string>): number {
    let next = index;
    while (words.has(this.word(next))) next++;
    return next;
  }
  private named(index: number): boolean {
    const kind = this.tokens[index]?.kind;
    return kind === "word" || kind === "hole";
  }
  /** The name at an index, with its schema if it has one. */
  name(index: number): Name | null {
    const first = this.tokens[index];
    if (!first || !this.named(index)) return null;
    const [schema, second] = [first.kind === "hole" ? ANY : first.text, this.tokens[index + 2]];
    if (!second || !this.sign(index + 1, ".") || !this.named(index + 2)) {
      return { name: schema, qualified: false, next: index + 1 };
    }
    let next = index + 3;
    while (this.sign(next, ".") && this.named(next + 1)) next += 2;
    if (schema === ANY) return { name: ANY, qualified: true, next };
    const parted = second.start > (this.tokens[index + 1]?.start ?? 0) + 1;
    if (second.kind === "word") return { name: `${schema}.${second.text}`, qualified: true, parted, next };
    return { name: `${schema}.${ANY}`, begins: `${schema}.${second.text}`, qualified: true, next };
  }
  /** The index after a name, a call, a cast or something in parentheses. */
  afterValue(index: number): number {
    const next = this.afterList(this.name(index)?.next ?? index);
    const cast = this.sign(next, ":") && this.sign(next + 1, ":") ? (this.name(next + 2)?.next ?? next) : next;
    return Math.max(cast, index + 1);
  }
  /** The index after a list in parentheses, if one begins here. */
  afterList(index: number): number {
    if (!this.sign(index, "(")) return index;
    let depth = 0;
    for (let at = index; at < this.tokens.length; at++) {
      if (this.sign(at, "(")) depth++;
      else if (this.sign(at, ")") && --depth === 0) return at + 1;
    }
    return index;
  }
}

/** Strings that are put together with `||` as one: a hole for what is no string. Offsets stay, since blanks fill the gaps. */
export function joined(tokens: readonly Token[]): Token[] {
  const reader = new Reader(tokens.filter(({ kind }) => kind !== "comment"));
  const all: Token[] = [];
  for (let index = 0; index < reader.tokens.length; index++) {
    const token = reader.tokens[index];
    if (!token) continue;
    let { text } = token;
    while (token.kind === "string" && reader.sign(index + 1, "|") && reader.sign(index + 2, "|")) {
      const next = reader.tokens[index + 3];
      if (next?.kind === "string") text = text.padEnd(next.inner - token.inner) + next.text;
      else text += HOLE;
      index = next?.kind === "string" ? index + 3 : reader.afterValue(index + 3) - 1;
    }
    all.push({ ...token, text });
  }
  return all;
}
