/**
 * Staged pages under a lease. The mirror keeps the pages; this module checks the lease in the same transaction and under a lock,
 * so no page is staged for a subject that another worker leases or that was erased.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { adoptStaged, dropStagedOf, findOldStaged, keepStaged, type StagedUnder } from "../mirror/stage.ts";
import type { Scope } from "../mirror/types.ts";
import { FRESH } from "./loop-queries.ts";
import { FENCE, FENCE_STAGING } from "./claim-queries.ts";
import { leaseLost } from "./lease.ts";

/** The leases among $1 of the resources $2 whose pages no run and no loop can use any more. */
const UNUSED_LEASES: Statement = {
  name: "sync_unused_leases",
  text: `
select o.lease_token as "leaseToken", o.resource
from unnest($1::uuid[], $2::text[]) as o (lease_token, resource)
where not exists (select from sync.subjects s where s.lease_token = o.lease_token)
  and not exists (select from sync.loops l where l.lease_token = o.lease_token and l.resource = o.resource and l.${FRESH})`,
};

/**
 * Holds the lease of `scope` until the transaction ends: the subject is neither claimed nor deleted before.
 * @throws TartanError `lease_lost` when the subject is another worker's by now
 */
export async function fence(tx: Queryable, scope: Scope): Promise<void> {
  const { rowCount } = await tx.query(FENCE, leaseOf(scope));
  if (rowCount === 0) throw leaseLost(scope);
}

/**
 * Keeps page `number` of a resource's reading until a run applies or drops it, or takes it over under another lease.
 * @throws TartanError `lease_lost` when the subject is another worker's by now
 */
export async function stagePage(q: Queryable, scope: Scope, resource: string, number: number, text: string) {
  const guard = { select: FENCE_STAGING, values: leaseOf(scope) };
  if (!(await keepStaged(q, scope.leaseToken, resource, number, text, guard))) throw leaseLost(scope);
}

const leaseOf = ({ integrationId, kind, subjectId, leaseToken }: Scope): string[] => [
  integrationId,
  kind,
  subjectId,
  leaseToken,
];

/**
 * Moves the first `pages` pages of another lease to the scope's own lease, and deletes the rest of them. With no pages it
 * deletes all of them.
 * @returns whether all were present: a crash of Postgres, or a sweep, may have deleted some; then it deletes the others too
 * @throws TartanError `lease_lost` when the subject is another worker's by now; then the pages stay as they are
 */
export async function takeOver(
  tx: Queryable,
  scope: Scope,
  { resource, from, pages }: { resource: string; from: string; pages: number },
): Promise<boolean> {
  await fence(tx, scope);
  return await adoptStaged(tx, { resource, from, to: scope.leaseToken, pages });
}

/** Deletes pages whose lease ended long ago. A lease that has ended never returns, so nothing can use them. */
export async function sweepStaged(q: Queryable): Promise<void> {
  const old = await findOldStaged(q);
  if (old.length === 0) return;
  const keys = [old.map(({ leaseToken }) => leaseToken), old.map(({ resource }) => resource)];
  await dropStagedOf(q, (await q.query<StagedUnder>(UNUSED_LEASES, keys)).rows);
}
