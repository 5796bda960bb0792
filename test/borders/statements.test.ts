/** What the SQL of src/ writes, reads and calls, held against the rows of a small tree. */
import { expect, it } from "vitest";
import type { Row } from "../../scripts/borders/table.ts";
import { crossed, found, ROWS, short } from "./tree.ts";

it("a statement may write the tables of its folder and read those of the folders that it may import", () => {
  const source = `
    export const A = "insert into high.jobs (id) select id from low.things join middle.seen using (id)";
    export const B = \`delete from high.jobs j using middle.rows r where r.id = j.id\`;
    export const C = "select high.rank(id) from high.jobs for update of jobs skip locked";
    export const D = "insert into high.jobs values (1) on conflict (id) do update set id = excluded.id";
    export const E = "with low as (select 1), jobs as (select 2) select low.id from low, jobs where a is distinct from high.other";`;
  expect(crossed({ "src/high/good.ts": source })).toEqual([]);
});

it.each([
  ["insert into", '"insert into low.things (id) values (1)"'],
  ["insert into with an alias", '"insert into low.things as t default values"'],
  ["update", '"update low.things t set id = 1"'],
  ["update only", '"update only low.things set id = 1"'],
  ["delete from", '"delete from low.things where id = 1"'],
  ["delete that joins what it may read", '"delete from low.things using middle.rows r where r.id = things.id"'],
  ["truncate", '"truncate low.things"'],
  ["truncate of a list", '"truncate table middle.rows, only low.things cascade"'],
  ["merge into", '"merge into low.things t using middle.rows r on r.id = t.id when matched then delete"'],
  ["alter table", '"alter table if exists only low.things add column more text"'],
  ["drop table", '"drop table if exists middle.rows, low.things"'],
  ["lock table", '"lock table low.things in exclusive mode"'],
  ["lock without table", '"lock low.things"'],
  ["copy from", '"copy low.things (id) from stdin"'],
  ["copy from with options", '"copy low.things from stdin (format csv)"'],
  ["create table of a partition", '"create table middle.part partition of low.things for values in (1)"'],
  ["attach partition", '"alter table middle.rows attach partition low.things default"'],
  ["create a table anew", '"create global temporary unlogged table if not exists low.things (id text)"'],
  ["create a view", '"create or replace local temp recursive view low.things as select 1"'],
  ["refresh", '"refresh materialized view concurrently low.things"'],
  ["alter a foreign table", '"alter foreign table low.things rename column id to name"'],
  ["drop policy", '"drop policy p on low.things"'],
  ["alter trigger", '"alter trigger t on low.things rename to u"'],
  ["create constraint trigger", '"create constraint trigger t after update on low.things execute function f()"'],
  ["create or replace trigger", '"create or replace trigger t after update on low.things execute function f()"'],
  ["create or replace rule", '"create or replace rule r as on delete to x do instead delete from low.things"'],
  ["truncate without table", '"truncate only low.things restart identity"'],
  ["create index", '"create unique index concurrently if not exists some on low.things (id)"'],
  ["create trigger", '"create trigger t after insert or update on low.things for each row execute function f()"'],
  ["create index in a body", '"do $$ begin if true then create index on low.things (id); end if; end $$"'],
  ["create policy", '"create policy p on low.things using (true)"'],
  ["select into", '"select id into low.things from middle.rows"'],
  ["capitals", '"DELETE FROM Low.Things"'],
  ["quoted identifiers", `'delete from "low"."things"'`],
  ["quoted identifiers in escaped quotes", String.raw`"delete from \"low\".\"things\""`],
  ["blanks and comments between the words", "`delete /* all */ from -- of\n low . things`"],
  ["line ends that are escaped", String.raw`"delete from\n\tlow.things"`],
  ["letters that are escaped", String.raw`"delete from low.thing\u0073"`],
  ["a template literal with holes elsewhere", "`with x as (${A}) update low.things set ${B} where id = $1`"],
  ["a template literal in the hole of another", "`select ${some ? `1; delete from low.things` : 2}`"],
  ["a tagged template", "sql`delete from low.things`"],
  ["a sum of strings", '"delete from " + "low.things" + where'],
  ["a sum with something between", '"delete from low" + "." + "things where " + x'],
  ["a common table expression", '"with gone as (delete from low.things returning id) select count(*) from gone"'],
  ["a statement after another", '"select 1; update low.things set id = 1"'],
  ["a string of dynamic SQL", `"do $x$ begin execute 'delete from low.things where id = ''1'''; end $x$"`],
  ["a string in a string of dynamic SQL", `"select f('execute ''delete from low.things''')"`],
  ["the default of a parameter", '(q = "delete from low.things") => q'],
  ["an object's key", '{ ["delete from low.things"]: 1 }'],
  ["a schema whose table is a hole", "`delete from low.${name} where true`", "low.*"],
  ["a schema whose table is half a hole", "`delete from low.things_${day} where true`", "low.*"],
  ["a placeholder of format()", `"select format('drop table low.%I', name)"`, "low.*"],
  ["strings that SQL puts together", `"execute 'delete ' || 'from low.' || 'things where id = ' || quote_literal(x)"`],
  ["a name that SQL puts together", `"execute 'delete from low.' || quote_ident(x) || ' where true'"`, "low.*"],
  ["a rule", '"create rule r as on insert to middle.rows do update low.things set id = 1"'],
])("a statement that writes a table of another folder is found: %s", (_, literal, table = "low.things") => {
  const [only, ...more] = found({ "src/middle/bad.ts": `export const bad = ${literal};` });
  expect([only?.file, only?.does, more.map(short)]).toEqual(["src/middle/bad.ts", `writes ${table}`, []]);
});

it.each([
  ["from", '"select id from middle.rows"'],
  ["from a list", '"select 1 from low.things t, middle.rows r"'],
  ["join", '"select 1 from low.things left join lateral (select 1) x on true join middle.rows using (id)"'],
  ["using", '"delete from low.things t using middle.rows r where r.id = t.id"'],
  ["copy to", '"copy middle.rows to stdout"'],
  ["table", '"with x as (table middle.rows) select from x"'],
  ["a view", '"select id from middle.seen"', "middle.seen"],
  ["a part of a statement", '"middle.rows r where true"'],
  ["a part that is a join", "` join middle.rows r on r.id = ${x}`"],
  ["a column with its table", '"select middle.rows.id"'],
  ["the type of a row", '"declare r middle.rows%rowtype; begin end"'],
  ["a foreign key", '"alter table low.things add foreign key (id) references middle.rows (id)"'],
  ["a subquery", '"update low.things set id = (select max(id) from middle.rows)"'],
  ["a schema whose table is a hole", "`select from middle.${name}`", "middle.*"],
])("a statement that reads a table of a folder above is found: %s", (_, literal, table = "middle.rows") => {
  expect(crossed({ "src/low/bad.ts": `export const bad = ${literal};` })).toEqual([`src/low/bad.ts:1 reads ${table}`]);
});

it.each([
  ["in a variable", '"low.things"'],
  ["as a key", '{ "low.things": 1 }'],
  ["as a type", '1 as unknown as "low.things"'],
  ["with an alias", "` low.things as t`"],
  ["in a list", '"middle.rows r, low . things"'],
  ["with quotes", `'"low"."things"'`],
  ["in the hole of a statement", '`update ${"low.things"} set id = 1`'],
  ["among the parts of a statement", '["update", "low.things", "set id = 1"].join(" ")'],
])("a string that is only the name of a table is allowed to its owner alone: %s", (_, value) => {
  const source = `export const name = ${value};`;
  const folders = {
    "src/middle/bad.ts": source,
    "src/low/good.ts": `// writes: low.things\n${source.replace("middle.rows r,", "")}`,
  };
  expect(crossed(folders)).toEqual(["src/middle/bad.ts:1 names low.things"]);
});

it("a string of SQL that is only the name of a table of a folder above is found", () => {
  expect(crossed({ "src/low/bad.ts": `"select to_regclass('high.jobs'), 'low.things'::regclass";` })).toEqual([
    "src/low/bad.ts:1 reads high.jobs",
  ]);
});

it("a statement that calls an SQL function of a folder above is found", () => {
  expect(crossed({ "src/low/bad.ts": 'export const bad = "select high.rank($1)";' })).toEqual([
    "src/low/bad.ts:1 calls high.rank",
  ]);
});

it("a breach is reported with the line of the table and not with that of the literal", () => {
  const source = "const where = 1;\nexport const bad = `\n  select 1;\n  ${where}\n  delete from\n    low.things`;";
  const joined =
    "export const bad = `do $x$ begin execute 'select ' ||\n\n  f(a)::text || '1;\n delete from low.things'; end $x$`";
  expect(crossed({ "src/middle/bad.ts": source, "src/middle/worse.ts": joined })).toEqual([
    "src/middle/bad.ts:6 writes low.things",
    "src/middle/worse.ts:4 writes low.things",
  ]);
});

it("a file of src/ itself may use no table", () => {
  expect(crossed({ "src/errors.ts": 'export const bad = "select from low.things";' })).toEqual([
    "src/errors.ts:1 reads low.things",
  ]);
});

it("folders within a folder share what the outer folder owns, and not what one of them owns", () => {
  expect(
    crossed({
      "src/outer/two/some.ts":
        '"update outer.second set id = 1";\n"select from outer.first";\n"update outer.first set id = 1";',
      "src/outer/some.ts": '"update outer.first set id = 1"',
      "src/outer/one/some.ts": '"update outer.first set id = 1"; "delete from outer.second"',
    }),
  ).toEqual(["src/outer/some.ts:1 writes outer.first", "src/outer/two/some.ts:3 writes outer.first"]);
});

it("prose, columns, comments and the catalogues of Postgres are not taken for tables", () => {
  const source = `
    export const a = "Plaid is asked to update. Then the low things go.";
    export const b = \`Delete from the list, update \${name}, lock it, or insert into it. Update \${name} as you like.\`;
      export const h = "lock in the price, alter table manners, drop table service, after update of low things";
      export const verbs = ["truncate", "lock", "update", "what it may insert into (see above)", "Delete from the list (all of it), copy it from here"];
    export const c = "select x.rows from pg_catalog.pg_class x, information_schema.tables t where t.things is not null";
    export const d = "grant select, update on all tables in schema some to other";
    export const e = \`select 1 for update \${a} \${b}\` + \`select 1 for no key update \${a} \${b}\`;
    export const i = \`insert into low.things values (1) on conflict (id) do update \${a} \${b}\`;
    export const f = "create table if not exists pg_temp.mine (id text)";
    // delete from high.jobs
    export const g = "select 1 -- delete from high.jobs";`;
  expect(crossed({ "src/low/good.ts": source })).toEqual([]);
});

it.each([
  "insert into things values (1)",
  "insert into things select 1",
  "insert into things default values",
  "insert into things table low.notes",
  "insert into things with x as (select 1) select 1",
  "insert into things overriding user value values (1)",
  "insert into things (id) values (1)",
  "insert into things as t (id) values (1)",
  "update things set id = 1",
  "update things as t set id = 1",
  "update things t set id = 1",
  "delete from things where true",
  "delete from things using low.notes",
  "delete from things returning id",
  "delete from things t where true",
  "truncate things cascade",
  "truncate things restrict",
  "truncate things restart identity",
  "merge into things using low.notes on true",
  "merge into things t using low.notes on true",
  "lock table things in share mode",
  "drop table things cascade",
  "drop table things restrict",
  "create table things (id text)",
  "create table things as select 1",
  "create table things partition of low.notes default",
  "copy things (id) from stdin",
  "alter table things add x text",
  "alter table things drop x",
  "alter table things rename to y",
  "alter table things alter x drop not null",
  "alter table things set schema x",
  "alter table things attach partition low.notes default",
  "alter table things detach partition low.notes",
  "alter table things enable row level security",
  "alter table things disable trigger all",
])("a statement that writes a table without its schema is refused: %s", (statement) => {
  expect(crossed({ "src/low/bad.ts": `"${statement}"` })).toEqual(["src/low/bad.ts:1 writes things"]);
});

it("the owner of a schema may write any of its tables, but not one that another folder owns by name", () => {
  const rows = ROWS.map((row): Row => (row[0] === "high" ? [row[0], row[1], "high.jobs middle.extra"] : row));
  const any = `"select format('delete from middle.%I', name)"`;
  expect(
    crossed(
      {
        "sql/0006_high.sql": "create table middle.extra (id text)",
        "src/middle/good.ts": any,
        "src/middle/bad.ts": '"delete from middle.extra"',
        "src/high/bad.ts": any,
      },
      { FOLDERS: rows },
    ),
  ).toEqual(["src/high/bad.ts:1 writes middle.*", "src/middle/bad.ts:1 writes middle.extra"]);
});
