/** Holds a whole tree against the rows of borders.ts. */
import { type Finding, type Home, isOwnName, Judge, type Things } from "./judge.ts";
import { FILE, type Folder, Folders, schemaOf, type Table } from "./table.ts";
import { type File, readTree } from "./tree.ts";

function homeOf(folders: Folders, path: string): Home | undefined {
  const [top, ...rest] = path.split("/");
  if (top === "sql") return folders.ofSql(rest.join("/"));
  return rest.length === 1 ? "leaf" : folders.of(rest.join("/"));
}

function thingsOf(folders: Folders, files: readonly File[]): Things {
  const tables = new Set<string>();
  const gone = new Set<string>();
  const functions = new Map<string, Folder>();
  for (const { path, mentions } of files) {
    const folder = homeOf(folders, path);
    for (const { does, name, creates, drops } of mentions.toSorted((a, b) => a.at - b.at)) {
      if (creates && isOwnName(name)) for (const made of [name, ...viewsOf(name)]) tables.add(made);
      if (drops && path.startsWith("sql/") && tables.delete(name)) gone.add(name);
      const defined = does === "defines" && folder !== "leaf" && folder;
      if (defined && !functions.has(name)) functions.set(name, defined);
    }
  }
  return { tables, gone: new Set([...gone].filter((name) => !tables.has(name))), functions };
}

/** tartan.protect_mirror() makes a view of each table of the mirror: of the rows that Plaid still has. */
const viewsOf = (table: string): string[] =>
  schemaOf(table) === "plaid" ? [`plaid.current_${table.slice("plaid.".length)}`] : [];

const inTable = (text: string): Finding => ({ file: FILE, line: 0, does: "is wrong", text });

/** What the rows name and the tree does not hold. */
function emptyRows(folders: Folders, { tables }: Things, files: readonly File[]): Finding[] {
  const isMade = (table: string): boolean =>
    table.endsWith(".*") ? [...tables].some((made) => schemaOf(made) === schemaOf(table)) : tables.has(table);
  const exists = (start: string): boolean => files.some(({ path }) => path.startsWith(start));
  return [
    ...folders.all.flatMap(({ name, owns, files: single, leaves }) => [
      ...(exists(`src/${name}/`) ? [] : [`${name}/ has a row but no file. Remove the row.`]),
      ...owns
        .filter((table) => !isMade(table))
        .map((table) => `${name}/ owns ${table}, which no statement creates. Remove it from the row.`),
      ...[...single, ...(leaves ?? [])]
        .filter((path) => !exists(`src/${path}`))
        .map((path) => `${name}/ may import ${path}, which does not exist. Remove it from the row.`),
    ]),
    ...Object.keys(folders.sqlFiles)
      .filter((file) => !exists(`sql/${file}`))
      .map((file) => `sql/${file} is given a folder but does not exist. Remove the line.`),
  ].map(inTable);
}

const withoutRow = (path: string): string =>
  path.startsWith("sql/")
    ? `is named after no folder. Name it NNNN_<folder>.sql or NNNN_<folder>_<what>.sql.`
    : `is in a folder without a row. Add one for ${path.slice("src/".length, path.lastIndexOf("/"))} to ${FILE}.`;

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
export function findings(root: string, table: Pick<Table, "FOLDERS" | "SQL_FILES">): Finding[] {
  const folders = new Folders(table);
  const { sources, migrations } = readTree(root);
  const files = [...migrations, ...sources];
  const things = thingsOf(folders, files);
  const judge = new Judge(root, folders, things);
  const homeless: Finding[] = [];
  for (const file of files) {
    const home = homeOf(folders, file.path);
    if (home) judge.file(file, home);
    else homeless.push({ file: file.path, line: 0, does: "has no row", text: withoutRow(file.path) });
  }
  return tidy([
    ...folders.mistakes().map(inTable),
    ...emptyRows(folders, things, files),
    ...homeless,
    ...judge.findings,
  ]);
}
