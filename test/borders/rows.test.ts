/** The rows themselves, the exceptions from them, and what the checker says. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import * as borders from "../../borders.ts";
import { judged } from "../../scripts/borders/exceptions.ts";
import { findings } from "../../scripts/borders/rules.ts";
import type { Row } from "../../scripts/borders/table.ts";
import { crossed, found, ROWS, sentences, short } from "./tree.ts";

it("the tree holds its borders", () => {
  const all = findings(fileURLToPath(new URL("../..", import.meta.url)), borders);
  expect(judged(all, borders)).toEqual([]);
});

it("every folder of src/ needs a row", () => {
  expect(crossed({ "src/new/some.ts": "export {};", "src/low/use.ts": 'import "../new/some.ts";' })).toEqual([
    "src/low/use.ts:1 imports src/new/some.ts",
    "src/new/some.ts:0 has no row",
  ]);
});

it("every folder beside a folder within a folder needs a row", () => {
  expect(crossed({ "src/outer/three/some.ts": "export {};" })).toEqual(["src/outer/three/some.ts:0 has no row"]);
});

it("every table and view needs an owner", () => {
  expect(
    crossed({ "sql/0006_low.sql": "create table low.lost (id text);\ncreate view some.thing as select 1;" }),
  ).toEqual(["sql/0006_low.sql:1 writes low.lost", "sql/0006_low.sql:2 writes some.thing"]);
});

it("a row that names a table, a schema, a folder or a file that does not exist is refused", () => {
  const rows: readonly Row[] = [
    ...ROWS.filter(([name]) => name !== "apart"),
    ["apart", "only gone.ts low/gone.ts", "apart.lost lost.*"],
    ["gone", "", ""],
  ];
  expect(sentences({}, { FOLDERS: rows, SQL_FILES: { "0001_some.sql": "nobody" } })).toEqual([
    "borders.ts:0 sql/0001_some.sql is to belong to nobody, which has no row.",
    "borders.ts:0 apart/ owns apart.lost, which no statement creates. Remove it from the row.",
    "borders.ts:0 apart/ owns lost.*, which no statement creates. Remove it from the row.",
    "borders.ts:0 apart/ may import low/gone.ts, which does not exist. Remove it from the row.",
    "borders.ts:0 apart/ may import gone.ts, which does not exist. Remove it from the row.",
    "borders.ts:0 gone/ has a row but no file. Remove the row.",
    "borders.ts:0 sql/0001_some.sql is given a folder but does not exist. Remove the line.",
    "src/apart/apart.ts:1 imports errors.ts. apart/ may import low/gone.ts and gone.ts.",
  ]);
});

it("rows that let imports go both ways, or that give a table two owners, are refused", () => {
  const rows: readonly Row[] = [
    ["low", "middle nowhere errors.ts high/high.ts", "low.things low.notes middle.rows"],
    ...ROWS.slice(1),
    ["low", "", "middle.* x"],
  ];
  expect(sentences({}, { FOLDERS: rows }).filter((text) => text.startsWith("borders.ts"))).toEqual([
    "borders.ts:0 low/ may not import middle/, which does not stand above it. Imports go one way.",
    "borders.ts:0 low/ is to import nowhere, which has no row.",
    "borders.ts:0 low/ is to import errors.ts, which has no row.",
    "borders.ts:0 low/ may not import high/, which does not stand above it. Imports go one way.",
    "borders.ts:0 low/ has two rows. Make one of them.",
    "borders.ts:0 middle.* has two owners. Only one folder writes a table.",
    "borders.ts:0 low/ owns x, which is no name of a table. Write schema.table or schema.*.",
    "borders.ts:0 low/ owns x, which no statement creates. Remove it from the row.",
  ]);
});

it("a statement that names a table which nobody creates, or one without its schema, is refused", () => {
  const source = '"select from middle.row";\n"insert into thing (id) values (1)";\n"update some.where set id = 1"';
  expect(crossed({ "src/high/bad.ts": source })).toEqual([
    "src/high/bad.ts:1 reads middle.row",
    "src/high/bad.ts:2 writes thing",
    "src/high/bad.ts:3 writes some.where",
  ]);
});

it("a message names the file, the line, the border and what to do instead", () => {
  expect(
    sentences({
      "src/middle/bad.ts": [
        'import { high } from "../high/high.ts";',
        '"update low.things set id = 1";',
        '"update high.jobs set id = 1";',
        '"select from high.jobs";',
        "`delete from ${x}.y`;",
        '"delete from things where true";',
        '"low.things"; "select high.rank(1)"',
      ].join("\n"),
      "src/errors.ts": 'import "./low/low.ts";',
      "sql/0006_middle.sql": "alter table low.things add more text",
      "sql/0007_some.sql": "select 1",
    }),
  ).toEqual([
    "sql/0006_middle.sql:1 writes low.things, which low/ owns. Move the statement to a file of sql/ that belongs to low/.",
    "sql/0007_some.sql:0 is named after no folder. Name it NNNN_<folder>.sql or NNNN_<folder>_<what>.sql.",
    "src/errors.ts:1 imports low/ (src/low/low.ts). A file of src/ itself imports only such files. Move what both need to a folder below both, or let a folder above pass it in as a parameter.",
    "src/middle/bad.ts:1 imports high/ (src/high/high.ts). middle/ may import low/ and the files of src/ itself. Move what both need to a folder below both, or let a folder above pass it in as a parameter.",
    "src/middle/bad.ts:2 writes low.things, which low/ owns. Call a function of low/ in your transaction.",
    "src/middle/bad.ts:3 writes high.jobs, which high/ owns. Let a folder that may import both call a function of high/ in the same transaction.",
    "src/middle/bad.ts:6 writes things without its schema. Write schema.things.",
    "src/middle/bad.ts:7 names low.things, which low/ owns. A table's bare name can end up in any statement, so write the whole statement in low/.",
    "src/middle/bad.ts:7 calls high.rank, which high/ owns. middle/ may not import high/, so it may not use its tables or functions either. Let a folder above give it what it needs.",
  ]);
});

it("a file that cannot be parsed is reported", () => {
  const [first] = found({ "src/low/bad.ts": "export const = ;" });
  expect(short(first ?? { file: "", line: 0, does: "", text: "" })).toBe("src/low/bad.ts:0 cannot be read");
});

const BAD = { "src/middle/bad.ts": '"update low.things set id = 1"; "select from high.jobs"' };

it("an exception is not reported, in its file or folder and for what it does only", () => {
  const all = found(BAD);
  expect(judged(all, { EXCEPTIONS: [["middle", "writes low.*", "because"]] }).map(short)).toEqual([
    "src/middle/bad.ts:1 reads high.jobs",
  ]);
  expect(judged(all, { EXCEPTIONS: [["src/middle/bad.ts", "reads high.jobs", "because"]] }).map(short)).toEqual([
    "src/middle/bad.ts:1 writes low.things",
  ]);
});

it("an exception that nothing needs any more is refused", () => {
  const EXCEPTIONS = [["middle", "reads low.things", "because"]] as const;
  expect(judged(found({}), { EXCEPTIONS }).map(({ file, text }) => `${file} ${text}`)).toEqual([
    "borders.ts excepts that middle reads low.things, which it does not do. Remove the exception.",
  ]);
});
