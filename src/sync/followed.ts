/**
 * Requests whose end somebody waits for: they name no resource and stay among the requests of an item until what was requested with them was
 * read, or could not be read for a reason that does not pass by itself.
 */
import type { Queryable, Statement } from "../database/types.ts";
import type { ItemStatus } from "../model/statuses.ts";
import { FULL_CHECK } from "./full-check.ts";
import { markDue, type Mark } from "./marks.ts";
import type { Claim, Decision } from "./types.ts";

/** Among the requests of an item, it says that a backfill waits for their end. */
export const BACKFILL = "backfill";
const FOLLOWED = [FULL_CHECK, BACKFILL];

/** The requests of the next run: what has to wait is still followed there. */
export const stillFollowed = ({ requested }: Claim, { pending, status }: Decision): readonly string[] =>
  pending.length > 0 && status === "retrying"
    ? [...pending, ...FOLLOWED.filter((name) => requested.includes(name))]
    : pending;

/** Makes items due whose end a backfill waits for. */
export const requestBackfill = (q: Queryable, { requested = [], ...subject }: Mark): Promise<void> =>
  markDue(q, [{ ...subject, requested: [...requested, BACKFILL] }]);

/** The items $2 of the integrations $1 that are known, by their number. */
const BACKFILLS: Statement = {
  name: "sync_backfills",
  text: `
select k.number::int as number, s.status, 'backfill' = any (s.requested || s.claimed) as waiting, s.last_error ->> 'error_code' as error_code
from unnest($1::text[], $2::text[]) with ordinality as k (integration_id, item_id, number)
join sync.subjects s on s.integration_id = k.integration_id and s.kind = 'item' and s.id = k.item_id`,
};

export interface BackfillState {
  status: ItemStatus;
  /** what was requested was not read yet */
  waiting: boolean;
  error_code: string | null;
}

/** In the order of the items; null for one that Tartan does not know any more. */
export async function backfillStates(
  q: Queryable,
  items: readonly { integrationId: string; itemId: string }[],
): Promise<(BackfillState | null)[]> {
  const values = [items.map(({ integrationId }) => integrationId), items.map(({ itemId }) => itemId)];
  const { rows } = await q.query<BackfillState & { number: number }>(BACKFILLS, values);
  const known = new Map(rows.map(({ number, ...state }) => [number, state]));
  return items.map((_, index) => known.get(index + 1) ?? null);
}
