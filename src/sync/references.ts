/** The subjects that rows reference, such as an item's institution, and which of them should be fetched now. */
import type { Queryable, Statement } from "../database/types.ts";
import type { AppliedTables } from "../mirror/apply.ts";
import { referenced, referencedByChanged } from "../mirror/queries.ts";
import { statementName, tablesOf, type Mirrored } from "../mirror/rows.ts";
import type { Applied, Scope, Subject } from "../mirror/types.ts";
import { INSTITUTION } from "../resources/subjects.ts";
import type { Reference, Resource } from "../resources/types.ts";

/**
 * The subjects of kind $3 that a column names and that wait to be fetched: never were, or not in the last $4 hours. One
 * that is due already, or gone for good, is left alone. $1 integration, $2 subject.
 */
const staleReferences = (of: Mirrored, { column }: Reference): Statement => ({
  name: statementName(of, `references_${column}`),
  text: `
select r.id from (${referenced(of, column)}) r where not exists (
  select from sync.subjects s where s.integration_id = $1 and s.kind = $3 and s.id = r.id
    and (s.verified_at > now() - $4 * interval '1 hour' or s.due_at is not null or s.status = 'ended'))`,
});

/** The subjects that the resource's rows reference and that should be fetched now, after a run has applied its rows. */
export async function findReferences(
  tx: Queryable,
  scope: Scope,
  resource: Resource,
  applied: AppliedTables,
): Promise<Subject[]> {
  const found: Subject[] = [];
  for (const of of tablesOf(resource)) {
    for (const reference of of.table.references ?? []) {
      const changed = applied.get(of.table.name);
      const { rows } =
        reference.staleHours === "changed"
          ? await findChanged(tx, scope, of, reference, changed)
          : await findStale(tx, scope, of, reference, reference.staleHours);
      found.push(...rows.map(({ id }) => ({ kind: reference.subject.kind, id })));
    }
  }
  return found;
}

/** How old the copy of an institution may be while Plaid says that the institution fails. */
const TROUBLED_MINUTES = 15;

const TROUBLED_INSTITUTION: Statement = {
  name: "sync_troubled_institution",
  text: `
select p.institution_id as id from plaid.items p
where p.integration_id = $1 and p.item_id = $2 and p.institution_id is not null and not exists (
  select from sync.subjects s where s.integration_id = $1 and s.kind = 'institution' and s.id = p.institution_id
    and (s.verified_at > now() - $3 * interval '1 minute' or s.due_at is not null or s.status = 'ended'))`,
};

/** The institution of an item that fails with the institution's error, if its status should be read again. */
export async function findTroubled(tx: Queryable, { integrationId, subjectId }: Scope): Promise<Subject[]> {
  const { rows } = await tx.query<{ id: string }>(TROUBLED_INSTITUTION, [integrationId, subjectId, TROUBLED_MINUTES]);
  return rows.map(({ id }) => ({ kind: INSTITUTION.kind, id }));
}

type Found = { rows: readonly { id: string }[] };

const findStale = (tx: Queryable, scope: Scope, of: Mirrored, reference: Reference, hours: number): Promise<Found> =>
  tx.query(staleReferences(of, reference), [scope.integrationId, scope.subjectId, reference.subject.kind, hours]);

async function findChanged(
  tx: Queryable,
  { integrationId, subjectId }: Scope,
  of: Mirrored,
  { column }: Reference,
  applied: Applied | undefined,
): Promise<Found> {
  if (!applied || applied.changes.added + applied.changes.modified === 0) return { rows: [] };
  const { keys } = applied;
  const by = keys === null ? "all" : "keys";
  const statement = {
    name: statementName(of, `changed_${column}_by_${by}`),
    text: referencedByChanged(of, column, by),
  };
  return await tx.query(statement, [integrationId, subjectId, ...(keys === null ? [] : [[...new Set(keys)]])]);
}
