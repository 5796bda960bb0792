/**
 * Writes what the tables and columns of the mirror mean as comments of Postgres, where psql and BI tools show them. They are written
 * again only when they differ from those that are there, which a digest in the comment of schema mirror says.
 */
import { hash } from "node:crypto";
import type { Database, Queryable } from "../database/types.ts";
import { RESOURCES } from "../resources/index.ts";
import { meaningOf } from "../resources/meanings/index.ts";
import { maskClause } from "../resources/meanings/masks.ts";
import { keyColumns, nameOf, tablesOf, type Mirrored } from "./rows.ts";
import { literal } from "./values.ts";

const DESCRIBED = "select obj_description('mirror'::regnamespace, 'pg_namespace') as digest";
/** Columns that an older or a newer version's table lacks are passed over. */
const COLUMNS = `
  select c.relname as table, a.attname as column from pg_class c join pg_attribute a on a.attrelid = c.oid
  where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped`;

/** The columns of a table, those that all tables have included. */
const columnsOf = (of: Mirrored): string[] => [
  "integration_id",
  ...new Set([of.resource.subject.column ?? [], ...keyColumns(of)].flat()),
  ...of.table.columns.map(({ name }) => name),
  ...(of.table.given ?? []),
  "raw",
  "added_at",
  "changed_at",
  "removed_at",
  ...(of.table.key.length === 0 ? ["verified_at"] : []),
];

/** Every column of every table with its meaning. */
const MEANINGS = RESOURCES.flatMap(tablesOf).map((of) => ({
  of,
  columns: columnsOf(of).flatMap((column) => {
    const meaning = meaningOf(of.table.name, column);
    const declared = of.table.columns.find(({ name }) => name === column);
    return meaning === undefined
      ? []
      : [{ column, meaning: meaning + (declared ? maskClause(of.table, declared) : "") }];
  }),
}));

const DIGEST = hash(
  "sha256",
  JSON.stringify(MEANINGS.map(({ of, columns }) => [of.table.name, of.table.row, columns])),
  "hex",
);

/** @returns whether the comments were not there yet */
export async function describeTables(database: Database): Promise<boolean> {
  const digest = `columns described: ${DIGEST}`;
  const { rows } = await database.query<{ digest: string | null }>(DESCRIBED);
  if (rows[0]?.digest === digest) return false;
  await database.transaction(async (tx) => {
    const found = await columnsThere(tx);
    const comments = MEANINGS.filter(({ of }) => found.has(of.table.name)).map(({ of, columns }) => [
      `comment on table ${nameOf(of)} is ${literal(of.table.row)};`,
      ...columns
        .filter(({ column }) => found.get(of.table.name)?.has(column))
        .map(({ column, meaning }) => `comment on column ${nameOf(of)}.${column} is ${literal(meaning)};`),
    ]);
    for (const each of comments) await tx.query(each.join("\n"));
    await tx.query(`comment on schema mirror is ${literal(digest)}`);
  });
  return true;
}

async function columnsThere(q: Queryable): Promise<Map<string, Set<string>>> {
  const { rows } = await q.query<{ table: string; column: string }>(COLUMNS);
  const found = new Map<string, Set<string>>();
  for (const { table, column } of rows) found.set(table, (found.get(table) ?? new Set()).add(column));
  return found;
}
