/** A small tree in which every border holds, to break on purpose. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach } from "vitest";
import type { Finding } from "../../scripts/borders/judge.ts";
import { findings } from "../../scripts/borders/rules.ts";
import type { Row, Table } from "../../scripts/borders/table.ts";

export const ROWS: readonly Row[] = [
  ["low", "", "low.things low.notes"],
  ["middle", "low", "middle.*"],
  ["outer/one", "low", "outer.first"],
  ["outer/two", "low outer/one", ""],
  ["outer", "low outer/one outer/two", "outer.*"],
  ["high", "low middle outer", "high.jobs"],
  ["apart", "only errors.ts", ""],
];

/** A tree in which every border holds. */
const TREE: Readonly<Record<string, string>> = {
  "src/errors.ts": "export const fail = 1;",
  "src/clock.ts": 'import { fail } from "./errors.ts"; export const now = fail;',
  "src/low/low.ts": 'import { now } from "../clock.ts"; export const low = now; export type Low = number;',
  "src/middle/middle.ts": 'import { low } from "../low/low.ts"; export const middle = low;',
  "src/middle/inner/deep.ts": "export const deep = 1;",
  "src/outer/one/one.ts": "export const one = 1;",
  "src/outer/two/two.ts": 'import { one } from "../one/one.ts"; export const two = one;',
  "src/outer/outer.ts": 'import { two } from "./two/two.ts"; export const outer = two;',
  "src/high/high.ts": 'import { outer } from "../outer/outer.ts"; export const high = outer;',
  "src/high/index.ts": "export const index = 1;",
  "src/apart/apart.ts": 'import { fail } from "../errors.ts"; export const apart = fail;',
  "sql/0001_low.sql": "create table low.things (id text);\ncreate table if not exists low.notes (id text);",
  "sql/0002_middle.sql": "create table middle.rows (id text);\ncreate view middle.seen as select id from low.things;",
  "sql/0003_outer.sql": "create table outer.first (id text);\ncreate unlogged table outer.second (id text);",
  "sql/0004_high.sql": "create table high.jobs (id text references low.things (id));",
  "sql/0005_high_functions.sql": "create function high.rank(id text) returns int language sql as $$ select 1 $$;",
};

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** What crosses a border in the tree with these files in it; null takes a file away. */
export function found(files: Readonly<Record<string, string | null>>, table: Partial<Table> = {}): Finding[] {
  const root = mkdtempSync(join(tmpdir(), "borders-"));
  roots.push(root);
  for (const [path, text] of Object.entries({ ...TREE, ...files })) {
    if (text === null) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return findings(root, { FOLDERS: ROWS, SQL_FILES: {}, EXCEPTIONS: [], ...table });
}

export const short = ({ file, line, does }: Finding): string => `${file}:${line} ${does}`;
export const crossed = (files: Readonly<Record<string, string | null>>, table?: Partial<Table>): string[] =>
  found(files, table).map(short);
export const sentences = (files: Readonly<Record<string, string | null>>, table?: Partial<Table>): string[] =>
  found(files, table).map(({ file, line, text }) => `${file}:${line} ${text}`);
