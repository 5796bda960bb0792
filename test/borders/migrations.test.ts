/** Files of SQL, held against the rows of a small tree. */
import { expect, it } from "vitest";
import type { Row } from "../../scripts/borders/table.ts";
import { crossed, ROWS } from "./tree.ts";

it("a file of sql/ may not write, read or call what its folder may not, in the body of a function either", () => {
  const source = `create function middle.spoil() returns trigger language plpgsql as $$
    begin
      update low.things set id = 1;
      perform high.rank(id) from high.jobs;
      execute format('delete from outer.%I', new.name);
      return null;
    end $$;
    create index some on low.notes (id);`;
  expect(crossed({ "sql/0006_middle.sql": source })).toEqual([
    "sql/0006_middle.sql:3 writes low.things",
    "sql/0006_middle.sql:4 reads high.jobs",
    "sql/0006_middle.sql:4 calls high.rank",
    "sql/0006_middle.sql:5 writes outer.*",
    "sql/0006_middle.sql:5 writes outer.*",
    "sql/0006_middle.sql:8 writes low.notes",
  ]);
});

it("a file of sql/ may not define a function again that belongs to another folder", () => {
  const source = "create or replace function high.rank(id text) returns int language sql as $$ select 2 $$";
  const calls =
    "drop function high.rank(text);\ncreate trigger t after insert on middle.rows execute function high.rank()";
  expect(crossed({ "sql/0006_middle.sql": source, "sql/0007_middle.sql": calls })).toEqual([
    "sql/0006_middle.sql:1 defines high.rank",
    "sql/0007_middle.sql:1 calls high.rank",
    "sql/0007_middle.sql:2 calls high.rank",
  ]);
});

it("a file of sql/ belongs to the folder that its name begins with, or to the one that borders.ts says", () => {
  const source = "alter table outer.first add column more text";
  expect(
    crossed(
      {
        "sql/0006_outer_one_more.sql": source,
        "sql/0007_outer_more.sql": source,
        "sql/0008_outermost.sql": source,
        "sql/0010_outer_two.sql": source,
        "sql/0009_late.sql": source,
      },
      { SQL_FILES: { "0009_late.sql": "outer/one" } },
    ),
  ).toEqual(["sql/0008_outermost.sql:0 has no row", "sql/0010_outer_two.sql:1 writes outer.first"]);
});

it("a table that a file of sql/ drops or renames is no table any more", () => {
  const files = {
    "sql/0006_high.sql":
      "create table high.old (id text); insert into high.old values ('1'); create table high.draft (id text);",
    "sql/0007_high.sql":
      "drop table high.old;\nalter table high.draft rename to final;\ninsert into high.final values ('1');",
  };
  const rows = ROWS.map((row): Row => (row[0] === "high" ? [row[0], row[1], "high.jobs high.final"] : row));
  expect(crossed(files, { FOLDERS: rows })).toEqual([]);
  expect(crossed({ ...files, "src/high/bad.ts": '"select from high.old"' }, { FOLDERS: rows })).toEqual([
    "src/high/bad.ts:1 reads high.old",
  ]);
});

it("a file of SQL in src/ belongs to its folder", () => {
  expect(crossed({ "src/middle/bad.sql": "select 1;\ndelete from low.things;" })).toEqual([
    "src/middle/bad.sql:2 writes low.things",
  ]);
});
