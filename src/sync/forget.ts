/**
 * Changes the subjects of an item, or of an integration, that is linked anew, unlinked, deleted or erased. A running run
 * loses its lease here, so it cannot commit.
 */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import { forgetStaged } from "../mirror/forget.ts";
import { FORGET_FULL_CHECK } from "./full-check-queries.ts";
import { NOTIFY_DUE } from "./mark-queries.ts";
import { forgetNotices } from "./notices.ts";

/** How many subjects one transaction locks. */
const AT_ONCE = 1000;

/**
 * Changes a page of an integration's subjects, those after kind $2 and id $3; returns where it ended, no row when there are
 * no more. It locks rows in byte order, as marks do.
 */
export const pageOfSubjects = (change: string, where: string): string => `
  with page as materialized (
    select s.kind, s.id from sync.subjects s
    where s.integration_id = $1 and (s.kind, s.id) > ($2, $3) and ${where}
    order by s.kind, s.id limit ${AT_ONCE}
  ), locked as materialized (
    select s.kind, s.id from sync.subjects s join page using (kind, id) where s.integration_id = $1
    order by s.kind collate "C", s.id collate "C" for update of s
  ), changed as (
    update sync.subjects s set ${change}
    from locked l where s.integration_id = $1 and s.kind = l.kind and s.id = l.id and ${where}
  )
  select kind, id from page order by kind desc, id desc limit 1`;

/**
 * Subjects that failed because of the configuration are tried again with the new one. So is every running subject in any
 * status: its run may still use the old one, and ends at a newer generation than it claimed, so that it
 * runs again.
 */
const RETRY_SUBJECTS = pageOfSubjects(
  `due_at = case when s.lease_token is null then now() else s.due_at end, not_before = null, attempts = 0,
    generation = s.generation + 1`,
  "(s.status = 'misconfigured' or s.lease_token is not null)",
);

/** Takes a subject out of the queue. */
const END =
  "due_at = null, not_before = null, lease_token = null, generation = s.generation + 1, requested = '{}', status = 'unlinked'";
/** They keep `oldest_unserved` until those webhooks are settled, so that they can be found. */
const END_SUBJECTS = pageOfSubjects(
  END,
  "(s.status <> 'unlinked' or s.due_at is not null or s.lease_token is not null)",
);
/** After the webhooks are settled. Subjects that late webhooks made due again have a run, which settles those. */
const FORGET_WAITING = pageOfSubjects(
  "oldest_unserved = null",
  "s.oldest_unserved is not null and s.due_at is null and s.lease_token is null",
);
/** No webhook of the integration that waits for a run is older. */
const OLDEST_WAITING = `
  select oldest_unserved as id from sync.subjects
  where integration_id = $1 and oldest_unserved is not null order by oldest_unserved limit 1`;

const END_ITEM = `update sync.subjects s set oldest_unserved = null, ${END}
  where s.integration_id = $1 and s.kind = 'item' and s.id = $2`;
/** A subject that is linked again is read from the start. */
const FORGET_CURSORS = "delete from sync.cursors where integration_id = $1 and kind = $2 and id = $3";
/** Of a subject, or of all of an integration's where $3 is null. */
const LOOPS = `from sync.loops
  where integration_id = $1 and ($3::text is null or (kind = $2 and id = $3))`;
const LEASES_OF_LOOPS = `select lease_token ${LOOPS}`;
const FORGET_LOOPS = `delete ${LOOPS}`;
const FORGET_SUBJECT = `delete from sync.subjects where integration_id = $1 and kind = $2 and id = $3
  returning lease_token`;
const FORGET_RUNS = "delete from sync.runs where integration_id = $1 and kind = $2 and subject_id = $3";

const NOTICES_OF_INTEGRATION = [
  `delete from sync.notices where ctid = any (array(
    select ctid from sync.notices where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
  `delete from sync.repairs where ctid = any (array(
    select ctid from sync.repairs where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
];
const PURGES = [
  ...NOTICES_OF_INTEGRATION,
  `delete from sync.runs where ctid = any (array(
    select ctid from sync.runs where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
  `delete from sync.cursors where ctid = any (array(
    select ctid from sync.cursors where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
  `delete from sync.loops where ctid = any (array(
    select ctid from sync.loops where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
  `delete from sync.full_checks where ctid = any (array(
    select ctid from sync.full_checks where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
  `delete from sync.subjects where ctid = any (array(
    select ctid from sync.subjects where integration_id = $1 limit ${DELETED_AT_ONCE}))`,
];

type Leased = { lease_token: string | null };

const leasesOf = (rows: readonly Leased[]): string[] => rows.flatMap(({ lease_token: token }) => token ?? []);

/** Locks pages first, like a run that takes them over. */
async function forgetLoops(q: Queryable, key: readonly [string, string, string | null]): Promise<void> {
  await forgetStaged(q, leasesOf((await q.query<Leased>(LEASES_OF_LOOPS, key)).rows));
  await q.query(FORGET_LOOPS, key);
}

/** Forgets the loops of an item that wait, and their pages. */
export const forgetLoopsOf = (tx: Queryable, integrationId: string, itemId: string): Promise<void> =>
  forgetLoops(tx, [integrationId, "item", itemId]);

/** Takes an item out of the queue; its mirrored rows and its runs stay. */
export async function endItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(END_ITEM, [integrationId, itemId]);
  await tx.query(FORGET_FULL_CHECK, [integrationId, itemId]);
  await tx.query(FORGET_CURSORS, [integrationId, "item", itemId]);
  await forgetLoops(tx, [integrationId, "item", itemId]);
  await forgetNotices(tx, integrationId, itemId);
}

export const forgetItem = (tx: Queryable, integrationId: string, itemId: string): Promise<void> =>
  forgetSubject(tx, integrationId, { kind: "item", id: itemId });

/** Deletes everything that sync has about a subject. Call it before its mirrored rows are deleted: no run can commit after it. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  const key = [integrationId, kind, id] as const;
  await forgetStaged(tx, leasesOf((await tx.query<Leased>(FORGET_SUBJECT, key)).rows));
  await tx.query(FORGET_CURSORS, key);
  await forgetLoops(tx, key);
  await tx.query(FORGET_RUNS, key);
  if (kind === "item") await forgetNotices(tx, integrationId, id);
  if (kind === "item") await tx.query(FORGET_FULL_CHECK, [integrationId, id]);
}

/** Makes the subjects due that failed because of the integration's configuration, in parts. */
export async function retryIntegration(q: Queryable, id: string): Promise<void> {
  await eachPage(q, RETRY_SUBJECTS, id);
  await q.query(NOTIFY_DUE);
}

/** Takes the integration's subjects out of the queue, in parts. They keep `oldest_unserved`. */
export async function endIntegration(q: Queryable, id: string): Promise<void> {
  await eachPage(q, END_SUBJECTS, id);
  for (const statement of NOTICES_OF_INTEGRATION) await untilNone(q, statement, [id]);
  await forgetLoops(q, [id, "", null]);
}

/** UUID of the oldest webhook of the integration that may wait for a run; null where none is known to wait. */
export async function oldestWaiting(q: Queryable, id: string): Promise<string | null> {
  return (await q.query<{ id: string }>(OLDEST_WAITING, [id])).rows[0]?.id ?? null;
}

/** Clears `oldest_unserved` of subjects that will not run; in parts. */
export const forgetWaiting = (q: Queryable, id: string): Promise<void> => eachPage(q, FORGET_WAITING, id);

/** Deletes everything that sync has about the integration, in parts. */
export async function purgeIntegration(q: Queryable, id: string): Promise<void> {
  for (const statement of PURGES) await untilNone(q, statement, [id]);
}

/** Changes all pages of an integration's subjects; `more` are the values behind $3. */
export async function eachPage(
  q: Queryable,
  statement: string,
  id: string,
  more: readonly string[] = [],
): Promise<void> {
  let behind: { kind: string; id: string } | undefined = { kind: "", id: "" };
  while (behind) {
    const values: string[] = [id, behind.kind, behind.id, ...more];
    behind = (await q.query<{ kind: string; id: string }>(statement, values)).rows[0];
  }
}
