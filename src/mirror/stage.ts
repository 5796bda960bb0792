/**
 * Pages of a reading that is under way. They wait in an unlogged table for the one transaction that applies them all, so
 * memory holds one page however long a history is. The last page never goes there but is applied as it came, so the
 * usual reading of one page costs no staging at all. The caller that stages, moves or applies pages holds the lease that they are
 * staged under.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import {
  ADOPT_STAGED,
  COUNT_STAGED,
  DROP_OLD_STAGED,
  DROP_STAGED,
  OLD_STAGED,
  STAGED_TEXT,
  stagePageIf,
} from "./queries.ts";
import type { Scope } from "./types.ts";

/** A SELECT that yields one row while pages may be staged, and locks what that depends on; with its values. */
export interface Guard {
  select: Statement;
  values: readonly unknown[];
}

/** For a caller whose transaction already holds the lease. */
const ALWAYS: Guard = { select: { name: "always", text: "select" }, values: [] };

/**
 * Keeps page `number` of a resource's reading.
 * @returns whether `guard` allowed it
 */
export async function keepStaged(
  q: Queryable,
  leaseToken: string,
  resource: string,
  number: number,
  text: string,
  { select, values }: Guard = ALWAYS,
): Promise<boolean> {
  const { rowCount } = await q.query(stagePageIf(select, values.length), [
    ...values,
    leaseToken,
    resource,
    number,
    text,
  ]);
  return rowCount === 1;
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

/** The text of a staged page; null where it is gone. */
export const stagedText = async (
  q: Queryable,
  leaseToken: string,
  resource: string,
  page: number,
): Promise<string | null> =>
  (await q.query<{ payload: string }>(STAGED_TEXT, [leaseToken, resource, page])).rows[0]?.payload ?? null;

/**
 * Moves the first `pages` pages from one lease to another, and forgets the rest of them. With no pages it forgets all of them.
 * @returns whether all were there; if not, the others are forgotten too
 */
export async function adoptStaged(
  tx: Queryable,
  { resource, from, to, pages }: { resource: string; from: string; to: string; pages: number },
): Promise<boolean> {
  const { rows } = await tx.query<{ pages: number }>(ADOPT_STAGED, [to, resource, from, pages]);
  if (rows[0]?.pages === pages) return true;
  await dropStaged(tx, to, resource);
  return false;
}

/** Forgets the staged pages of a lease, of one resource or of all. */
export async function dropStaged(q: Queryable, leaseToken: string, resource: string | null = null): Promise<void> {
  await q.query(DROP_STAGED, [leaseToken, resource]);
}

/** A lease and a resource that pages are staged under. */
export interface StagedUnder {
  leaseToken: string;
  resource: string;
}

/** What pages were staged under long ago: perhaps a lease that is gone. */
export const findOldStaged = async (q: Queryable): Promise<StagedUnder[]> =>
  (await q.query<StagedUnder>(OLD_STAGED)).rows;

/** Forgets the pages that were staged long ago under these. */
export async function dropStagedOf(q: Queryable, staged: readonly StagedUnder[]): Promise<void> {
  if (staged.length === 0) return;
  const leases = staged.map(({ leaseToken }) => leaseToken);
  await q.query(DROP_OLD_STAGED, [leases, staged.map(({ resource }) => resource)]);
}
