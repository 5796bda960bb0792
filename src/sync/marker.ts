/**
 * The marker reads the accepted arrivals and makes their subjects due. It settles at once what needs no run:
 *
 *   row of the outbox ─▶ a run is needed: its subject is marked ──────────────────────────────────────┐
 *                     ├▶ it touches nothing mirrored: no_resource, or ─────┐                          │
 *                     │  unknown_webhook where the catalogue lacks it      │                          │
 *                     ├▶ it does, but does not name whose: no_subject ─────┼▶ processed at once ──────┼▶ the row is deleted
 *                     ├▶ its token is not known: item_unknown or subject_unknown ─┘                   │
 *                     ├▶ a run has served it already: nothing ────────────────────────────────────────┘
 *                     └▶ another transaction holds the subject: it goes into a new row, and is tried again
 *
 * One transaction does all of it for some rows, which it locks; it skips rows that another process has locked. So any
 * number of markers work at once, and one that dies leaves its rows to the others.
 *
 * Why no wake-up is lost. Let W be a webhook. Its journal row and its row of the outbox are one commit, so as long as W's row of the outbox
 * exists, some marker will read W, which then is in one of three states:
 *
 * 1. W is processed. A run has served it, or another transaction has settled it. There is nothing to do.
 * 2. W is not processed, and its subject's row is free. The marker locks the row, raises the generation, makes the subject due, and sets
 *    `oldest_unserved` to W or keeps an older one. A running run claimed an older generation. It locks the same row
 *    before it ends (LOCK in claim-queries.ts). If it locks before the marker, the mark comes after its end and makes the subject
 *    due. If it locks after, it sees the newer generation, leaves the subject due, and looks up the oldest webhook that waits.
 * 3. W is not processed, and another transaction holds the subject's row. W goes into a new row of the outbox in the same
 *    transaction that deletes the old one, and a marker reads it again.
 *
 * A run may see W before any marker does, since it reads the journal. It then plans for W like for any webhook that waits, with what
 * W's own row requests, and serves it or leaves it waiting; the marker finds state 1 or 2. A run that only continues
 * a page loop compares the webhooks that wait with those that the loop was kept for (loops.ts), so it cannot serve W by mistake.
 * A webhook that a run serves while the marker's transaction is open costs one run that finds nothing to do.
 *
 * Why nothing deadlocks. A marker waits for no subject that exists. Transactions that lock a subject and webhooks lock the subject first.
 * Two markers that insert the same new subjects could wait for each other, if one of these was linked between their reads: Postgres then
 * ends one of the transactions, which is repeated.
 */
import type { Database, Queryable } from "../database/types.ts";
import { settleUnmarked, takeUnmarked, type Notice, type UnmarkedRow } from "../events/sync-outbox.ts";
import { getArrived, markServed, type Arrived } from "../journal/served.ts";
import { subjectsWithToken } from "../integrations/subjects.ts";
import { resourcesOf, subjectKind } from "../resources/index.ts";
import { LINKED_ITEMS } from "./mark-queries.ts";
import {
  gather,
  lockSubjects,
  markQuietly,
  nameOf,
  noteUnlinked,
  renewSubjects,
  type Mark,
  type SubjectKey,
} from "./marks.ts";
import { resourcesFor } from "./plan.ts";
import { UNREAD, unreadOutcome, type Unread } from "./unread.ts";

/** The result of one call. */
export interface Marked {
  /** subjects that it made due */
  subjects: number;
  /** there may be more arrivals to mark now */
  more: boolean;
  /** some arrivals wait for other transactions: call it again soon */
  deferred: boolean;
}

/** An arrival: a webhook, or a notice where `webhook` is null. */
interface Arrival {
  webhook: Arrived | null;
  notice: Notice | null;
  subject: SubjectKey | null;
  type: string | null;
  code: string | null;
  requested: readonly string[];
}

/** The outcome of a webhook that needs no run. */
type Settled = Unread | "item_unknown" | "subject_unknown";

/**
 * Called with the webhooks of the rows that a marker reads, in its transaction, also with those that a run has served already. Each webhook
 * comes once at least; one whose subject another transaction holds comes again.
 */
export type OnArrived = (tx: Queryable, webhooks: readonly Arrived[]) => Promise<void>;

/** Marks the arrivals of the oldest rows of the outbox. Call it again while there is more. */
export async function markWaiting(database: Database, onArrived?: OnArrived): Promise<Marked> {
  return await database.transaction(async (tx) => {
    const { rows, more } = await takeUnmarked(tx);
    if (rows.length === 0) return { subjects: 0, more: false, deferred: false };
    const webhooks = await getArrived(tx, rows.flatMap((row) => row.webhooks).toSorted());
    await onArrived?.(tx, webhooks);
    const arrivals = arrivalsOf(
      webhooks.filter(({ processed }) => !processed),
      rows,
    );
    const linked = await readLinked(tx, arrivals);
    const decided = arrivals.map((arrival) => ({ arrival, settled: settledAs(arrival, linked) }));
    const due = decided.flatMap(({ arrival, settled }) => (settled === null ? [arrival] : []));
    const { subjects, deferred } = await mark(tx, due);
    await settle(tx, decided);
    await settleUnmarked(tx, rows, {
      webhooks: deferred.flatMap(({ webhook }) => webhook?.id ?? []),
      notices: deferred.flatMap(({ notice }) => notice ?? []),
    });
    return { subjects, more, deferred: deferred.length > 0 };
  });
}

function arrivalsOf(webhooks: readonly Arrived[], rows: readonly UnmarkedRow[]): Arrival[] {
  const notices = rows.flatMap((row) => row.notices);
  return [
    ...webhooks.map((webhook) => {
      const { integrationId, subject, type, code, requested } = webhook;
      return { webhook, notice: null, subject: subject && { integrationId, ...subject }, type, code, requested };
    }),
    ...notices.map((notice) => {
      const { integration_id: integrationId, kind, id, type, code, requested } = notice;
      return { webhook: null, notice, subject: { integrationId, kind, id }, type, code, requested };
    }),
  ];
}

/** Whether Plaid is asked about the subject with a token that somebody has to hand over. */
function needsToken({ kind }: SubjectKey): boolean {
  const access = subjectKind(kind)?.access;
  return access?.by === "access_token" || (access?.by === "token" && access.inWebhook === undefined);
}

/** Names of the subjects that have a token. */
async function readLinked(tx: Queryable, arrivals: readonly Arrival[]): Promise<ReadonlySet<string>> {
  const asked = new Map(
    arrivals.flatMap(({ subject }) => (subject && needsToken(subject) ? [[nameOf(subject), subject] as const] : [])),
  );
  const keys = [...asked.values()];
  const [items, others] = [keys.filter(isItem), keys.filter((key) => !isItem(key))];
  const values = [items.map(({ integrationId }) => integrationId), items.map(({ id }) => id)];
  const linked = items.length === 0 ? [] : (await tx.query<SubjectKey>(LINKED_ITEMS, values)).rows;
  return new Set([...linked, ...(await subjectsWithToken(tx, others))].map(nameOf));
}

const isItem = ({ kind }: SubjectKey): boolean => kind === "item";

/** Null where a run is needed. A notice needs a run only if a webhook like it would. */
function settledAs({ subject, type, code, requested, notice }: Arrival, linked: ReadonlySet<string>): Settled | null {
  const asked = notice === null ? requested : [];
  const resources = subject === null ? [] : resourcesOf(subject.kind);
  if (subject === null || resourcesFor(resources, { type, code, requested: asked }).length === 0)
    return unreadOutcome(subject?.kind ?? null, type, code);
  if (!needsToken(subject) || linked.has(nameOf(subject))) return null;
  return isItem(subject) ? "item_unknown" : "subject_unknown";
}

/** Only linking an item yields this webhook. */
const isLink = ({ webhook }: Arrival): boolean =>
  webhook !== null && webhook.source === "BACKEND" && webhook.type === "ITEM" && webhook.code === "CREATED";

type Due = Arrival & { subject: SubjectKey };

/** Marks the subjects. @returns how many, and the arrivals whose subjects other transactions lock */
async function mark(tx: Queryable, due: readonly Arrival[]): Promise<{ subjects: number; deferred: Arrival[] }> {
  const about = due.filter((arrival): arrival is Due => arrival.subject !== null);
  const marks = gather(about.map(markOf));
  const held = await lockSubjects(tx, marks);
  const isHeld = (key: SubjectKey): boolean => held.has(nameOf(key));
  const free = marks.filter((each) => !isHeld(each));
  await renewSubjects(
    tx,
    about.flatMap((arrival) => (isLink(arrival) && !isHeld(arrival.subject) ? [arrival.subject] : [])),
  );
  await markQuietly(tx, free);
  return { subjects: free.length, deferred: about.filter(({ subject }) => isHeld(subject)) };
}

/** What a webhook requests is in its own row, where every run for it reads it. */
const markOf = ({ subject, webhook, notice }: Due): Mark => ({
  ...subject,
  ...(webhook && { oldest: webhook.id }),
  ...(notice && { requested: notice.requested }),
});

async function settle(tx: Queryable, decided: readonly { arrival: Arrival; settled: Settled | null }[]): Promise<void> {
  for (const outcome of [...UNREAD, "item_unknown", "subject_unknown"] as const) {
    const arrivals = decided.filter(({ settled }) => settled === outcome).map(({ arrival }) => arrival);
    if (outcome === "item_unknown" || outcome === "subject_unknown")
      await noteUnlinked(
        tx,
        arrivals.flatMap(({ subject }) => subject ?? []),
      );
    await markServed(
      tx,
      arrivals.flatMap(({ webhook }) => webhook?.id ?? []),
      { outcome },
    );
  }
}
