/**
 * Pages of a reading that is under way. They wait in an unlogged table for the one transaction that applies them all, so
 * memory holds one page however long a history is. The last page never goes there but is applied as it came, so the
 * usual reading of one page costs no staging at all.
 */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { ADOPT_STAGED, COUNT_STAGED, DROP_STAGED, STAGE_PAGE, SWEEP_STAGED } from "./queries.ts";
import type { Scope } from "./types.ts";

/**
 * Keeps page `number` of a resource's reading until a run applies or drops it, or takes it over under another lease.
 * @throws TartanError `lease_lost` when the subject is another worker's by now
 */
export async function stagePage(q: Queryable, scope: Scope, resource: string, number: number, text: string) {
  const { integrationId, kind, subjectId, leaseToken } = scope;
  const { rowCount } = await q.query(STAGE_PAGE, [leaseToken, resource, number, text, integrationId, kind, subjectId]);
  if (rowCount === 0) throw leaseLost(scope);
}

/**
 * Makes sure that all pages that were staged are still there: a Postgres that crashed, or a standby that took over, has
 * emptied the table, and a page that is missing must not pass for one without rows.
 */
export async function expectStaged(q: Queryable, { leaseToken }: Scope, resource: string, pages: number) {
  if (pages === 0) return;
  const { rows } = await q.query<{ pages: number }>(COUNT_STAGED, [leaseToken, resource]);
  if (rows[0]?.pages === pages) return;
  throw new TartanError("internal", "Staged pages are gone, as after a crash of Postgres; the reading starts over.");
}

/**
 * Takes the first `pages` pages that were staged under another lease over for the scope's own, which must still hold, and
 * forgets the rest of them. With no pages it forgets all of them.
 * @returns whether all were there: a crash of Postgres, or a sweep, may have taken them; then the others are forgotten too
 * @throws TartanError `lease_lost` when the subject is another worker's by now; then the pages stay as they are
 */
export async function adoptStaged(
  tx: Queryable,
  scope: Scope,
  { resource, from, pages }: { resource: string; from: string; pages: number },
): Promise<boolean> {
  const { integrationId, kind, subjectId, leaseToken } = scope;
  const values = [leaseToken, resource, from, pages, integrationId, kind, subjectId];
  const { rows } = await tx.query<{ pages: number; held: boolean }>(ADOPT_STAGED, values);
  if (!rows[0]?.held) throw leaseLost(scope);
  if (rows[0].pages === pages) return true;
  await dropStaged(tx, leaseToken, resource);
  return false;
}

/** Forgets the staged pages of a lease, of one resource or of all. */
export async function dropStaged(q: Queryable, leaseToken: string, resource: string | null = null): Promise<void> {
  await q.query(DROP_STAGED, [leaseToken, resource]);
}

/** Forgets pages whose lease is long gone. */
export async function sweepStaged(q: Queryable): Promise<void> {
  await q.query(SWEEP_STAGED);
}

export function leaseLost({ kind, subjectId }: Pick<Scope, "kind" | "subjectId">): TartanError {
  return new TartanError("lease_lost", `The ${kind} ${subjectId} is another worker's by now; nothing was written.`);
}
