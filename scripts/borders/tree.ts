/** Reads the files that have borders: everything in src/, and the migrations in sql/. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { type Import, liner, readCode } from "./code.ts";
import { type Mention, mentionsIn } from "./sql.ts";

export interface File {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly imports: readonly Import[];
  readonly mentions: readonly (Mention & { readonly line: number })[];
  readonly errors: readonly string[];
}

function filesIn(root: string, folder: string, kind: RegExp): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && kind.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .toSorted();
}

function readSql(root: string, path: string): File {
  const source = readFileSync(join(root, path), "utf8");
  const line = liner(source);
  return {
    path,
    imports: [],
    mentions: mentionsIn(source).map((found) => ({ ...found, line: line(found.at) })),
    errors: [],
  };
}

function readSource(root: string, path: string): File {
  const file = join(root, path);
  const { imports, texts, errors } = readCode(file, readFileSync(file, "utf8"));
  const mentions = texts.flatMap(({ text, declared, line }) =>
    mentionsIn(text, declared).map((found) => ({ ...found, line: line(found.at) })),
  );
  return { path, imports, mentions, errors };
}

/** @param root absolute */
export function readTree(root: string): { sources: File[]; migrations: File[] } {
  const sources = filesIn(root, "src", /\.(?:[cm]?[jt]sx?|sql)$/);
  return {
    sources: sources.map((path) => (path.endsWith(".sql") ? readSql(root, path) : readSource(root, path))),
    migrations: filesIn(root, "sql", /\.sql$/).map((path) => readSql(root, path)),
  };
}
