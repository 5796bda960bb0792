/**
 * The notices of items in Postgres. The runs of an item write its notices: a run reads them at its start and writes what changed in its
 * own transaction, after it has locked the subject.
 */
import type { Queryable } from "../database/types.ts";
import type { NoticeKind } from "../model/statuses.ts";
import { markDue } from "./marks.ts";
import type { NextNotices, Notice, NoticeDetails, Repair } from "./next-notices.ts";
import {
  CLEAR_NOTICES,
  FORGET_NOTICES,
  FORGET_OLD_REPAIRS,
  FORGET_REPAIRS,
  KEEP_NOTICES,
  KEEP_REPAIR,
  NOTICES,
  OVERDUE_NOTICES,
  PRESENT_ACCOUNTS,
} from "./notice-queries.ts";
import type { Claim } from "./types.ts";
import { EVERYTHING } from "../model/webhook.ts";

/** What a run of an item finds at its start. */
export interface KnownNotices {
  open: readonly Notice[];
  /** the latest session of Link in update mode */
  repair: Repair | null;
}

const NONE: KnownNotices = { open: [], repair: null };

interface Row {
  kind: NoticeKind | null;
  about: string;
  since: Date;
  announced_at: Date;
  until: Date | null;
  details: NoticeDetails;
  webhook_id: string | null;
}

export async function readNotices(q: Queryable, { integrationId, kind, id }: Claim): Promise<KnownNotices> {
  if (kind !== "item") return NONE;
  const { rows } = await q.query<Row>(NOTICES, [integrationId, id]);
  const repaired = rows.find((row) => row.kind === null);
  return {
    open: rows.flatMap(({ kind: of, announced_at: announcedAt, webhook_id: webhookId, ...row }) =>
      of === null ? [] : [{ ...row, kind: of, announcedAt, webhookId }],
    ),
    repair: repaired ? { by: "link_session", at: repaired.since } : null,
  };
}

/** Writes what the run changed. The caller has locked the subject. */
export async function writeNotices(
  tx: Queryable,
  { integrationId, id }: Claim,
  before: KnownNotices,
  { open, cleared }: NextNotices,
): Promise<void> {
  const item = [integrationId, id];
  const kept = new Set(before.open);
  const written = open.filter((notice) => !kept.has(notice));
  if (cleared.some(({ notice }) => kept.has(notice)))
    await tx.query(CLEAR_NOTICES, [...item, open.map(({ kind }) => kind), open.map(({ about }) => about)]);
  if (written.length === 0) return;
  await tx.query(KEEP_NOTICES, [
    ...item,
    written.map(({ kind }) => kind),
    written.map(({ about }) => about),
    written.map(({ since }) => since),
    written.map(({ announcedAt }) => announcedAt),
    written.map(({ until }) => until),
    written.map(({ details }) => JSON.stringify(details)),
    written.map(({ webhookId }) => webhookId),
  ]);
}

/** Those of the accounts that the mirror has. */
export async function presentAccounts(
  q: Queryable,
  { integrationId, id }: Claim,
  accounts: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ account_id: string }>(PRESENT_ACCOUNTS, [integrationId, id, accounts]);
  return new Set(rows.map(({ account_id }) => account_id));
}

/** Forgets repairs of a week ago. Until then a webhook of before the repair may still be served, and opens no notice. */
export async function forgetOldRepairs(q: Queryable): Promise<void> {
  await q.query(FORGET_OLD_REPAIRS);
}

/** Deletes what an item has that ended, was unlinked or is erased; an event of its own says so. */
export async function forgetNotices(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_NOTICES, [integrationId, itemId]);
  await tx.query(FORGET_REPAIRS, [integrationId, itemId]);
}

export interface RepairedItem {
  integrationId: string;
  itemId: string;
  /** when its user finished update mode; absent: now */
  at?: Date;
}

/**
 * The user of the item has finished a session of Link in update mode. Makes the item due: its next run asks Plaid, and clears the notices
 * that were announced before unless Plaid still says what they say.
 *
 * It locks the item's subject, as every transaction does before it changes what belongs to the subject.
 */
export async function repaired(tx: Queryable, { integrationId, itemId, at }: RepairedItem): Promise<void> {
  await markDue(tx, [{ integrationId, kind: "item", id: itemId, requested: [EVERYTHING] }]);
  await tx.query(KEEP_REPAIR, [integrationId, itemId, at ?? null]);
}

/** The item's own row is all that the run has to read. */
const REQUESTED = ["items"];
const AT_ONCE = 500;

/** Makes the items due whose notices have to be looked at since time has passed. @returns how many */
export async function markOverdue(q: Queryable): Promise<number> {
  const { rows } = await q.query<{ integration_id: string; item_id: string }>(OVERDUE_NOTICES, [AT_ONCE]);
  await markDue(
    q,
    rows.map(({ integration_id: integrationId, item_id: id }) => ({
      integrationId,
      kind: "item",
      id,
      requested: REQUESTED,
    })),
  );
  return rows.length;
}
