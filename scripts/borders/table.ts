/** The folders that borders.ts has rows for, and what the rows themselves may get wrong. */

/** Where the rows are, for messages. */
export const FILE = "borders.ts";

/**
 * Name of the folder, the folders that it may import, the tables that it owns. Names in a list are parted by blanks. Among the
 * folders, `*` means all above it, `plaid/verify.ts` this file only, and `only errors.ts clock.ts` in front that of the files of
 * src/ itself it may import these.
 */
export type Row = readonly [folder: string, imports: string, owns: string];

/** A file or a folder; what it does, such as `reads sync.subjects` or `writes plaid.*`; why. */
export type Exception = readonly [who: string, does: string, why: string];

export interface Table {
  readonly FOLDERS: readonly Row[];
  readonly SQL_FILES: Readonly<Record<string, string>>;
  readonly EXCEPTIONS: readonly Exception[];
}

export interface Folder {
  /** Folder under src/. */
  readonly name: string;
  /** Folders, or `*`: all that stand above it. */
  readonly imports: readonly string[];
  /** Files of other folders that it may import, without the tables of those folders. */
  readonly files: readonly string[];
  /** Files of src/ itself that it may import; null: all. */
  readonly leaves: readonly string[] | null;
  readonly owns: readonly string[];
}

const list = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** @returns whether a folder is another one or stands in it */
export const within = (inner: string, outer: string): boolean => inner === outer || inner.startsWith(`${outer}/`);

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

export const schemaOf = (table: string): string => table.split(".", 1)[0] ?? "";

export class Folders {
  readonly all: readonly Folder[];
  private readonly owners = new Map<string, Folder>();
  readonly sqlFiles: Readonly<Record<string, string>>;

  constructor({ FOLDERS, SQL_FILES }: Pick<Table, "FOLDERS" | "SQL_FILES">) {
    this.sqlFiles = SQL_FILES;
    this.all = FOLDERS.map(([name, imports, owns]) => {
      const words = list(imports);
      const paths = words.filter((word) => word.endsWith(".ts"));
      const leaves = words[0] === "only" ? paths.filter((path) => !path.includes("/")) : null;
      const files = paths.filter((path) => path.includes("/"));
      const folders = words.filter((word) => word !== "only" && !leaves?.includes(word) && !files.includes(word));
      return { name, imports: folders, files, leaves, owns: list(owns) };
    });
    for (const folder of this.all) for (const table of folder.owns) this.owners.set(table, folder);
  }

  named(name: string): Folder | undefined {
    return this.all.find((folder) => folder.name === name);
  }

  /** The folder of a file. @param path relative to src/. A folder that has rows for folders in it holds only its own files. */
  of(path: string): Folder | undefined {
    const at = this.named(path) ? path : folderOf(path);
    const folder = this.all.filter(({ name }) => within(at, name)).toSorted((a, b) => b.name.length - a.name.length)[0];
    const divided = this.all.some(({ name }) => name !== folder?.name && within(name, folder?.name ?? ""));
    return divided && at !== folder?.name ? undefined : folder;
  }

  /** The folder of a file of sql/. */
  ofSql(file: string): Folder | undefined {
    const what = file.replace(/^\d+_/, "").replace(/\.sql$/, "");
    const own = this.named(this.sqlFiles[file] ?? "");
    return (
      own ??
      this.all
        .filter(({ name }) => within(what.replaceAll("_", "/"), name.replaceAll("_", "/")))
        .toSorted((a, b) => b.name.length - a.name.length)[0]
    );
  }

  ownerOf(table: string): Folder | undefined {
    return this.owners.get(table) ?? this.owners.get(`${schemaOf(table)}.*`);
  }

  isSchema(schema: string): boolean {
    return [...this.owners.keys()].some((table) => schemaOf(table) === schema);
  }

  mayImport(folder: Folder, other: Folder): boolean {
    if (folder === other || folder.imports.some((name) => within(other.name, name))) return true;
    return folder.imports.includes("*") && this.all.indexOf(other) < this.all.indexOf(folder);
  }
  /** What an outer folder owns belongs to the folders in it too. */
  mayWrite(folder: Folder, owner: Folder): boolean {
    return within(folder.name, owner.name);
  }
  mayRead(folder: Folder, owner: Folder): boolean {
    return this.mayWrite(folder, owner) || this.mayImport(folder, owner);
  }
  /** It owns a whole schema, or the folder around it does. */
  ownsSchema(folder: Folder): boolean {
    return this.all.some((owner) => this.mayWrite(folder, owner) && owner.owns.some((table) => table.endsWith(".*")));
  }

  /** @returns the errors of the rows, for any content of the tree */
  mistakes(): string[] {
    return [...this.all.flatMap((folder, index) => this.mistakesOf(folder, index)), ...this.lostSqlFiles()];
  }

  private mistakesOf(folder: Folder, index: number): string[] {
    const above = this.all.slice(0, index);
    const isAbove = (name: string): boolean => name === "*" || above.some((other) => within(other.name, name));
    const unknown = [...folder.imports, ...folder.files.map(folderOf)].filter((name) => !isAbove(name));
    const others = this.all.slice(index + 1);
    return [
      ...unknown.map((name) =>
        this.all.some((other) => within(other.name, name))
          ? `${folder.name}/ may not import ${name}/, which does not stand above it. Imports go one way.`
          : `${folder.name}/ is to import ${name}, which has no row.`,
      ),
      ...others
        .filter(({ name }) => name === folder.name)
        .map(({ name }) => `${name}/ has two rows. Make one of them.`),
      ...folder.owns
        .filter((table) => others.some(({ owns }) => owns.includes(table)))
        .map((table) => `${table} has two owners. Only one folder writes a table.`),
      ...folder.owns
        .filter((table) => !/^[a-z_]+\.([a-z_0-9]+|\*)$/.test(table))
        .map((table) => `${folder.name}/ owns ${table}, which is no name of a table. Write schema.table or schema.*.`),
    ];
  }

  private lostSqlFiles(): string[] {
    return Object.entries(this.sqlFiles)
      .filter(([, name]) => !this.named(name))
      .map(([file, name]) => `sql/${file} is to belong to ${name}, which has no row.`);
  }
}
