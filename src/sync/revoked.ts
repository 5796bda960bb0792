/** What sync knows of an item or account whose data may have to be erased, and what it deletes of it itself. */
import type { Queryable } from "../database/types.ts";
import { forgetLoopsOf } from "./forget.ts";
import { FORGET_FULL_CHECK } from "./full-check-queries.ts";

/** Plaid may list an account for a while after its user withdrew it, so a reading counts once it is so much younger than the webhook. */
const LISTED_STILL = "interval '1 day'";
/** Locks the subject: a run that is about to commit has committed. $3 an account or null, $4 when it was noted. */
const HOLD = `
  select s.status, s.lease_token is not null as busy,
    exists (select from plaid.accounts a
      where a.integration_id = $1 and a.item_id = $2 and a.account_id = $3 and a.removed_at is null) as shown,
    exists (select from sync.cursors c where c.integration_id = $1 and c.kind = 'item' and c.id = $2 and c.resource = 'accounts'
      and c.verified_at >= $4::timestamptz + ${LISTED_STILL}) as confirmed
  from sync.subjects s where s.integration_id = $1 and s.kind = 'item' and s.id = $2 for update of s`;

const FORGET_READINGS = [
  "delete from sync.cursors where integration_id = $1 and kind = 'item' and id = $2",
  "delete from sync.runs where integration_id = $1 and kind = 'item' and subject_id = $2",
];
/** $3 the resources, $4 how many rows fewer each has. */
const COUNT_FEWER = `
  update sync.cursors c set rows = greatest(0, c.rows - f.fewer)
  from unnest($3::text[], $4::bigint[]) as f (resource, fewer)
  where c.integration_id = $1 and c.kind = 'item' and c.id = $2 and c.resource = f.resource`;
const CUT_SUMMARIES = `
  update sync.runs set summary = tartan.without_account(summary::json, $3)::jsonb
  where integration_id = $1 and kind = 'item' and subject_id = $2 and position($3 in summary::text) > 0`;

/**
 * - `gone`: Plaid no longer has it, or nothing here will ever say otherwise
 * - `there`: Plaid has it
 * - `unconfirmed`: no reading says so yet, or only one that may be too early
 * - `busy`: a run works on the item
 */
export type Withdrawn = "gone" | "there" | "unconfirmed" | "busy";

/** Whether Plaid still has the account, or the item where that is null. Until the transaction ends, no run of the item commits. */
export async function holdWithdrawn(
  tx: Queryable,
  {
    integrationId,
    itemId,
    accountId,
    notedAt,
  }: {
    integrationId: string;
    itemId: string;
    accountId: string | null;
    notedAt: Date;
  },
): Promise<Withdrawn> {
  type Row = { status: string; busy: boolean; shown: boolean; confirmed: boolean };
  const { rows } = await tx.query<Row>(HOLD, [integrationId, itemId, accountId, notedAt]);
  const [subject] = rows;
  if (!subject) return "gone";
  if (subject.busy) return "busy";
  // After it is unlinked, no reading will say otherwise.
  if (subject.status === "unlinked") return "gone";
  if (accountId === null ? subject.status === "ended" : !subject.shown) return "gone";
  return subject.confirmed ? "there" : "unconfirmed";
}

/** Deletes how far an item was read, its staged pages and its runs; its state stays. */
export async function forgetReadings(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await forgetLoopsOf(tx, integrationId, itemId);
  await tx.query(FORGET_FULL_CHECK, [integrationId, itemId]);
  for (const statement of FORGET_READINGS) await tx.query(statement, [integrationId, itemId]);
}

/**
 * Deletes what sync has of one account: pages that are staged for the item, which are read again, and the account's part of the runs.
 * @param fewer how many current rows were deleted, by resource
 */
export async function forgetAccount(
  tx: Queryable,
  integrationId: string,
  itemId: string,
  accountId: string,
  fewer: ReadonlyMap<string, number>,
): Promise<void> {
  await forgetLoopsOf(tx, integrationId, itemId);
  // It may name rows of the account.
  await tx.query(FORGET_FULL_CHECK, [integrationId, itemId]);
  await tx.query(COUNT_FEWER, [integrationId, itemId, [...fewer.keys()], [...fewer.values()]]);
  await tx.query(CUT_SUMMARIES, [integrationId, itemId, accountId]);
}
