/**
 * The queue of subjects for a worker: claim, renew, give back, give up. The transaction that writes the rows completes a run
 * (commit.ts). Every statement is fenced: a worker whose lease another worker has now changes
 * nothing here.
 */
import { urgent } from "../database/pool.ts";
import { v7 as newRunId } from "uuid";
import type { Database, Queryable } from "../database/types.ts";
import { recordQuietly } from "../events/events.ts";
import { waitingOf, type WaitingWebhook } from "../journal/served.ts";
import { forgetStaged } from "../mirror/forget.ts";
import { gaveUp } from "./events.ts";
import { held, leaseLost } from "./lease.ts";
import { CLAIM, GIVE_BACK, GIVE_UP, KEEP_RUN, RENEW, WAKE, WAKE_INTEGRATIONS, WAKE_SUBJECTS } from "./claim-queries.ts";
import type { Claim, LastError, Status } from "./types.ts";

/** The most webhooks that one run serves; the rest stay due. */
export const WEBHOOKS_MAX = 1000;

/** How far a wake has come in its lap over the integrations. */
export interface Woken {
  /** the integration after which the next wake begins; "" when the lap has ended */
  after: string;
  /** there may be as many again that are due by now */
  more: boolean;
}

/** Makes subjects ready that became due by time, after the integration `after`. */
export async function wake(q: Queryable, after: string): Promise<Woken> {
  const { rows } = await q.query<{ stepped: number; last: string | null; found: number }>(WAKE, [after]);
  const { stepped = 0, last = null, found = 0 } = rows[0] ?? {};
  return { after: stepped < WAKE_INTEGRATIONS ? "" : (last ?? ""), more: found >= WAKE_SUBJECTS };
}

interface ClaimRow {
  integration_id: string;
  kind: string;
  id: string;
  lease_token: string;
  generation: number;
  oldest_unserved: string | null;
  claimed: string[];
  status: Status;
  attempts: number;
  claimed_at: Date;
  /** the lease of a worker that died, whose staged pages no loop keeps */
  dropped: string | null;
}

/**
 * Claims up to `count` subjects that are ready, fairly between integrations.
 * @param after the integration that was served last, "" at first
 */
export async function claim(q: Queryable, after: string, count: number, leaseSeconds: number): Promise<Claim[]> {
  const { rows } = await q.query<ClaimRow>(CLAIM, [after, count, leaseSeconds]);
  // The claims stay even if this fails; remaining pages are swept later.
  await forgetStaged(
    q,
    rows.flatMap(({ dropped }) => dropped ?? []),
  ).catch(() => undefined);
  return rows.map((row) => ({
    integrationId: row.integration_id,
    kind: row.kind,
    id: row.id,
    leaseToken: row.lease_token,
    generation: row.generation,
    oldestUnserved: row.oldest_unserved,
    requested: row.claimed,
    status: row.status,
    attempts: row.attempts,
    claimedAt: row.claimed_at,
  }));
}

/** The webhooks that wait for the claimed subject, oldest first, at most WEBHOOKS_MAX. */
export async function waitingWebhooks(q: Queryable, claimed: Claim): Promise<WaitingWebhook[]> {
  return claimed.oldestUnserved === null ? [] : await waitingOf(q, claimed, claimed.oldestUnserved, WEBHOOKS_MAX);
}

/** @throws TartanError `lease_lost` */
export async function renew(database: Database, claimed: Claim, leaseSeconds: number): Promise<void> {
  const { rowCount } = await urgent(database).query(RENEW, [...held(claimed), leaseSeconds]);
  if (rowCount === 0) throw leaseLost({ kind: claimed.kind, subjectId: claimed.id });
}

/** Gives the subject back as it was, due after `inMs`; nothing happens when the lease is lost. */
export async function giveBack(q: Queryable, claimed: Claim, inMs = 0): Promise<void> {
  await q.query(GIVE_BACK, [...held(claimed), inMs]);
}

/** Gives the subject back after a failure that no decision covers; keeps the run and records its event. Its webhooks still wait. */
export async function giveUp(
  database: Database,
  claimed: Claim,
  { inMs, error, status }: { inMs: number; error: LastError; status: Status },
): Promise<void> {
  await database.transaction(async (tx) => {
    const { rowCount } = await tx.query(GIVE_UP, [...held(claimed), inMs, JSON.stringify(error), status]);
    if (rowCount === 0) return;
    const runId = newRunId();
    const { integrationId, kind, id, claimedAt, attempts } = claimed;
    const summary = JSON.stringify({ outcome: "failed", error });
    await tx.query(KEEP_RUN, [runId, integrationId, kind, id, claimedAt, "failed", 0, summary]);
    await recordQuietly(tx, gaveUp(claimed, { runId, status, attempts: attempts + 1, dueInMs: inMs, error }));
  });
}
