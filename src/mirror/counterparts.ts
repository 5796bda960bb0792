/**
 * The same account of one user under two account ids: the view plaid.account_counterparts, which sql/…_mirror_counterparts.sql
 * explains. An account whose counterpart is linked too is a duplicate. Only one without such a counterpart replaces another, and
 * only one: certain before likely, then the one that went last.
 */
import type { Queryable, Statement } from "../database/types.ts";

export type Certainty = "certain" | "likely";

/** Two account ids that name one account. */
export interface Pair {
  account_id: string;
  /** the item itself, where the id changed within it */
  counterpart_item_id: string;
  counterpart_account_id: string;
  certainty: Certainty;
}

export interface Counterparts {
  /** accounts that other linked items have too */
  duplicates: readonly Pair[];
  /** accounts that Plaid, or Tartan, had before under an id that is gone */
  replaced: readonly Pair[];
}

/** A user identifier that more items share is no person's, and comparing the accounts of all of them would cost too much. */
const ITEMS_MAX = 200;
const PAIRS_MAX = 500;

/** The numbers of mirror.counterpart_locks. */
const LOCKS = 256;

/** $1 integration, $2 user. */
const LOCK_USER: Statement = {
  name: "mirror_lock_counterparts",
  text: `select from mirror.counterpart_locks where number = abs(hashtext($1 || ' ' || $2) % ${LOCKS}) for update`,
};

/** $1 integration, $2 item. */
const IS_COMPARED: Statement = {
  name: "mirror_is_compared",
  text: `select count(*) <= ${ITEMS_MAX} as compared from (
    select from tartan.items i join tartan.items other using (integration_id, user_id)
    where i.integration_id = $1 and i.item_id = $2 limit ${ITEMS_MAX + 1}) items`,
};

const pairs = (name: string, more: string): Statement => ({
  name,
  text: `
    select account_id, counterpart_item_id, counterpart_account_id, certainty, relation
    from plaid.account_counterparts
    where integration_id = $1 and item_id = $2${more}
    order by relation, certainty, counterpart_removed_at desc nulls first, account_id, counterpart_item_id, counterpart_account_id
    limit ${PAIRS_MAX}`,
});
const OF_ITEM = pairs("mirror_counterparts", "");
/** Of the accounts that this transaction has added; where $3, those at other items of all accounts. */
const NEWS = pairs(
  "mirror_counterparts_news",
  " and (added_at = now() or $3::boolean and counterpart_item_id <> item_id)",
);
/** $1 integration, $2 item. */
const MIRRORED_USER: Statement = {
  name: "mirror_user_of_item",
  text: "select user_id from plaid.items where integration_id = $1 and item_id = $2",
};

const NONE: Counterparts = { duplicates: [], replaced: [] };

/** The counterparts of an item's accounts. */
export const counterpartsOf = (q: Queryable, integrationId: string, itemId: string): Promise<Counterparts> =>
  find(q, OF_ITEM, [integrationId, itemId]);

/** The user of an item as the mirror has it; undefined before the item was read. */
export const mirroredUser = async (q: Queryable, item: readonly [string, string]): Promise<string | null | undefined> =>
  (await q.query<{ user_id: string | null }>(MIRRORED_USER, item)).rows[0]?.user_id;

/**
 * The counterparts of the accounts that the caller's transaction has added; where the item's user was not known before, those that
 * other items of this user have of all its accounts too. Until it ends, no other transaction looks for those of this user: of two items
 * that are read for the first time at once, the later commit finds the accounts of the earlier one.
 */
export async function newCounterparts(
  tx: Queryable,
  item: { integrationId: string; itemId: string; userId: string | null; isUserNew: boolean },
): Promise<Counterparts> {
  const { integrationId, itemId, userId, isUserNew } = item;
  if (userId !== null) await tx.query(LOCK_USER, [integrationId, userId]);
  return await find(tx, NEWS, [integrationId, itemId], isUserNew);
}

async function find(
  q: Queryable,
  statement: Statement,
  item: readonly [string, string],
  ...more: readonly boolean[]
): Promise<Counterparts> {
  const [counted] = (await q.query<{ compared: boolean }>(IS_COMPARED, item)).rows;
  return counted?.compared ? chosen((await q.query<Row>(statement, [...item, ...more])).rows) : NONE;
}

type Row = Pair & { relation: "duplicate" | "replaced" };

/** @param rows the better first */
function chosen(rows: readonly Row[]): Counterparts {
  const duplicates = new Map<string, Row>();
  const replaced = new Map<string, Row>();
  const again = new Set(rows.flatMap(({ relation, account_id }) => (relation === "duplicate" ? [account_id] : [])));
  const old = new Set<string>();
  for (const row of rows) {
    const { relation, account_id, counterpart_item_id, counterpart_account_id } = row;
    if (relation === "duplicate") {
      const key = JSON.stringify([account_id, counterpart_item_id]);
      if (!duplicates.has(key)) duplicates.set(key, row);
    } else if (!again.has(account_id) && !replaced.has(account_id) && !old.has(counterpart_account_id)) {
      replaced.set(account_id, row);
      old.add(counterpart_account_id);
    }
  }
  return { duplicates: [...duplicates.values()].map(pairOf), replaced: [...replaced.values()].map(pairOf) };
}

const pairOf = ({ account_id, counterpart_item_id, counterpart_account_id, certainty }: Row): Pair => ({
  account_id,
  counterpart_item_id,
  counterpart_account_id,
  certainty,
});
