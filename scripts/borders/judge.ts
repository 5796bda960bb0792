/** Judges what one file does. Every sentence says what was done, which border it crosses, and what to do instead. */
import { relative, sep } from "node:path";
import type { Does, Mention } from "./sql.ts";
import { FILE, type Folder, type Folders, schemaOf } from "./table.ts";
import { ANY } from "./tokens.ts";
import type { File } from "./tree.ts";

export interface Finding {
  readonly file: string;
  /** 0: the file as a whole. */
  readonly line: number;
  /** What was done, in the words of an exception: `writes sync.subjects`. */
  readonly does: string;
  readonly text: string;
}

/** What the tree makes: tables and views, and functions with the folder of their file. */
export interface Things {
  readonly tables: ReadonlySet<string>;
  /** Tables that migrations made and dropped again. */
  readonly gone: ReadonlySet<string>;
  readonly functions: ReadonlyMap<string, Folder>;
}

/** Where a file is: in a folder that has a row, or in src/ itself. */
export type Home = Folder | "leaf";

interface Place {
  readonly file: string;
  readonly line: number;
  readonly home: Home;
}

const POSTGRES_SCHEMAS = new Set(["pg_catalog", "information_schema", "pg_temp", "pg_toast"]);

/** @returns whether a name is one of a table that the tree itself may make */
export const isOwnName = (name: string): boolean =>
  name.includes(".") && !name.endsWith(".*") && !POSTGRES_SCHEMAS.has(schemaOf(name));

export class Judge {
  readonly findings: Finding[] = [];
  private readonly root: string;
  private readonly folders: Folders;
  private readonly things: Things;
  constructor(root: string, folders: Folders, things: Things) {
    this.root = root;
    this.folders = folders;
    this.things = things;
  }

  file({ path: file, errors, imports, mentions }: File, home: Home): void {
    for (const error of errors) this.add({ file, line: 0 }, "cannot be read", `: ${error}`);
    for (const { path, line } of imports) this.import({ file, line, home }, path);
    for (const mention of mentions) this.mention({ file, line: mention.line, home }, mention);
  }

  /** @param rest the end of the sentence that begins with what was done */
  private add({ file, line }: Pick<Place, "file" | "line">, does: string, rest: string): void {
    this.findings.push({ file, line, does, text: `${does}${rest}` });
  }

  private import(place: Place, target: string | null): void {
    if (target === null) {
      return this.add(
        place,
        "imports an unknown path",
        ", which cannot be checked. Write the path out, relative to the file.",
      );
    }
    const path = relative(this.root, target).split(sep).join("/");
    if (!path.startsWith("src/")) {
      return this.add(place, `imports ${path}`, ", which is not in src/. Only what is in src/ is shipped.");
    }
    const inside = path.slice("src/".length);
    if (!inside.includes("/") && !this.folders.named(inside)) return this.importLeaf(place, inside);
    const folder = this.folders.of(inside);
    if (!folder) return this.add(place, `imports ${path}`, `, whose folder has no row. Add one to ${FILE}.`);
    const { home } = place;
    if (home !== "leaf" && (this.folders.mayImport(home, folder) || home.files.includes(inside))) return;
    this.add(place, `imports ${folder.name}`, `/ (${path}). ${mayImport(home)} ${INSTEAD_OF_IMPORT}`);
  }

  private importLeaf(place: Place, written: string): void {
    const name = written.replace(/\.[cm]?[jt]s$|$/, ".ts");
    const { home } = place;
    if (home === "leaf" || !home.leaves || home.leaves.includes(name)) return;
    this.add(place, `imports ${name}`, `. ${mayImport(home)}`);
  }

  private mention(place: Place, mention: Mention): void {
    const { does, begins = "", creates } = mention;
    // `low.things${where}` is low.things with a hole after it; `low.things_${day}` is any table of low.
    const name = this.things.tables.has(begins) ? begins : mention.name;
    const done = `${does} ${name}`;
    if (does === "calls" || does === "defines") return this.function(place, does, name);
    if (name === ANY) return this.unnamed(place, mention);
    if (!name.includes(".")) return this.add(place, done, ` without its schema. Write schema.${name}.`);
    if (name.endsWith(".*")) return this.schema(place, mention);
    if (!this.isTable({ ...mention, name }) || (place.file.startsWith("sql/") && this.things.gone.has(name))) return;
    const owner = this.folders.ownerOf(name);
    if (!owner) return this.add(place, done, `, which no folder owns. Add it to its owner's row in ${FILE}.`);
    if (!this.things.tables.has(name) && !creates) {
      return this.add(place, done, ", which no statement creates. Is it misspelt?");
    }
    this.owned(place, does, name, owner);
  }

  /** A name with a dot is a table if the tree makes it, or if it stands where only a table can. */
  private isTable({ does, name, certain }: Mention): boolean {
    if (this.things.tables.has(name)) return true;
    if (!certain || !isOwnName(name)) return false;
    return does === "writes" || this.folders.isSchema(schemaOf(name));
  }

  private owned(place: Place, does: Does, name: string, owner: Folder): void {
    const { file, home } = place;
    const reads = does === "reads" || does === "calls";
    if (home !== "leaf" && (reads ? this.folders.mayRead(home, owner) : this.folders.mayWrite(home, owner))) return;
    // The tables of a folder are made in one file, those of the folders in it among them.
    if (home !== "leaf" && file.startsWith("sql/") && this.folders.mayWrite(owner, home)) return;
    const instead = reads
      ? insteadOfReading(home, owner)
      : does === "names"
        ? `A table's bare name can end up in any statement, so write the whole statement in ${owner.name}/.`
        : insteadOfWriting(this.folders, place, owner);
    this.add(place, `${does} ${name}`, `, which ${owner.name}/ owns. ${instead}`);
  }

  private function(place: Place, does: "calls" | "defines", name: string): void {
    const owner = this.things.functions.get(name);
    if (owner) this.owned(place, does, name, owner);
  }

  /** Any table of a schema: all that are in it, but where the schema's owner says it of its own. */
  private schema(place: Place, { does, name }: Mention): void {
    if (place.home !== "leaf" && place.home.owns.includes(name)) return;
    const tables = [...this.things.tables, name].filter((table) => schemaOf(table) === schemaOf(name));
    const owners = new Set(tables.flatMap((table) => this.folders.ownerOf(table) ?? []));
    for (const owner of owners) this.owned(place, does, name, owner);
  }

  private unnamed(place: Place, { does, declared = [] }: Mention): void {
    for (const name of declared) this.mention(place, { does, name, at: 0, certain: true });
    if (declared.length > 0 || (place.home !== "leaf" && this.folders.ownsSchema(place.home))) return;
    const instead =
      "Write the name out, or name the tables in a comment beside it: `writes: schema.table, schema.table`.";
    this.add(place, "writes an unnamed table", `: the statement does not hold its name. ${instead}`);
  }
}

const list = (names: readonly string[]): string => names.join(", ").replace(/, ([^,]*)$/, " and $1");
const called = (home: Home): string => (home === "leaf" ? "A file of src/ itself" : `${home.name}/`);

function mayImport(home: Home): string {
  if (home === "leaf") return "A file of src/ itself imports only such files.";
  const folders = home.imports.map((name) => (name === "*" ? "every folder above it" : `${name}/`));
  return `${called(home)} may import ${list([...folders, ...home.files, ...(home.leaves ?? ["the files of src/ itself"])])}.`;
}

const INSTEAD_OF_IMPORT =
  "Move what both need to a folder below both, or let a folder above pass it in as a parameter.";

function insteadOfWriting(folders: Folders, { file, home }: Place, owner: Folder): string {
  if (file.startsWith("sql/")) return `Move the statement to a file of sql/ that belongs to ${owner.name}/.`;
  return home !== "leaf" && folders.mayImport(home, owner)
    ? `Call a function of ${owner.name}/ in your transaction.`
    : `Let a folder that may import both call a function of ${owner.name}/ in the same transaction.`;
}

const insteadOfReading = (home: Home, owner: Folder): string =>
  `${called(home)} may not import ${owner.name}/, so it may not use its tables or functions either. ` +
  "Let a folder above give it what it needs.";
