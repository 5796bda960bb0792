/** Statements whose table is not in their text, held against the rows of a small tree. */
import { expect, it } from "vitest";
import { crossed } from "./tree.ts";

const write = (more = ""): string => `${more}export const purge = (t: string) => \`delete from \${t} where id = $1\`;`;

it.each([
  ["delete", "`delete from ${t} where id = $1`"],
  ["delete of everything", "`delete from ${t}`"],
  ["insert", "`insert into ${t} (id) values (1)`"],
  ["update", "`update ${t} set id = 1`"],
  ["update with an alias", "`update ${t.name} x set id = 1`"],
  ["insert with an alias", "`insert into ${t} as x (id) values (1)`"],
  ["delete with an alias", "`delete from ${t} as x using ${u} where true`"],
  ["update with clauses in holes", "`update ${t} ${set}`"],
  ["a schema in a hole", "`update ${schema}.things set id = 1`"],
  ["placeholders of format()", `"select format('update %I.%I set id = 1', a, b)"`],
  ["partition of", "`create table high.jobs partition of ${t} for values in (1)`"],
  ["attach partition", "`alter table high.jobs attach partition ${t} default`"],
  ["copy", "`copy ${t} (id) from stdin`"],
  ["an own table in a hole", '`update ${"high.jobs"} set id = 1`'],
  ["a text that ends before the table", '["delete from", name].join(" ")'],
  ["strings that SQL puts together", `"execute 'update ' || name::text || ' set id = 1'"`],
  ["a string that SQL ends with the name", `"execute 'delete from ' || f(name)"`],
])("a statement that takes the table from a hole is refused where nothing says what it writes: %s", (_, literal) => {
  expect(crossed({ "src/high/bad.ts": `export const bad = ${literal};` })).toEqual([
    "src/high/bad.ts:1 writes an unnamed table",
  ]);
});

it("a statement that takes the table from a hole is allowed in a folder that owns a whole schema", () => {
  expect(crossed({ "src/middle/good.ts": write() })).toEqual([]);
});

it("a statement that takes the table from a hole is held to the tables that a comment beside it declares", () => {
  expect(
    crossed({
      "src/high/good.ts": write("/** Purges. writes: high.jobs */\n"),
      "src/high/bad.ts": write("// writes: high.jobs,\n// low.things\n"),
      "src/high/worse.ts": write("// writes: high.jobs, low.things\n"),
      "src/high/other.ts": `// writes: high.jobs\nexport const other = 1;\n${write()}`,
      "src/high/inside.ts": "export const x = (t: string) => `/* writes: middle.rows */ delete from ${t}`;",
    }),
  ).toEqual([
    "src/high/inside.ts:1 writes middle.rows",
    "src/high/other.ts:3 writes an unnamed table",
    "src/high/worse.ts:2 writes low.things",
  ]);
});

it.each(["insert into", "delete from", "truncate", "merge into", "drop table", "lock table"])(
  "a statement that ends with a table from a hole is refused: %s",
  (verb) => {
    expect(crossed({ "src/low/bad.ts": `\`${verb} \${table}\`; \`${verb} \${table}; select 1\`` })).toEqual([
      "src/low/bad.ts:1 writes an unnamed table",
    ]);
  },
);

it("a comment in a file of sql/ declares the tables of its own statement and of no other", () => {
  const source = `-- writes: high.jobs
do $$ begin execute 'delete from ' || quote_ident(name); end $$;
do $$ begin execute 'delete from ' || quote_ident(name); end $$;`;
  expect(crossed({ "sql/0006_high.sql": source })).toEqual(["sql/0006_high.sql:3 writes an unnamed table"]);
});
