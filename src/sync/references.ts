/** The subjects that rows reference, such as an item's institution, and which of them should be fetched now. */
import type { Queryable, Statement } from "../database/types.ts";
import { referenced } from "../mirror/queries.ts";
import { statementName, tablesOf, type Mirrored } from "../mirror/rows.ts";
import type { Scope, Subject } from "../mirror/types.ts";
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

/** The subjects that the resource's rows reference and that should be fetched now. */
export async function findReferences(tx: Queryable, scope: Scope, resource: Resource): Promise<Subject[]> {
  const found: Subject[] = [];
  for (const of of tablesOf(resource)) {
    for (const reference of of.table.references ?? []) {
      const { subject, staleHours } = reference;
      const values = [scope.integrationId, scope.subjectId, subject.kind, staleHours];
      const { rows } = await tx.query<{ id: string }>(staleReferences(of, reference), values);
      found.push(...rows.map(({ id }) => ({ kind: subject.kind, id })));
    }
  }
  return found;
}
