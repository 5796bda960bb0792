/** What the tests of retention share: events that are old, and what is left of them. */
import type { Database } from "../../src/database/types.ts";
import { INTEGRATION } from "../support/webhook.ts";

/** An event whose id and outbox row are so many days old. */
export async function oldEvent(database: Database, days: number): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `with made as (select tartan.new_id(now() - $1 * interval '1 day') as id, now() - $1 * interval '1 day' as at), event as (
       insert into events.events (id, type, integration_id, item_id, occurred_at, payload)
       select id, 'item.updated', $2, 'item-1', at, '{}' from made
     ), noted as (
       insert into events.outbox (events, written_at) select array[id], at from made
     ) select id from made`,
    [days, INTEGRATION],
  );
  return rows[0]?.id ?? "";
}

export const kept = async (database: Database, table: string): Promise<string[]> =>
  (await database.query<{ id: string }>(`select id from ${table} order by id`)).rows.map(({ id }) => id);

export const keeping = (database: Database) => ({ database, retentionDays: 90 });
