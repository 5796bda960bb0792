/** What the tests of receiver/ look at: the subjects that sync makes due of what was accepted. */
import type { Database } from "../../src/database/types.ts";
import { markAll } from "../support/mark.ts";

export interface SubjectState {
  kind: string;
  id: string;
  due_at: Date | null;
  generation: number;
  requested: string[];
}

/**
 * The subjects that sync makes due of what was accepted, as if all items were linked. What is requested stands in the subject's row
 * or in that of a webhook that waits.
 */
export async function subjects(database: Database): Promise<SubjectState[]> {
  await database.query(`
    insert into tartan.items (integration_id, item_id, access_token_sealed)
    select distinct integration_id, item_id, '\\x00'::bytea from (
      select integration_id, item_id from journal.webhooks where item_id is not null
      union all
      select n ->> 'integration_id', n ->> 'id'
      from events.sync_outbox cross join lateral jsonb_array_elements(notices) as n where n ->> 'kind' = 'item'
    ) named
    on conflict do nothing`);
  await markAll(database);
  const { rows } = await database.query<SubjectState>(`
    select s.kind, s.id, s.due_at, s.generation, array(
      select unnest(s.requested)
      union
      select unnest(w.requested) from journal.webhooks w
      where w.subject_kind = s.kind and w.subject_id = s.id and w.processed_at is null
      order by 1) as requested
    from sync.subjects s order by kind, id`);
  return rows;
}
