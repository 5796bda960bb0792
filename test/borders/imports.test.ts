/** What src/ imports, held against the rows of a small tree. */
import { expect, it } from "vitest";
import type { Row } from "../../scripts/borders/table.ts";
import { crossed, ROWS } from "./tree.ts";

it("a folder may import the folders of its row and its own files", () => {
  const source = 'export * from "./low.ts"; import "../errors.ts"; import "./more";';
  expect(crossed({ "src/low/more.ts": source, "src/middle/more.ts": 'import "../low/more.ts";' })).toEqual([]);
});

it.each([
  ["a static import", 'import { middle } from "../middle/middle.ts";'],
  ["an import for its effect", 'import "../middle/middle.ts";'],
  ["an import of types", 'import type { Middle } from "../middle/middle.ts";'],
  ["a type that is imported where it is used", 'export type Mine = import("../middle/middle.ts").Middle;'],
  ["typeof an import", 'export type Mine = typeof import("../middle/middle.ts");'],
  ["a dynamic import", 'export const later = () => import("../middle/middle.ts");'],
  ["a dynamic import of a template without holes", "export const later = () => import(`../middle/middle.ts`);"],
  ["a dynamic import of a sum of strings", 'export const later = () => import("../middle/" + "middle.ts");'],
  ["a re-export of a name", 'export { middle } from "../middle/middle.ts";'],
  ["a re-export of everything", 'export * from "../middle/middle.ts";'],
  ["a re-export of types", 'export type { Middle } from "../middle/middle.ts";'],
  ["an import with require", 'import middle = require("../middle/middle.ts");'],
  ["a call of a require of any name", 'const load = createRequire(import.meta.url); load("../middle/middle.js");'],
  ["the URL of a worker", 'new Worker(new URL("../middle/middle.js", import.meta.url));'],
  ["an import with the ending of what is built", 'import { middle } from "../middle/middle.js";'],
  ["an import without an ending", 'import { middle } from "../middle/middle";'],
  ["an import of a folder", 'import { middle } from "../middle";'],
  ["an import that goes about", 'import { middle } from "../high/../low/../middle/middle.ts";'],
  ["a path with escapes", String.raw`import { middle } from "../m\u0069ddle/middle.ts";`],
  ["an augmented module", 'declare module "../middle/middle.ts" { interface Middle { more: 1 } }'],
  ["a reference in a comment", '/// <reference path="../middle/middle.ts" />'],
])("an import of a folder above is found in every form: %s", (_, source) => {
  expect(crossed({ "src/low/bad.ts": source })).toEqual(["src/low/bad.ts:1 imports middle"]);
});

it("an import of a folder above is found at every depth of a folder", () => {
  expect(
    crossed({
      "src/low/a/bad.ts": '\nimport { middle } from "../../middle/middle.ts";',
      "src/low/a/b/bad.ts": 'import { deep } from "../../../middle/inner/deep.ts";',
    }),
  ).toEqual(["src/low/a/b/bad.ts:1 imports middle", "src/low/a/bad.ts:2 imports middle"]);
});

it("a path in a comment, in a sentence or of no file is not an import", () => {
  const source =
    '// import "../middle/middle.ts"\nexport const text = "see ../middle/middle.ts"; export const dir = "../gone";';
  expect(crossed({ "src/low/good.ts": source })).toEqual([]);
});

it.each([
  ["a template with a hole", "import(`../low/${name}.ts`)"],
  ["a variable", "import(name)"],
  ["an absolute path", 'import("/srv/src/low/low.ts")'],
  ["a file URL", 'import("file:///srv/src/low/low.ts")'],
  ["a name of the package's own imports", 'import("#low")'],
])("an import of a path that cannot be followed is refused: %s", (_, source) => {
  expect(crossed({ "src/high/bad.ts": `export const bad = () => ${source};` })).toEqual([
    "src/high/bad.ts:1 imports an unknown path",
  ]);
});

it("a folder within a folder imports what its own row says, and nothing of the folder around it", () => {
  expect(
    crossed({
      "src/outer/one/bad.ts": 'import { two } from "../two/two.ts";',
      "src/outer/two/bad.ts": 'import { outer } from "../outer.ts";',
      "src/high/good.ts": 'import { one } from "../outer/one/one.ts";',
    }),
  ).toEqual(["src/outer/one/bad.ts:1 imports outer/two", "src/outer/two/bad.ts:1 imports outer"]);
});

it("a file of src/ itself imports only such files", () => {
  expect(crossed({ "src/config.ts": 'import { low } from "./low/low.ts";' })).toEqual(["src/config.ts:1 imports low"]);
});

it("a row can limit a folder to some of the files of src/ itself", () => {
  const source = 'import "../errors.ts";\nimport "../clock.ts";\nimport "../clock";';
  expect(crossed({ "src/apart/bad.ts": source })).toEqual([
    "src/apart/bad.ts:2 imports clock.ts",
    "src/apart/bad.ts:3 imports clock.ts",
  ]);
});

it("a row can allow a single file of a folder above it, without the tables of that folder", () => {
  const rows = ROWS.map((row): Row => (row[0] === "outer/two" ? ["outer/two", "middle/middle.ts", ""] : row));
  const source = 'import "../../middle/middle.ts";\nimport "../../middle/inner/deep.ts";\n"select from middle.rows";';
  expect(crossed({ "src/outer/two/two.ts": source }, { FOLDERS: rows })).toEqual([
    "src/outer/two/two.ts:2 imports middle",
    "src/outer/two/two.ts:3 reads middle.rows",
  ]);
});

it("an import of a file outside src/ is refused, and one of a package is not", () => {
  const source = 'import "pg";\nimport "node:fs";\nimport { startSome } from "../../test/support.ts";';
  expect(crossed({ "src/low/bad.ts": source })).toEqual(["src/low/bad.ts:3 imports test/support.ts"]);
});

it("a row that says * allows every folder above it and no other", () => {
  const rows = ROWS.map((row): Row => (row[0] === "outer/two" ? ["outer/two", "*", ""] : row));
  const source = 'import "../../middle/middle.ts";\nimport "../../high/high.ts"; "select from middle.rows, high.jobs";';
  expect(crossed({ "src/outer/two/some.ts": source }, { FOLDERS: rows })).toEqual([
    "src/outer/two/some.ts:2 imports high",
    "src/outer/two/some.ts:2 reads high.jobs",
  ]);
});
