/**
 * Items and accounts that users have withdrawn, where the integration's `revoked_data` is `erase`. A run's commit notes them here;
 * lifecycle/revocations.ts erases them and says so here.
 */
import type { Queryable, Statement } from "../database/types.ts";

/** NOTIFY of a new note. */
export const REVOCATIONS_CHANNEL = "tartan_revocations";

export interface Revocation {
  integrationId: string;
  itemId: string;
  /** null: the whole item */
  accountId: string | null;
  /** when the run began that learned of it */
  notedAt: Date;
}

type OfItem = Pick<Revocation, "integrationId" | "itemId">;

const NOTE: Statement = {
  name: "revocations_note",
  text: `
    insert into tartan.revocations (integration_id, item_id, account_id, noted_at)
    select $1, $2, coalesce(a.id, ''), $4 from unnest($3::text[]) a (id)
    on conflict (integration_id, item_id, account_id) do update
      set noted_at = excluded.noted_at, look_at = now(), erased_at = null`,
};
const HINT = `select pg_notify('${REVOCATIONS_CHANNEL}', '')`;
const ERASED: Statement = {
  name: "revocations_erased",
  text: `select account_id as "accountId" from tartan.revocations
    where integration_id = $1 and item_id = $2 and account_id <> '' and erased_at is not null`,
};
/** $3 accounts whose late rows are to be erased, $4 accounts that are back. */
const REOPEN = `update tartan.revocations set erased_at = null, look_at = now()
  where integration_id = $1 and item_id = $2 and account_id = any ($3::text[])`;
const FORGET =
  "delete from tartan.revocations where integration_id = $1 and item_id = $2 and account_id = any ($3::text[])";
/** Few at a time: each is a transaction that may take long. */
const WAITING = `
  select integration_id as "integrationId", item_id as "itemId", nullif(account_id, '') as "accountId", noted_at as "notedAt"
  from tartan.revocations where erased_at is null and look_at <= now() order by look_at limit 100`;
const HOLD = `select noted_at as "notedAt" from tartan.revocations
  where integration_id = $1 and item_id = $2 and account_id = $3 and erased_at is null for update`;
const DONE = `update tartan.revocations set erased_at = now()
  where integration_id = $1 and item_id = $2 and account_id = $3`;
const LATER = `update tartan.revocations set look_at = now() + $4 * interval '1 second'
  where integration_id = $1 and item_id = $2 and account_id = $3`;

/** Notes accounts, or the whole item (null), in the commit of the run that learned of it. */
export async function noteRevocations(
  tx: Queryable,
  { integrationId, itemId }: OfItem,
  accountIds: readonly (string | null)[],
  at: Date,
): Promise<void> {
  if (accountIds.length === 0) return;
  await tx.query(NOTE, [integrationId, itemId, accountIds, at]);
  await tx.query(HINT);
}

/** The accounts of an item that were erased. */
export const erasedAccounts = async (tx: Queryable, { integrationId, itemId }: OfItem): Promise<string[]> =>
  (await tx.query<{ accountId: string }>(ERASED, [integrationId, itemId])).rows.map(({ accountId }) => accountId);

/** Has accounts erased again, since rows may have come late, and forgets those that are back. */
export async function revisitRevocations(
  tx: Queryable,
  { integrationId, itemId }: OfItem,
  { again, back }: { again: readonly string[]; back: readonly string[] },
): Promise<void> {
  if (back.length > 0) await tx.query(FORGET, [integrationId, itemId, back]);
  if (again.length === 0) return;
  await tx.query(REOPEN, [integrationId, itemId, again]);
  await tx.query(HINT);
}

/** Some of those that are to be erased now. */
export const waitingRevocations = async (q: Queryable): Promise<Revocation[]> =>
  (await q.query<Revocation>(WAITING)).rows;

const keyOf = ({ integrationId, itemId, accountId }: Revocation): string[] => [integrationId, itemId, accountId ?? ""];

/** Locks the note. @returns whether it is the same and still waits */
export async function holdRevocation(tx: Queryable, revocation: Revocation): Promise<boolean> {
  const { rows } = await tx.query<{ notedAt: Date }>(HOLD, keyOf(revocation));
  return rows[0]?.notedAt.getTime() === revocation.notedAt.getTime();
}

export async function revocationDone(tx: Queryable, revocation: Revocation): Promise<void> {
  await tx.query(DONE, keyOf(revocation));
}

/** Forgets a note: Plaid shows the account, or the item, after all. */
export async function forgetRevocation(tx: Queryable, { integrationId, itemId, accountId }: Revocation): Promise<void> {
  await tx.query(FORGET, [integrationId, itemId, [accountId ?? ""]]);
}

export async function postponeRevocation(tx: Queryable, revocation: Revocation, seconds: number): Promise<void> {
  await tx.query(LATER, [...keyOf(revocation), seconds]);
}
