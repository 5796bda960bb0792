/**
 * Applies what a run read. The caller holds the subject's lease and one transaction around all of it: pages, cursors and
 * everything else of the run become visible together or not at all.
 */
import type { Queryable, Statement } from "../database/types.ts";
import type { Reference, Resource, Table } from "../resources/types.ts";
import {
  anyRootRow,
  countRows,
  hasRows,
  removeAll,
  removePage,
  removeUnnamed,
  removeUnseen,
  replaceByPage,
  rootLead,
  rootRow,
  upsertPage,
  verifyRow,
} from "./queries.ts";
import { tablesOf, type Mirrored } from "./rows.ts";
import { rootTable, shownTables } from "../resources/index.ts";
import { both, UNTOUCHED } from "./changes.ts";
import { compared, surplus, together } from "./differences.ts";
import { expectStaged } from "./stage.ts";
import { noteUnfit } from "./unfit-queries.ts";
import type { Applied, Changes, Compared, Reading, Scope, Unfit } from "./types.ts";

/** The statements of a table, built once. */
interface Statements {
  upsert: Statement;
  /** takes what does not fit for null, and where that is noted */
  upsertCareful: Statement;
  /** also writes rows whose columns are not what `raw` says; and the careful one */
  upsertExact: Statement;
  upsertExactCareful: Statement;
  noteUnfit: Statement;
  /** of a whole reading of one page; null where a page also names removals, and for the row that stands for the subject */
  replace: Statement | null;
  remove: Statement | null;
  unseen: Statement;
}

const built = { masked: new Map<Table, Statements>(), revealed: new Map<Table, Statements>() };

function statementsOf(of: Mirrored): Statements {
  const kept = of.revealed ? built.revealed : built.masked;
  const known = kept.get(of.table);
  if (known) return known;
  const { removals } = of.table;
  const statements: Statements = {
    upsert: upsertPage(of),
    upsertCareful: upsertPage(of, true),
    upsertExact: upsertPage(of, false, true),
    upsertExactCareful: upsertPage(of, true, true),
    noteUnfit: noteUnfit(of),
    replace: of.table.key.length === 0 || removals !== undefined ? null : replaceByPage(of),
    remove: removals === undefined ? null : removePage(of, removals),
    unseen: removeUnseen(of),
  };
  kept.set(of.table, statements);
  return statements;
}

/** By the names of tables. */
export type AppliedTables = ReadonlyMap<string, Applied>;

/**
 * Applies a reading to each table of its resource, page by page in order, so that of a row that several pages mention the last
 * word counts. Writes only rows that changed; a row that comes back is added again. After a whole reading, what it lacked
 * is removed. The statements of a reading of one page are all sent before this returns, so that what the caller sends next travels
 * with them and runs after them.
 * @param unfit null: a value that does not fit its column is an error of Postgres'. A list: such values are null, rows
 *   without a key are passed over, and both are noted and added to the list.
 */
export async function applyReading(
  tx: Queryable,
  scope: Scope,
  reading: Reading,
  unfit: Unfit[] | null = null,
): Promise<AppliedTables> {
  const { resource, pages } = reading;
  const revealed = scope.revealed?.includes(resource.name) ?? false;
  const tables = tablesOf(resource).map((of) => ({ ...of, revealed }));
  if (isShort(reading, unfit)) {
    const steps = await Promise.all(tables.map((of) => applyPage(tx, scope, reading, of)));
    return new Map(tables.map(({ table }, n) => [table.name, steps[n] ?? UNTOUCHED]));
  }
  await expectStaged(tx, scope, resource.name, pages.filter(({ text }) => text === null).length);
  const applied = new Map<string, Applied>();
  for (const of of tables) applied.set(of.table.name, await applyToTable(tx, scope, reading, of, unfit));
  return applied;
}

/** Whether all statements of the reading are known before the first one is answered: the usual reading of one page. */
export const isShort = ({ pages, compare }: Reading, unfit: readonly Unfit[] | null): boolean =>
  pages.length === 1 && pages[0]?.text !== null && compare === undefined && unfit === null;

/** Applies the only page of a reading to a table. Sends all statements at once. */
async function applyPage(tx: Queryable, scope: Scope, reading: Reading, of: Mirrored): Promise<Applied> {
  const { resource, pages } = reading;
  const { upsert, replace, remove, unseen } = statementsOf(of);
  const [page = { text: null, rows: false, removals: false }] = pages;
  const values = [scope.integrationId, scope.subjectId, page.text, scope.leaseToken, resource.name, 0];
  const given = of.table.given ? [JSON.stringify(scope.facts)] : [];
  const gone = unseenStep(reading, of);
  const isReplaced = page.rows && replace !== null && gone !== null && gone.statement === unseen;
  const steps = [
    ...(page.rows ? [apply(tx, isReplaced ? replace : upsert, [...values, ...given])] : []),
    ...(page.removals && remove ? [apply(tx, remove, values)] : []),
    ...(gone && !isReplaced ? [apply(tx, gone.statement, [...values.slice(0, 5), ...gone.within])] : []),
  ];
  return (await Promise.all(steps)).reduce(both, UNTOUCHED);
}

/** What removes the rows of a table that a whole reading lacked; null where the reading does not tell. */
function unseenStep(
  { resource, whole, within }: Reading,
  of: Mirrored,
): { statement: Statement; within: string[] } | null {
  if (!whole) return null;
  if (!within) return { statement: statementsOf(of).unseen, within: [] };
  const first: Mirrored = { resource, table: resource.tables[0] };
  if (hasColumns(of.table, [within.column]))
    return { statement: removeUnseen(of, within.column), within: [within.from, within.to] };
  return hasColumns(first.table, of.table.key) ? { statement: removeUnnamed(of, first), within: [] } : null;
}

async function applyToTable(
  tx: Queryable,
  scope: Scope,
  reading: Reading,
  of: Mirrored,
  unfit: Unfit[] | null,
): Promise<Applied> {
  const { resource, pages, within, compare } = reading;
  const { noteUnfit, remove, ...upserts } = statementsOf(of);
  const upsert = chosen(upserts, compare !== undefined, unfit !== null);
  const { integrationId, subjectId, leaseToken } = scope;
  let total = UNTOUCHED;
  let found: Compared | undefined;
  const step = async (statement: Statement, values: readonly unknown[]): Promise<Applied> => {
    const applied = await apply(tx, statement, values);
    total = both(total, applied);
    return applied;
  };
  const given = of.table.given ? [JSON.stringify(scope.facts)] : [];
  const gone = unseenStep(reading, of);
  const reconcile = gone !== null && (await hasCurrentRows(tx, scope, of));
  for (const [number, page] of pages.entries()) {
    const values = [integrationId, subjectId, page.text, leaseToken, resource.name, number];
    if (page.rows && compare)
      found = together(found ?? NOTHING, await compared(tx, of, values, compare, unfit !== null));
    if (page.rows) await step(upsert, [...values, ...given]);
    if (page.rows && unfit) unfit.push(...(await tx.query<Unfit>(noteUnfit, [...values, scope.kind])).rows);
    if (page.removals && remove) await step(remove, values);
  }
  // A row without a key may be any of those that seem to be gone, or name any of those that no row seems to name.
  const withoutKey = (unfit ?? []).filter(({ expected }) => expected === "key");
  const keyless = withoutKey.some((each) => within !== undefined || each.table === of.table.name);
  if (reconcile && !keyless) {
    const values = [integrationId, subjectId, pages.at(-1)?.text ?? null, leaseToken, resource.name, ...gone.within];
    const removed = await step(gone.statement, values);
    if (compare) found = together(found ?? NOTHING, surplus(of, removed, compare));
  }
  return compare ? { ...total, compared: found ?? NOTHING } : total;
}

const NOTHING: Compared = { rows: 0, wrong: 0, mayBeNew: 0, named: [] };

type Upserts = Pick<Statements, "upsert" | "upsertCareful" | "upsertExact" | "upsertExactCareful">;

function chosen(of: Upserts, isExact: boolean, isCareful: boolean): Statement {
  if (isExact) return isCareful ? of.upsertExactCareful : of.upsertExact;
  return isCareful ? of.upsertCareful : of.upsert;
}

/** A window of days says of rows without a day only that it does not name them; older rows of the first table may. */
const hasColumns = ({ columns }: Table, names: readonly string[]): boolean =>
  names.every((name) => columns.some((column) => column.name === name));

async function apply(tx: Queryable, statement: Statement, values: readonly unknown[]): Promise<Applied> {
  type Row = Changes & { keys: string[] | null; bytes?: number; before?: Applied["before"] };
  const [row] = (await tx.query<Row>(statement, values)).rows;
  const { added = 0, modified = 0, removed = 0, keys = null, before = null } = row ?? {};
  const bytes = row?.bytes ?? (keys?.length ? Infinity : 0);
  return { changes: { added, modified, removed }, keys: keys ?? [], bytes, before };
}

async function hasCurrentRows(tx: Queryable, scope: Scope, of: Mirrored): Promise<boolean> {
  const { rows } = await tx.query<{ found: boolean }>(hasRows(of), [scope.integrationId, scope.subjectId]);
  return rows[0]?.found ?? false;
}

/** How many rows of the resource, in all of its tables, the subject has that are not removed. */
export async function countCurrent(tx: Queryable, scope: Scope, resource: Resource): Promise<number> {
  const counts = await Promise.all(tablesOf(resource).map((of) => countIn(tx, scope, of)));
  return counts.reduce((sum, rows) => sum + rows, 0);
}

/** How many rows an item has in the tables whose number is shown with it, by the names of the tables. */
export async function shownCounts(
  q: Queryable,
  integrationId: string,
  itemId: string,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const of of shownTables()) counts[of.table.name] = await countIn(q, { integrationId, subjectId: itemId }, of);
  return counts;
}

/** How many current rows a subject has in one table. */
export async function countIn(
  tx: Queryable,
  scope: Pick<Scope, "integrationId" | "subjectId">,
  of: Mirrored,
): Promise<number> {
  const { rows } = await tx.query<{ rows: number }>(countRows(of), [scope.integrationId, scope.subjectId]);
  return rows[0]?.rows ?? 0;
}

/** Removes every row that the subject has of the resource. */
export async function removeEverything(tx: Queryable, scope: Scope, resource: Resource): Promise<AppliedTables> {
  const applied = new Map<string, Applied>();
  for (const of of tablesOf(resource)) {
    applied.set(of.table.name, both(UNTOUCHED, await apply(tx, removeAll(of), [scope.integrationId, scope.subjectId])));
  }
  return applied;
}

/** The table whose row stands for the subject. */
const rootIn = (root: Resource): Mirrored => ({ resource: root, table: rootTable(root) ?? root.tables[0] });

/** Notes on the row that stands for the subject since when all of its rows are known to equal Plaid's; null: not yet. */
export async function verify(tx: Queryable, scope: Scope, root: Resource, at: Date | null): Promise<void> {
  await tx.query(verifyRow(rootIn(root)), [scope.integrationId, scope.subjectId, at]);
}

/** The row that stands for the subject, as Plaid gave it last, or null when the mirror has none. */
export async function mirroredRoot(
  q: Queryable,
  scope: Pick<Scope, "integrationId" | "subjectId">,
  root: Resource,
): Promise<Record<string, unknown> | null> {
  const { rows } = await q.query<{ raw: Record<string, unknown> }>(rootRow(rootIn(root)), [
    scope.integrationId,
    scope.subjectId,
  ]);
  return rows[0]?.raw ?? null;
}

/** The subject that a column of the row that stands for this subject names, or null. */
export async function mirroredReference(
  q: Queryable,
  scope: Pick<Scope, "integrationId" | "subjectId">,
  root: Resource,
  { column }: Reference,
): Promise<string | null> {
  const { rows } = await q.query<{ id: string | null }>(rootLead(rootIn(root), column), [
    scope.integrationId,
    scope.subjectId,
  ]);
  return rows[0]?.id ?? null;
}

/**
 * Puts an error on the row that stands for the subject, where Plaid puts its own; the next answer takes it off. `add`:
 * a row that holds nothing else, for a subject without one. `change`: also on a row that is there. A removed row stays
 * as it is.
 * @returns null when nothing changed
 */
export async function applyError(
  tx: Queryable,
  scope: Scope,
  root: Resource,
  error: Record<string, unknown>,
  { add, change, unfit }: { add: boolean; change: boolean; unfit: Unfit[] | null },
): Promise<{ table: string; applied: Applied; row: Record<string, unknown> } | null> {
  const { table } = rootIn(root);
  const [place] = table.rows;
  if (!place || root.conditionAt === undefined) return null;
  const { rows } = await tx.query<{ raw: Record<string, unknown>; removed: boolean }>(anyRootRow(rootIn(root)), [
    scope.integrationId,
    scope.subjectId,
  ]);
  const [known] = rows;
  if (known?.removed || !(known ? add || change : add)) return null;
  const row = { ...(known?.raw ?? { [root.subject.column ?? "id"]: scope.subjectId }), [root.conditionAt]: error };
  const beside = (place.with ?? []).map((field) => [field, known?.raw[field] ?? null] as const);
  const [last = "", ...around] = place.at.split(".").toReversed();
  const within: Record<string, unknown> = place.at === "" ? row : { [last]: row, ...Object.fromEntries(beside) };
  const text = JSON.stringify(around.reduce((inner, name) => ({ [name]: inner }), within));
  const pages = [{ text, rows: true, removals: false }];
  const applied = (await applyReading(tx, scope, { resource: root, pages, whole: false }, unfit)).get(table.name);
  if (!applied || applied.changes.added + applied.changes.modified === 0) return null;
  return { table: table.name, applied, row };
}
