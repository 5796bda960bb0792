/** The rows of borders.ts as rooms, and what the rows themselves may get wrong. */

/** Where the rows are, for messages. */
export const FILE = "borders.ts";

/**
 * Name of the room, the rooms that it may import, the tables that it owns. Names in a list are parted by blanks. Among the
 * rooms, `*` means all above it, `plaid/verify.ts` this file only, and `only errors.ts clock.ts` in front that of the files of
 * src/ itself it may import these.
 */
export type Row = readonly [room: string, imports: string, owns: string];

/** A file or a room; what it does, such as `reads sync.subjects` or `writes plaid.*`; why. */
export type Exception = readonly [who: string, does: string, why: string];

export interface Table {
  readonly ROOMS: readonly Row[];
  readonly SQL_FILES: Readonly<Record<string, string>>;
  readonly EXCEPTIONS: readonly Exception[];
}

export interface Room {
  /** Folder under src/. */
  readonly name: string;
  /** Rooms, or `*`: all that stand above it. */
  readonly imports: readonly string[];
  /** Files of other rooms that it may import, without the tables of those rooms. */
  readonly files: readonly string[];
  /** Files of src/ itself that it may import; null: all. */
  readonly leaves: readonly string[] | null;
  readonly owns: readonly string[];
}

const list = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** @returns whether a folder is another one or stands in it */
export const within = (folder: string, outer: string): boolean => folder === outer || folder.startsWith(`${outer}/`);

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

export const schemaOf = (table: string): string => table.split(".", 1)[0] ?? "";

export class Rooms {
  readonly all: readonly Room[];
  private readonly owners = new Map<string, Room>();
  readonly sqlFiles: Readonly<Record<string, string>>;

  constructor({ ROOMS, SQL_FILES }: Pick<Table, "ROOMS" | "SQL_FILES">) {
    this.sqlFiles = SQL_FILES;
    this.all = ROOMS.map(([name, imports, owns]) => {
      const words = list(imports);
      const paths = words.filter((word) => word.endsWith(".ts"));
      const leaves = words[0] === "only" ? paths.filter((path) => !path.includes("/")) : null;
      const files = paths.filter((path) => path.includes("/"));
      const rooms = words.filter((word) => word !== "only" && !leaves?.includes(word) && !files.includes(word));
      return { name, imports: rooms, files, leaves, owns: list(owns) };
    });
    for (const room of this.all) for (const table of room.owns) this.owners.set(table, room);
  }

  named(name: string): Room | undefined {
    return this.all.find((room) => room.name === name);
  }

  /** The room of a file. @param path relative to src/, with a folder. A room that has rooms in it holds only its own files. */
  of(path: string): Room | undefined {
    const folder = this.named(path) ? path : folderOf(path);
    const room = this.all
      .filter(({ name }) => within(folder, name))
      .toSorted((a, b) => b.name.length - a.name.length)[0];
    const divided = this.all.some(({ name }) => name !== room?.name && within(name, room?.name ?? ""));
    return divided && folder !== room?.name ? undefined : room;
  }

  /** The room of a file of sql/. */
  ofSql(file: string): Room | undefined {
    const what = file.replace(/^\d+_/, "").replace(/\.sql$/, "");
    const own = this.named(this.sqlFiles[file] ?? "");
    return (
      own ??
      this.all
        .filter(({ name }) => within(what.replaceAll("_", "/"), name.replaceAll("_", "/")))
        .toSorted((a, b) => b.name.length - a.name.length)[0]
    );
  }

  ownerOf(table: string): Room | undefined {
    return this.owners.get(table) ?? this.owners.get(`${schemaOf(table)}.*`);
  }

  isSchema(schema: string): boolean {
    return [...this.owners.keys()].some((table) => schemaOf(table) === schema);
  }

  mayImport(room: Room, other: Room): boolean {
    if (room === other || room.imports.some((name) => within(other.name, name))) return true;
    return room.imports.includes("*") && this.all.indexOf(other) < this.all.indexOf(room);
  }
  /** What an outer room owns belongs to the rooms in it too. */
  mayWrite(room: Room, owner: Room): boolean {
    return within(room.name, owner.name);
  }
  mayRead(room: Room, owner: Room): boolean {
    return this.mayWrite(room, owner) || this.mayImport(room, owner);
  }
  /** It owns a whole schema, or the room around it does. */
  ownsSchema(room: Room): boolean {
    return this.all.some((owner) => this.mayWrite(room, owner) && owner.owns.some((table) => table.endsWith(".*")));
  }

  /** @returns the errors of the rows, for any content of the tree */
  mistakes(): string[] {
    return [...this.all.flatMap((room, index) => this.mistakesOf(room, index)), ...this.lostSqlFiles()];
  }

  private mistakesOf(room: Room, index: number): string[] {
    const above = this.all.slice(0, index);
    const isAbove = (name: string): boolean => name === "*" || above.some((other) => within(other.name, name));
    const unknown = [...room.imports, ...room.files.map(folderOf)].filter((name) => !isAbove(name));
    const others = this.all.slice(index + 1);
    return [
      ...unknown.map((name) =>
        this.all.some((other) => within(other.name, name))
          ? `${room.name}/ may not import ${name}/, which does not stand above it. Imports go one way.`
          : `${room.name}/ is to import ${name}, which has no row.`,
      ),
      ...others.filter(({ name }) => name === room.name).map(({ name }) => `${name}/ has two rows. Make one of them.`),
      ...room.owns
        .filter((table) => others.some(({ owns }) => owns.includes(table)))
        .map((table) => `${table} has two owners. Only one room writes a table.`),
      ...room.owns
        .filter((table) => !/^[a-z_]+\.([a-z_0-9]+|\*)$/.test(table))
        .map((table) => `${room.name}/ owns ${table}, which is no name of a table. Write schema.table or schema.*.`),
    ];
  }

  private lostSqlFiles(): string[] {
    return Object.entries(this.sqlFiles)
      .filter(([, name]) => !this.named(name))
      .map(([file, name]) => `sql/${file} is to belong to ${name}, which has no row.`);
  }
}
