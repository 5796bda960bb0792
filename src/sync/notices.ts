/**
 * The notices of items in Postgres. The runs of an item write its notices: a run reads them at its start and writes what changed in its
 * own transaction, after it has locked the subject.
 */
import type { Queryable } from "../database/types.ts";
import type { NoticeKind, RepairedBy } from "../model/statuses.ts";
import { markDue } from "./marks.ts";
import { keyOf, type NextNotices, type Notice, type NoticeDetails, type Repair } from "./next-notices.ts";
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
  /** the latest of each kind within eight days */
  repairs: readonly Repair[];
}

const NONE: KnownNotices = { open: [], repairs: [] };

interface Row {
  repaired_by: RepairedBy | null;
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
  return {
    open: rows.flatMap(({ kind: of, about, since, until, details, announced_at: announcedAt, webhook_id: webhookId }) =>
      of === null ? [] : [{ kind: of, about, since, until, details, announcedAt, webhookId }],
    ),
    repairs: rows.flatMap(({ repaired_by: by, since: at }) => (by === null ? [] : [{ by, at }])),
  };
}

/** Writes what the run changed, and the repairs that it saw. The caller has locked the subject. */
export async function writeNotices(
  tx: Queryable,
  { integrationId, id }: Claim,
  before: KnownNotices,
  { open }: Pick<NextNotices, "open">,
  repairs: readonly Repair[],
): Promise<void> {
  const item = [integrationId, id];
  for (const { by, at } of repairs)
    if (!before.repairs.some((known) => known.by === by && known.at >= at))
      await tx.query(KEEP_REPAIR, [...item, by, at]);
  const kept = new Set(before.open);
  const written = open.filter((notice) => !kept.has(notice));
  const left = new Set(open.map(keyOf));
  if (before.open.some((notice) => !left.has(keyOf(notice))))
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

/** Forgets repairs of eight days ago. Until then a webhook of before the repair may still come, and opens no notice. */
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
  await tx.query(KEEP_REPAIR, [integrationId, itemId, "link_session", at ?? null]);
}

/** The item's own row is all that the run has to read. */
const REQUESTED = ["items"];
const AT_ONCE = 500;

/** Makes the item due, so that a run asks Plaid about it. */
export const askAboutItem = (
  tx: Queryable,
  { integrationId, id }: Pick<Claim, "integrationId" | "id">,
): Promise<void> => markDue(tx, [{ integrationId, kind: "item", id, requested: REQUESTED }]);

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
