/** Holds a whole tree against the rows of borders.ts. */
import { type Finding, type Home, isOwnName, Judge, type Things } from "./judge.ts";
import { FILE, type Room, Rooms, schemaOf, type Table } from "./table.ts";
import { type File, readTree } from "./tree.ts";

function homeOf(rooms: Rooms, path: string): Home | undefined {
  const [top, ...rest] = path.split("/");
  if (top === "sql") return rooms.ofSql(rest.join("/"));
  return rest.length === 1 ? "leaf" : rooms.of(rest.join("/"));
}

function thingsOf(rooms: Rooms, files: readonly File[]): Things {
  const tables = new Set<string>();
  const gone = new Set<string>();
  const functions = new Map<string, Room>();
  for (const { path, mentions } of files) {
    const room = homeOf(rooms, path);
    for (const { does, name, creates, drops } of mentions.toSorted((a, b) => a.at - b.at)) {
      if (creates && isOwnName(name)) tables.add(name);
      if (drops && path.startsWith("sql/") && tables.delete(name)) gone.add(name);
      const defined = does === "defines" && room !== "leaf" && room;
      if (defined && !functions.has(name)) functions.set(name, defined);
    }
  }
  return { tables, gone: new Set([...gone].filter((name) => !tables.has(name))), functions };
}

const inTable = (text: string): Finding => ({ file: FILE, line: 0, does: "is wrong", text });

/** What the rows name and the tree does not hold. */
function emptyRows(rooms: Rooms, { tables }: Things, files: readonly File[]): Finding[] {
  const isMade = (table: string): boolean =>
    table.endsWith(".*") ? [...tables].some((made) => schemaOf(made) === schemaOf(table)) : tables.has(table);
  const exists = (start: string): boolean => files.some(({ path }) => path.startsWith(start));
  return [
    ...rooms.all.flatMap(({ name, owns, files: single, leaves }) => [
      ...(exists(`src/${name}/`) ? [] : [`${name}/ has a row but no file. Remove the row.`]),
      ...owns
        .filter((table) => !isMade(table))
        .map((table) => `${name}/ owns ${table}, which no statement creates. Remove it from the row.`),
      ...[...single, ...(leaves ?? [])]
        .filter((path) => !exists(`src/${path}`))
        .map((path) => `${name}/ may import ${path}, which does not exist. Remove it from the row.`),
    ]),
    ...Object.keys(rooms.sqlFiles)
      .filter((file) => !exists(`sql/${file}`))
      .map((file) => `sql/${file} has a room but does not exist. Remove the line.`),
  ].map(inTable);
}

const withoutRoom = (path: string): string =>
  path.startsWith("sql/")
    ? `is named after no room. Name it NNNN_<room>.sql or NNNN_<room>_<what>.sql.`
    : `is in no room. Add a row for ${path.slice("src/".length, path.lastIndexOf("/"))} to ${FILE}.`;

/** Each once, in the order of the files. Who writes a table reads it too, which need not be said. */
function tidy(found: readonly Finding[]): Finding[] {
  const done = new Set(found.map(({ file, does }) => `${file} ${does}`));
  const said = found.filter(
    ({ file, does }) => !does.startsWith("reads ") || !done.has(`${file} ${does.replace("reads", "writes")}`),
  );
  const once = [...new Map(said.map((one) => [`${one.file}:${one.line} ${one.text}`, one])).values()];
  return once.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

/** Everything that crosses a border, what is excepted among it. @param root absolute */
export function findings(root: string, table: Pick<Table, "ROOMS" | "SQL_FILES">): Finding[] {
  const rooms = new Rooms(table);
  const { sources, migrations } = readTree(root);
  const files = [...migrations, ...sources];
  const things = thingsOf(rooms, files);
  const judge = new Judge(root, rooms, things);
  const homeless: Finding[] = [];
  for (const file of files) {
    const home = homeOf(rooms, file.path);
    if (home) judge.file(file, home);
    else homeless.push({ file: file.path, line: 0, does: "has no room", text: withoutRoom(file.path) });
  }
  return tidy([...rooms.mistakes().map(inTable), ...emptyRows(rooms, things, files), ...homeless, ...judge.findings]);
}
