/**
 * Finds the tables that a piece of SQL writes, reads and creates, and the functions that it calls.
 *
 * This is a tolerant tokenizer and not a parser: most statements in src/ are template literals whose holes hold names, lists
 * of columns or whole clauses, and many literals are only a part of a statement. No grammar accepts those. The tokenizer knows
 * comments, strings, dollar quotes and quoted identifiers, and a table's name always has its schema here, so that what
 * follows a keyword says enough. Strings and dollar-quoted bodies are read as SQL again, which covers functions and `execute`.
 */
import { ANY, HOLE, joined, type Name, Reader, type Token, tokensOf } from "./tokens.ts";

/** `names`: the text is a name and nothing else. `defines`: it makes a function. */
export type Does = "writes" | "reads" | "calls" | "names" | "defines";

export interface Mention {
  readonly does: Does;
  /** `schema.name`, `schema.*`, `*`, or a table's name without its schema */
  readonly name: string;
  /** Of a name that ends in a hole, what stands before it: a table, if there is one of that name. */
  readonly begins?: string;
  /** Offset in the text. */
  readonly at: number;
  /** The statement makes this table or view, or gives it this name. */
  readonly creates?: true;
  /** The statement drops it, or takes this name from it. */
  readonly drops?: true;
  /** It stands where only a table can stand, and not in prose, so that an unknown name is a mistake. */
  readonly certain?: true;
  /** The tables which a comment in the statement says that it writes; only where the name is `*`. */
  readonly declared?: readonly string[];
}

const DECLARATION = /\bwrites:((?:[\s,*/-]*[a-z_]+\.(?:[a-z_0-9]+|\*))+)/;

/** The tables of a comment `writes: a.b, c.d`; none if it says nothing of the kind. */
export const declaredIn = (comment: string): string[] =>
  DECLARATION.exec(comment)?.[1]?.match(/[a-z_]+\.(?:[a-z_0-9]+|\*)/g) ?? [];

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
const BEFORE_NAME = words("only if not exists concurrently");
const KINDS = words("table view");
const OF_KIND = words("or replace global local temp temporary unlogged materialized recursive foreign");
const CHANGES = words("create alter drop");
const ON_A_TABLE = words("index trigger policy rule");
/** What stands before `update` where it is a part of another statement. */
const BEFORE_UPDATE = words("for key do");
const SOURCES = words("from join using references");
/** What comes after the table in a statement that names one without its schema: prose goes on otherwise. */
const AFTER_NAME: Readonly<Record<string, ReadonlySet<string>>> = {
  insert: words("select values default table with overriding"),
  update: words("set"),
  delete: words("where using returning"),
  truncate: words("cascade restrict restart"),
  merge: words("using"),
  alter: words("add drop rename alter set attach detach enable disable"),
  drop: words("cascade restrict"),
  create: words("as partition"),
  lock: words("in"),
  partition: words("for default"),
};
const MAKES: Readonly<Record<string, Partial<Mention>>> = { create: { creates: true }, drop: { drops: true } };
/** Nothing may follow the table in these. */
const MAY_END = words("insert delete truncate merge drop lock");

interface Target {
  readonly verb: string;
  readonly at: number;
  /** More tables may follow after a comma. */
  readonly list?: true;
  /** The verb is part of another statement, as in `on conflict do update`, unless a table with its schema follows. */
  readonly inside?: boolean;
}

/** `insert into`, `update` …: where the name of the written table stands, if a statement that writes begins at an index. */
function targetAt(reader: Reader, index: number): Target | null {
  const verb = reader.word(index);
  const after = reader.word(index + 1);
  const name = (at: number): number => reader.skip(at, BEFORE_NAME);
  if ((verb === "insert" || verb === "merge") && after === "into") return { verb, at: name(index + 2) };
  if (verb === "delete" && after === "from") return { verb, at: name(index + 2) };
  if (verb === "update") return { verb, at: name(index + 1), inside: BEFORE_UPDATE.has(reader.word(index - 1)) };
  if (verb === "truncate" || verb === "lock") {
    return { verb, at: name(after === "table" ? index + 2 : index + 1), list: true };
  }
  if (verb === "partition") return { verb, at: after === "of" ? index + 2 : index + 1 };
  if (verb === "create" || verb === "alter" || verb === "drop" || verb === "refresh") {
    const kind = reader.skip(index + 1, OF_KIND);
    if (!KINDS.has(reader.word(kind))) return null;
    return { verb, at: name(kind + 1), ...(verb === "drop" && { list: true }) };
  }
  return null;
}

/** Finds what one text does; strings and bodies in it are read with `inner`. */
class Finder {
  readonly found: Mention[] = [];
  private readonly reader: Reader;
  private readonly taken = new Set<number>();
  private readonly declared: readonly string[];
  constructor(tokens: Token[], declared: readonly string[]) {
    this.reader = new Reader(tokens);
    this.declared = declared;
  }

  private add(does: Does, index: number, { name, begins }: Name, more: Partial<Mention> = {}): void {
    const at = this.reader.tokens[index]?.start ?? 0;
    this.taken.add(index);
    const declared = name === ANY && { declared: this.declared };
    this.found.push({ does, name, at, ...(begins !== undefined && { begins }), ...declared, ...more });
  }

  private write({ verb, at, list, inside }: Target): void {
    const target = this.reader.name(at);
    if (!target) return this.unfinished(verb, at);
    const certain = !inside && !target.parted && this.isStatement(verb, target.name, target.next);
    if (!target.qualified && !certain) return;
    this.add("writes", at, target, { ...(certain && { certain }), ...MAKES[verb] });
    if (verb === "alter") this.rename(at, target);
    if (list && this.reader.sign(target.next, ",")) {
      this.write({ verb, at: this.reader.skip(target.next + 1, BEFORE_NAME), list });
    }
  }

  /** `alter table x.y rename to z` */
  private rename(at: number, { name, next }: Name): void {
    const to = this.reader.word(next) === "rename" && this.reader.word(next + 1) === "to" && this.reader.word(next + 2);
    if (!to || !name.includes(".")) return;
    this.add("writes", at, { name, next, qualified: true }, { drops: true });
    const renamed = { name: `${name.slice(0, name.indexOf("."))}.${to}`, next, qualified: true };
    this.add("writes", next + 2, renamed, { creates: true, certain: true });
  }

  /** The text ends where the table should stand, such as `'delete from ' || name`. */
  private unfinished(verb: string, at: number): void {
    const last = this.reader.word(at - 1);
    if (at < this.reader.tokens.length || last === verb || verb === "partition") return;
    this.add("writes", at - 1, { name: ANY, next: at, qualified: false });
  }

  /** Whether this is a statement and not prose, by what follows the table. */
  private isStatement(verb: string, name: string, next: number): boolean {
    const after = AFTER_NAME[verb];
    const named = this.reader.word(next) === "as" ? next + 2 : this.reader.word(next) === "" ? next : next + 1;
    for (const index of [next, named]) {
      if ((verb === "insert" || verb === "create") && this.reader.sign(index, "(")) return true;
      if (after?.has(this.reader.word(index))) return true;
    }
    if ((name !== ANY && !name.includes(".")) || !after) return false;
    const ends = next >= this.reader.tokens.length || [";", ")", ","].some((sign) => this.reader.sign(next, sign));
    return ends ? MAY_END.has(verb) : this.reader.tokens[next]?.kind === "hole";
  }

  private copy(index: number): void {
    const target = this.reader.name(index + 1);
    if (!target) return;
    const direction = this.reader.afterList(target.next);
    const word = this.reader.word(direction);
    const isWrite = word === "from" && (target.qualified || this.reader.word(direction + 1) === "stdin");
    if (isWrite) this.add("writes", index + 1, target, { certain: true });
    else if (target.qualified && word === "to") this.add("reads", index + 1, target, { certain: true });
  }

  private source(index: number): void {
    const word = this.reader.word(index);
    if (word === "from" && this.reader.word(index - 1) === "distinct") return;
    const at = this.reader.skip(index + 1, words("only"));
    const source = this.reader.name(at);
    if (!source?.qualified || source.name === ANY) return;
    const called = word !== "references" && this.reader.sign(source.next, "(");
    if (!called) this.add("reads", at, source, { certain: true });
  }

  /** `create index … on x`, `create trigger … on x`: changes x. */
  private onTable(index: number): void {
    let verb = index - 1;
    while (verb > 0 && !CHANGES.has(this.reader.word(verb))) verb--;
    if (!CHANGES.has(this.reader.word(verb))) return;
    const kind = this.reader.skip(verb + 1, words("or replace unique constraint"));
    const at = this.reader.skip(index + 1, BEFORE_NAME);
    const target = ON_A_TABLE.has(this.reader.word(kind)) ? this.reader.name(at) : null;
    if (target?.qualified) this.add("writes", at, target, { certain: true });
  }

  private define(index: number): void {
    const made = words("create replace").has(this.reader.word(index - 1)) ? this.reader.name(index + 1) : null;
    if (made?.qualified) this.add("defines", index + 1, made);
  }

  run(): void {
    const { tokens } = this.reader;
    for (let index = 0; index < tokens.length; index++) {
      const word = this.reader.word(index);
      const target = word === "" || this.taken.has(index) ? null : targetAt(this.reader, index);
      if (target) this.write(target);
      else if (word === "copy") this.copy(index);
      else if (word === "into") this.into(index);
      else if (word === "on") this.onTable(index);
      else if (word === "function" || word === "procedure") this.define(index);
      else if (SOURCES.has(word)) this.source(index);
    }
    for (let index = 0; index < tokens.length; index++) index = this.mention(index);
  }

  /** `select … into x`: in a function that is a variable, which has no schema. */
  private into(index: number): void {
    const target = this.reader.name(index + 1);
    if (target?.qualified && target.name !== ANY) this.add("writes", index + 1, target);
  }

  /** Any other name with a schema: a table that is meant, or a function that is called. */
  private mention(index: number): number {
    const found = this.reader.name(index);
    if (!found) return index;
    if (!found.name.includes(".") || this.taken.has(index)) return found.next - 1;
    this.add(this.reader.sign(found.next, "(") ? "calls" : "reads", index, found);
    return found.next - 1;
  }
}

const NAME = String.raw`"?[a-z_]\w*"?\s*\.\s*"?[a-z_]\w*"?`;
/** Names and nothing else, with or without an alias: `sync.subjects`, `sync.subjects s, sync.runs r`. */
const ONLY_NAMES = new RegExp(
  String.raw`^\s*${NAME}(?:\s+(?:as\s+)?[a-z_]\w*)?(?:\s*,\s*${NAME}(?:\s+(?:as\s+)?[a-z_]\w*)?)*\s*$`,
  "i",
);

/** The names of a text that holds nothing else. */
const namesIn = (text: string): Mention[] =>
  [...text.matchAll(new RegExp(NAME, "gi"))].map(({ 0: name, index }) => ({
    does: "names",
    name: name.replaceAll(/["\s]/g, "").toLowerCase(),
    at: index,
  }));

const PARTED = new RegExp(`[\\s.*${HOLE}]`, "u");

const splitStatements = (tokens: Token[]): Token[][] => {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    statements.at(-1)?.push(token);
    if (token.kind === "sign" && token.text === ";") statements.push([]);
  }
  return statements;
};

/**
 * What a text does, in no order.
 * @param declared the tables that comments around it say that it writes
 */
export function mentionsIn(text: string, declared: readonly string[] = []): Mention[] {
  // One word is neither a statement nor a name with its schema.
  if (!PARTED.test(text)) return [];
  if (ONLY_NAMES.test(text)) return namesIn(text);
  return splitStatements(tokensOf(text)).flatMap((tokens) => {
    const comments = tokens.filter(({ kind }) => kind === "comment");
    const said = [...declared, ...comments.flatMap((comment) => declaredIn(comment.text))];
    const finder = new Finder(
      tokens.filter(({ kind }) => kind !== "comment"),
      said,
    );
    finder.run();
    const nested = joined(tokens)
      .filter(({ kind }) => kind === "string" || kind === "body")
      .flatMap((token) => mentionsIn(token.text, said).map((found) => ({ ...found, at: found.at + token.inner })))
      // A name in a string of SQL, such as 'sync.subjects'::regclass.
      .map((found) => (found.does === "names" ? { ...found, does: "reads" as const } : found));
    return [...finder.found, ...nested];
  });
}
