/**
 * Page loops that had to wait: for a rate limit, or because Plaid failed for a moment. The run ends and so frees its
 * worker; its transaction stores the state of the loop, and a later run takes the
 * staged pages over and requests the next page.
 *
 *   reading ──has to wait──▶ kept ──a later run, whose lease takes the pages over──▶ reading ──▶ read: forgotten
 *                              └─ pages lost or too old, another cursor or other options, or everything is asked for
 *                                 anew ──▶ starts over from its first cursor; when that fails, or may not begin, it is
 *                                 forgotten, and what began at the start is written as such in `claimed`
 */
import { hash } from "node:crypto";
import type { Database, Queryable } from "../database/types.ts";
import { dropStaged } from "../mirror/stage.ts";
import type { Scope } from "../mirror/types.ts";
import { COUNT_LOOPS, DROP_LOOPS, KEEP_LOOP, LOOPS, MOVE_LOOP, SWEEP_LOOPS } from "./loop-queries.ts";
import { takeOver } from "./staging.ts";
import type { Claim, Outcome, StoredLoop } from "./types.ts";

/** by resource */
export type Loops = ReadonlyMap<string, StoredLoop>;

/**
 * How many full readings may wait with staged pages for one integration; another begins when one of them has
 * ended. It bounds the disk space: each takes some 5 MB for ten pages.
 */
const WAITING_MAX = 200;

/** A number that no subject has as its generation. */
const NEVER = -1;

interface LoopRow {
  resource: string;
  lease_token: string;
  first_cursor: string | null;
  next_cursor: string;
  pages: [rows: boolean, removals: boolean][];
  read_with: string;
  full_for: string[];
  generation: number;
  waiting: string;
  begun_at: Date;
  fresh: boolean;
}

/** The loops of a subject that wait. */
export async function readLoopsOf(q: Queryable, { integrationId, kind, id }: Claim): Promise<Loops> {
  const { rows } = await q.query<LoopRow>(LOOPS, [integrationId, kind, id]);
  return new Map(
    rows.map((row) => [
      row.resource,
      {
        leaseToken: row.lease_token,
        firstCursor: row.first_cursor,
        nextCursor: row.next_cursor,
        pages: row.pages.map(([hasRows, removals]) => ({ text: null, rows: hasRows, removals })),
        readWith: row.read_with,
        fullFor: row.full_for,
        generation: row.generation,
        waiting: row.waiting,
        begunAt: row.begun_at,
        fresh: row.fresh,
      },
    ]),
  );
}

/** A digest of the waiting webhooks: equal webhooks give an equal digest. */
export const digestOf = (webhooks: readonly { id: string }[]): string =>
  webhooks.length === 0 ? "" : hash("sha256", webhooks.map(({ id }) => id).join(), "hex");

/**
 * Whether nothing was requested of the subject since the run that left these loops: then the run only continues them. A
 * request without a webhook raises the generation before the claim. A run may see a webhook before it is marked, so the waiting
 * webhooks must also be the same.
 */
export const onlyGoesOn = (claim: Claim, loops: Loops, webhooks: readonly { id: string }[]): boolean =>
  [...loops.values()].some(
    ({ generation, waiting }) => generation === claim.generation && waiting === digestOf(webhooks),
  );

/** Moves the loop's pages to the lease of `scope`. @returns whether all of them still exist */
export async function adoptLoop(
  database: Database,
  scope: Scope,
  resource: string,
  loop: StoredLoop,
): Promise<boolean> {
  const { integrationId, kind, subjectId, leaseToken } = scope;
  return await database.transaction(async (tx) => {
    const isWhole = await takeOver(tx, scope, { resource, from: loop.leaseToken, pages: loop.pages.length });
    if (isWhole) await tx.query(MOVE_LOOP, [integrationId, kind, subjectId, resource, loop.leaseToken, leaseToken]);
    return isWhole;
  });
}

/** Deletes the pages of a loop that does not continue. @throws TartanError `lease_lost` when the lease of `scope` is lost */
export async function dropPages(database: Database, scope: Scope, resource: string, { leaseToken }: StoredLoop) {
  await database.transaction((tx) => takeOver(tx, scope, { resource, from: leaseToken, pages: 0 }));
}

/** Whether the most loops of the integration wait already. */
export async function areTooMany(q: Queryable, integrationId: string): Promise<boolean> {
  const { rows } = await q.query<{ loops: number }>(COUNT_LOOPS, [integrationId, WAITING_MAX]);
  return (rows[0]?.loops ?? 0) >= WAITING_MAX;
}

/**
 * Whether a loop of the resource has ended: it was read to its end, its pages are deleted, or the subject lacks the product.
 * If the run did not request the resource, the loop still waits.
 */
const isOver = (outcome: Outcome): boolean =>
  !("failure" in outcome) || (outcome.paused === undefined && outcome.unasked !== true);

/** What a run leaves for the next one. */
interface Left {
  outcomes: readonly Outcome[];
  loops: Loops;
  /** the webhooks that still wait */
  waiting: readonly { id: string }[];
  /** whether more webhooks may wait than the run has read: the next run then reads their requests */
  isTruncated: boolean;
}

/** Stores the loops that have to wait, and deletes those that have ended. */
export async function settleLoops(
  tx: Queryable,
  claim: Claim,
  { outcomes, loops, waiting, isTruncated }: Left,
): Promise<void> {
  const { integrationId, kind, id, leaseToken, generation } = claim;
  const over = outcomes.filter(isOver).map(({ task }) => task.resource.name);
  const dropped = over.filter((name) => loops.has(name));
  for (const name of dropped) await dropStaged(tx, loops.get(name)?.leaseToken ?? leaseToken, name);
  if (dropped.length > 0) await tx.query(DROP_LOOPS, [integrationId, kind, id, dropped]);
  for (const outcome of outcomes) {
    if (!("failure" in outcome) || outcome.paused === undefined) continue;
    const { firstCursor, nextCursor, pages, readWith, fullFor, begunAt } = outcome.paused;
    const flags = JSON.stringify(pages.map(({ rows, removals }) => [rows, removals]));
    const where = [integrationId, kind, id, outcome.task.resource.name, leaseToken];
    await tx.query(KEEP_LOOP, [
      ...where,
      firstCursor,
      nextCursor,
      flags,
      readWith,
      fullFor,
      isTruncated ? NEVER : generation,
      begunAt,
      digestOf(waiting),
    ]);
  }
}

/** Deletes all loops of a subject that Plaid no longer has, and their pages. */
export async function forgetLoops(tx: Queryable, { integrationId, kind, id }: Claim, loops: Loops): Promise<void> {
  for (const { leaseToken } of loops.values()) await dropStaged(tx, leaseToken);
  await tx.query(DROP_LOOPS, [integrationId, kind, id, null]);
}

/** Deletes loops that are too old, of subjects without work. */
export async function sweepLoops(q: Queryable): Promise<void> {
  await q.query(SWEEP_LOOPS);
}
