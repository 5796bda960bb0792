/**
 * Applies what a run read. The caller holds the subject's lease and one transaction around all of it: pages, cursors and
 * everything else of the run become visible together or not at all.
 */
import type { Queryable, Statement } from "../database/types.ts";
import type { Reference, Resource } from "../resources/types.ts";
import {
  anyRootRow,
  countRows,
  hasRows,
  listRows,
  removeAll,
  removePage,
  removeUnseen,
  rootLead,
  rootRow,
  upsertPage,
  verifyRow,
} from "./queries.ts";
import { both, UNTOUCHED } from "./changes.ts";
import { expectStaged } from "./stage.ts";
import { noteUnfit } from "./unfit-queries.ts";
import type { Applied, Changes, Page, Reading, Scope, Unfit } from "./types.ts";

/** The statements of a resource, built once. */
interface Statements {
  upsert: Statement;
  /** takes what does not fit for null, and where that is noted */
  upsertCareful: Statement;
  noteUnfit: Statement;
  remove: Statement | null;
  unseen: Statement;
}

const built = new Map<string, Statements>();

function statementsOf(resource: Resource): Statements {
  const known = built.get(resource.name);
  if (known) return known;
  const { fetch } = resource;
  const statements: Statements = {
    upsert: upsertPage(resource),
    upsertCareful: upsertPage(resource, true),
    noteUnfit: noteUnfit(resource),
    remove: fetch.kind === "cursor" ? removePage(resource, fetch.removals) : null,
    unseen: removeUnseen(resource),
  };
  built.set(resource.name, statements);
  return statements;
}

/**
 * Applies a reading, page by page in order, so that of a row that several pages mention the last word counts. Writes
 * only rows that changed; a row that comes back is added again. After a whole reading, what it lacked is removed.
 * @param unfit null: a value that does not fit its column is an error of Postgres'. A list: such values are null, rows
 *   without a key are passed over, and both are noted and added to the list.
 */
export async function applyReading(
  tx: Queryable,
  scope: Scope,
  reading: Reading,
  unfit: Unfit[] | null = null,
): Promise<Applied> {
  const { resource, pages, whole } = reading;
  const { upsert, upsertCareful, noteUnfit, remove, unseen } = statementsOf(resource);
  const { integrationId, subjectId, leaseToken } = scope;
  let total = UNTOUCHED;
  const step = async (statement: Statement, values: readonly unknown[]): Promise<void> => {
    total = both(total, await apply(tx, statement, values));
  };
  await expectStaged(tx, scope, resource.name, pages.filter(({ text }) => text === null).length);
  const given = resource.given ? [JSON.stringify(scope.facts)] : [];
  const reconcile = whole && (await hasCurrentRows(tx, scope, resource));
  for (const [number, page] of pages.entries()) {
    const values = [integrationId, subjectId, page.text, leaseToken, resource.name, number];
    if (page.rows) await step(unfit === null ? upsert : upsertCareful, [...values, ...given]);
    if (page.rows && unfit) unfit.push(...(await tx.query<Unfit>(noteUnfit, [...values, scope.kind])).rows);
    if (page.removals && remove) await step(remove, values);
  }
  // A row without a key may be any of those that seem to be gone.
  const keyless = unfit?.some((each) => each.resource === resource.name && each.expected === "key") ?? false;
  if (reconcile && !keyless) {
    const last: Page | undefined = pages.at(-1);
    await step(unseen, [integrationId, subjectId, last?.text ?? null, leaseToken, resource.name]);
  }
  return total;
}

async function apply(tx: Queryable, statement: Statement, values: readonly unknown[]): Promise<Applied> {
  const { rows } = await tx.query<Changes & { keys: string[] | null; before?: Applied["before"] }>(statement, values);
  const { added = 0, modified = 0, removed = 0, keys = null, before = null } = rows[0] ?? {};
  return { changes: { added, modified, removed }, keys: keys ?? [], before };
}

async function hasCurrentRows(tx: Queryable, scope: Scope, resource: Resource): Promise<boolean> {
  const { rows } = await tx.query<{ found: boolean }>(hasRows(resource), [scope.integrationId, scope.subjectId]);
  return rows[0]?.found ?? false;
}

/** How many rows of the resource the subject has that are not removed. */
export async function countCurrent(tx: Queryable, scope: Scope, resource: Resource): Promise<number> {
  const { rows } = await tx.query<{ rows: number }>(countRows(resource), [scope.integrationId, scope.subjectId]);
  return rows[0]?.rows ?? 0;
}

/** Removes every row that the subject has of the resource. */
export async function removeEverything(tx: Queryable, scope: Scope, resource: Resource): Promise<Applied> {
  return both(UNTOUCHED, await apply(tx, removeAll(resource), [scope.integrationId, scope.subjectId]));
}

/** Notes on the row that stands for the subject since when all of its rows are known to equal Plaid's; null: not yet. */
export async function verify(tx: Queryable, scope: Scope, root: Resource, at: Date | null): Promise<void> {
  await tx.query(verifyRow(root), [scope.integrationId, scope.subjectId, at]);
}

/** The row that stands for the subject, as Plaid gave it last, or null when the mirror has none. */
export async function mirroredRoot(
  q: Queryable,
  scope: Pick<Scope, "integrationId" | "subjectId">,
  root: Resource,
): Promise<Record<string, unknown> | null> {
  const { rows } = await q.query<{ raw: Record<string, unknown> }>(rootRow(root), [
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
  const { rows } = await q.query<{ id: string | null }>(rootLead(root, column), [scope.integrationId, scope.subjectId]);
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
): Promise<{ applied: Applied; row: Record<string, unknown> } | null> {
  const [place] = root.fetch.rows;
  if (!place || root.conditionAt === undefined) return null;
  const { rows } = await tx.query<{ raw: Record<string, unknown>; removed: boolean }>(anyRootRow(root), [
    scope.integrationId,
    scope.subjectId,
  ]);
  const [known] = rows;
  if (known?.removed || !(known ? add || change : add)) return null;
  const row = { ...(known?.raw ?? { [root.subject.column]: scope.subjectId }), [root.conditionAt]: error };
  const beside = (place.with ?? []).map((field) => [field, known?.raw[field] ?? null] as const);
  const text = JSON.stringify({ [place.at]: row, ...Object.fromEntries(beside) });
  const pages = [{ text, rows: true, removals: false }];
  const applied = await applyReading(tx, scope, { resource: root, pages, whole: false }, unfit);
  const { added, modified } = applied.changes;
  return added + modified > 0 ? { applied, row } : null;
}

/**
 * The resource's fields of the summary, `update_info`, such as `{ plaid_accounts: [{ account_id, type, name }] }`, from the rows as
 * they are now; `rows` is how many those are.
 */
export async function summaryOf(
  tx: Queryable,
  scope: Scope,
  resource: Resource,
  rows: number,
): Promise<Record<string, unknown>> {
  const summary: Record<string, unknown> = {};
  const values = [scope.integrationId, scope.subjectId];
  for (const [name, field] of Object.entries(resource.summary ?? {})) {
    if ("count" in field) summary[name] = rows;
    else if ("list" in field) summary[name] = (await tx.query(listRows(resource, field.list), values)).rows;
    else summary[name] = (await tx.query(listRows(resource, [field.value]), values)).rows[0]?.[field.value] ?? null;
  }
  return summary;
}
