/**
 * The oracle: what the simulator knows to be true of an item, against what the mirror holds and the events' rows, row for
 * row and column for column. The comparison is made by Postgres on the texts themselves, so a digit that was lost on the way is seen.
 */
import { expect } from "vitest";
import type { Database } from "../../src/database/types.ts";
import { nameOf, tablesOf, type Mirrored } from "../../src/mirror/rows.ts";
import { changeType, resourcesOf, rootTable } from "../../src/resources/index.ts";
import type { Column, Resource, RowsAt, Table } from "../../src/resources/types.ts";
import type { Simulator } from "../../src/simulator/index.ts";
import { isMaskedIn, maskedAsDeclared } from "./masking.ts";

const resource = (name: string): Resource => {
  const found = resourcesOf("item").find((one) => one.name === name);
  if (!found) throw new Error(`there is no resource ${name}`);
  return found;
};

/** The tables of an item, but for the one of its own row, and those that are read only when somebody asks for them. */
const TABLES = resourcesOf("item")
  .filter((one) => rootTable(one) === undefined && one.billed === undefined)
  .flatMap(tablesOf);

/** A row's key as one text: out of Plaid's object, and out of the table's row. */
const keyAtPlaid = ({ key }: Table, row: string): string =>
  `jsonb_build_array(${key.map((field) => `${row} ->> '${field}'`).join(", ")})::text`;
const keyInTable = ({ key }: Table, row: string): string =>
  `jsonb_build_array(${key.map((field) => `${row}.${field}`).join(", ")})::text`;

const path = ({ path: steps }: Column): string => `'{${steps.join(",")}}'`;

/** The value of a column, read from the truth in another way than the mirror reads it. */
function expected(table: Table, column: Column): string {
  const value = `truth #>> ${path(column)}`;
  // No number or date is like a masked value.
  if (["numeric", "date", "timestamptz"].includes(column.type) && isMaskedIn(table, column.path)) return "null";
  if (column.type === "text") return value;
  if (column.type === "jsonb") return `nullif(truth #> ${path(column)}, 'null')`;
  if (column.type !== "text[]") return `(${value})::${column.type}`;
  return `translate(truth #>> ${path(column)}, '[]', '{}')::text[]`;
}

const differing = (table: Table): string =>
  table.columns
    .map((column) => `case when t.${column.name} is distinct from ${expected(table, column)} then '${column.name}' end`)
    .join(", ");

/** Rows of one side only, and rows that differ, as text. */
export async function differences(
  database: Database,
  of: Mirrored,
  subjectId: string,
  truth: string,
): Promise<unknown[]> {
  const differ = differing(of.table);
  const { rows } = await database.query(
    `with truth as (select e as truth, ${keyAtPlaid(of.table, "e")} as at_plaid from jsonb_array_elements($2::jsonb) e),
      mirror as (select t.*, ${keyInTable(of.table, "t")} as here from ${nameOf(of)} t where ${of.resource.subject.column ?? "$1::text"} = $1 and removed_at is null)
    select coalesce(t.here, at_plaid) as key,
      case when at_plaid is null then 'only in the mirror' when t.here is null then 'only at Plaid' else 'differs' end as how,
      array_remove(array[case when t.raw is distinct from truth then 'raw' end, ${differ}], null) as columns
    from mirror t full join truth on at_plaid = t.here
    where at_plaid is null or t.here is null or t.raw is distinct from truth or num_nonnulls(${differ}) > 0 limit 5`,
    [subjectId, truth],
  );
  return rows;
}

async function countCurrent(database: Database, table: string, itemId: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::int as count from ${table} where item_id = $1 and removed_at is null`,
    [itemId],
  );
  return rows[0]?.count ?? 0;
}

/** Whether counts that were kept along the way are what counting finds. */
async function expectCountsKept(database: Database, itemId: string): Promise<void> {
  const { rows } = await database.query<{ resource: string; rows: number }>(
    "select resource, rows from sync.cursors where kind = 'item' and id = $1",
    [itemId],
  );
  for (const kept of rows) {
    let counted = 0;
    for (const of of tablesOf(resource(kept.resource))) counted += await countCurrent(database, nameOf(of), itemId);
    expect(Number(kept.rows), `${kept.resource} kept count`).toBe(counted);
  }
}

/**
 * Errors in the events about an item's rows: each must fit the earlier ones (only what is there is
 * modified or removed, a removal says what the row was), a run names a row once, and folded in the order of the outbox
 * they are the mirror, text for text.
 */
async function wrongEvents(database: Database, of: Mirrored, itemId: string): Promise<unknown[]> {
  const { rows } = await database.query(
    `with recorded as (
      select o.id as run, named.n, convert_from(e.payload, 'UTF8')::jsonb -> 'data' as data
      from events.outbox o, unnest(o.events) with ordinality named (id, n) join events.events e using (id)
      where e.item_id = $1 and e.type = $2
    ), steps as (
      select run, change, ${keyAtPlaid(of.table, "r")} as key, r::text as raw
      from recorded, unnest(array['added', 'modified', 'removed']) change, jsonb_array_elements(data -> change) r
    ), ordered as (
      select *, lag(change) over w as before, lag(raw) over w as known, lead(change) over w is null as last,
        count(*) over (partition by key, run) as times
      from steps window w as (partition by key order by run)
    ), kept as (
      select key, raw from ordered where last and change <> 'removed'
    ), mirrored as (
      select ${keyInTable(of.table, "t")} as key, raw::text as raw from ${nameOf(of)} t where item_id = $1 and removed_at is null
    )
    select key, change || ' after ' || coalesce(before, 'nothing') as how from ordered
    where times > 1 or (change = 'added') <> (coalesce(before, 'removed') = 'removed') or (change = 'removed' and raw <> known)
    union all
    select coalesce(kept.key, mirrored.key), case when kept is null then 'in no event' when mirrored is null then 'in an event and not in the mirror'
      else 'differs' end
    from kept full join mirrored using (key) where kept.raw is distinct from mirrored.raw
    limit 5`,
    [itemId, changeType(of.table)],
  );
  return rows;
}

/** Expects the events about an item's rows to match the rows. */
export async function expectEventsTellTheMirror(database: Database, itemId: string): Promise<void> {
  for (const each of TABLES) {
    expect(await wrongEvents(database, each, itemId), `${changeType(each.table)} of ${itemId}`).toEqual([]);
  }
}

/** Expects the mirror to hold exactly what Plaid has of an item, and the events about it to give the same rows. */
export async function expectMirrorEqualsTruth(database: Database, simulator: Simulator, itemId: string): Promise<void> {
  await expectEventsTellTheMirror(database, itemId);
  await expectRowsEqualTruth(database, simulator, itemId);
}

/**
 * Expects the mirror to hold exactly what Plaid has of an item: its own row (but for `status`, which moves with every look
 * of Plaid's) and the rows of every table; and nothing at all of one that was removed or revoked.
 */
export async function expectRowsEqualTruth(database: Database, simulator: Simulator, itemId: string): Promise<void> {
  const truth = simulator.control.item(itemId);
  const gone = truth["revoked"] === true || truth["removed"] === true;
  if (gone) {
    for (const name of resourcesOf("item").flatMap(tablesOf).map(nameOf))
      expect(await countCurrent(database, name, itemId), name).toBe(0);
    return;
  }
  await expectItem(database, itemId, truth["item"] as Record<string, unknown>);
  for (const of of TABLES) {
    expect(
      await differences(database, of, itemId, truthOf(simulator, itemId, of)),
      `${nameOf(of)} of ${itemId}`,
    ).toEqual([]);
  }
  await expectCountsKept(database, itemId);
}

/** The rows that Plaid has of a table, as text, with what the table declares sensitive masked. A product's truth has the shape of its endpoint's answer. */
function truthOf({ control }: Simulator, itemId: string, { resource: { name }, table }: Mirrored): string {
  if (name === "accounts") return JSON.stringify(control.accounts(itemId).accounts);
  // The text itself: its numbers have digits that JavaScript would lose.
  if (name === "transactions")
    return control
      .transactionsText(itemId)
      .replace(/^\{"transactions":/, "")
      .replace(/\}$/, "");
  const truth = control.truth(itemId, name as Parameters<typeof control.truth>[1]);
  const rows = table.rows.flatMap((place) => rowsIn(truth, place, place.at.split(".")));
  return JSON.stringify(rows.map((row) => maskedAsDeclared(table, row)));
}

type Part = Record<string, unknown>;

/** The rows at a place in an answer, with what is joined to each. */
function rowsIn(around: unknown, place: RowsAt, [step = "", ...deeper]: string[]): Part[] {
  const inner = (around as Part)[step.replace("[]", "")];
  if (deeper.length > 0) return [inner].flat().flatMap((each) => rowsIn(each, place, deeper));
  const joined = Object.fromEntries((place.with ?? []).map((field) => [field, (around as Part)[field]]));
  return [inner ?? []].flat().map((row, n) => ({
    ...(row as Part),
    ...joined,
    ...place.fixed,
    ...(place.numbered === undefined ? {} : { [place.numbered]: n + 1 }),
  }));
}

async function expectItem(database: Database, itemId: string, truth: Record<string, unknown>): Promise<void> {
  const { rows } = await database.query<{
    raw: Record<string, unknown>;
    error_code: string | null;
    institution_id: string;
  }>("select raw, error_code, institution_id from plaid.items where item_id = $1 and removed_at is null", [itemId]);
  const [row] = rows;
  expect(row, `the row of item ${itemId}`).toBeDefined();
  expect(row?.raw).toMatchObject(truth);
  expect(row?.error_code ?? null).toBe((truth["error"] as { error_code?: string } | null)?.error_code ?? null);
  expect(row?.institution_id).toBe(truth["institution_id"]);
}
