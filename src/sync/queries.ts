/** The queries of the API and the CLI, and the statements that delete old rows. Values are always bound. */
import type { Queryable, Statement } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { pageSize } from "../model/listing.ts";
import { checked } from "../model/validation.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { markDue } from "./marks.ts";
import { refuseDisabled } from "./refuse-disabled.ts";
import { SyncRequest } from "./item.schema.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

/**
 * Subjects whose token nobody handed over and that were never read, more than $1 days old; $2 at most. Waiting and running subjects stay, and
 * so do those that have rows, which can only be erased by their subject.
 */
export const TRIM_SUBJECTS = statement(
  "trim_subjects",
  `
delete from sync.subjects where (integration_id, kind, id) in (
  select s.integration_id, s.kind, s.id from sync.subjects s
  where s.status = 'unlinked' and s.due_at is null and s.created_at < now() - $1 * interval '1 day'
    and s.lease_token is null and s.oldest_unserved is null
    and not exists (select from tartan.items i where i.integration_id = s.integration_id and i.item_id = s.id and s.kind = 'item')
    and not exists (select from tartan.registered_subjects r
      where r.integration_id = s.integration_id and r.kind = s.kind and r.id = s.id)
    and not exists (select from sync.cursors c where c.integration_id = s.integration_id and c.kind = s.kind and c.id = s.id)
  limit $2 for update skip locked)`,
);

/** $2 at most of those that began more than $1 days ago; ids grow with the time of the start. */
export const TRIM_RUNS = `
delete from sync.runs where id in (
  select id from sync.runs where id < tartan.least_id_at(now() - $1 * interval '1 day') order by id limit $2
  for update skip locked)`;

/** $1 whether retries, and subjects that wait for Plaid, count as work. Unmarked arrivals always count. */
export const BUSY = `select (count(*) + (select count(*) from events.sync_outbox))::int as busy from sync.subjects
where lease_token is not null or due_at <= now() or ($1 and status in ('retrying', 'waiting') and due_at is not null)`;

const LIST_RUNS = statement(
  "list_runs",
  `select id, subject_id as item_id, integration_id, started_at, finished_at, outcome, webhooks,
  summary -> 'error' as error, summary as update_info
from sync.runs where subject_id = $1 and kind = 'item' and ($2::uuid is null or id < $2) order by id desc limit $3`,
);

/** A run as it may be shown; instants are ISO 8601. */
export interface RunRecord {
  id: string;
  item_id: string;
  integration_id: string;
  started_at: string;
  finished_at: string;
  outcome: string;
  /** how many it served */
  webhooks: number;
  /** what it failed with */
  error: Record<string, unknown> | null;
  /** its summary; the same as on the webhooks that it served */
  update_info: Record<string, unknown>;
}

/**
 * The runs of an item, newest first. `limit` is 1 to 500, 50 by default.
 * @throws TartanError `invalid_request` when the cursor is not one of a page before
 */
export async function listRuns(
  q: Queryable,
  { item_id, limit, cursor }: { item_id: string; limit?: number | undefined; cursor?: string | null | undefined },
): Promise<{ data: RunRecord[]; next_cursor: string | null }> {
  const size = pageSize(limit);
  const before = cursor == null ? null : fromCursor("runs", cursor);
  type Row = Omit<RunRecord, "started_at" | "finished_at"> & { started_at: Date; finished_at: Date };
  const { rows } = await q.query<Row>(LIST_RUNS, [item_id, before, size + 1]);
  const data = rows.slice(0, size).map((row) => ({
    ...row,
    started_at: row.started_at.toISOString(),
    finished_at: row.finished_at.toISOString(),
  }));
  const last = rows.length > size ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toCursor("runs", last.id) : null };
}

const INTEGRATIONS_OF_ITEM = statement(
  "integrations_of_item",
  "select integration_id from tartan.items where item_id = $1 and access_token_sealed is not null order by 1",
);

/**
 * Makes an item due: all of its resources, or those named; `full` reads them from the start and removes what Plaid no
 * longer has.
 * @throws TartanError `not_found` when no item of that id is linked; `invalid_request` for a resource that does not exist;
 *   `not_enabled` for one that is billed by request and that the integration does not enable
 */
export async function requestSync(q: Queryable, itemId: string, request: SyncRequest = {}): Promise<void> {
  const { resources, full = false } = checked(SyncRequest, request, "request");
  const { rows } = await q.query<{ integration_id: string }>(INTEGRATIONS_OF_ITEM, [itemId]);
  if (rows.length === 0) {
    const fields = { item_id: "names no item that is linked" };
    throw new TartanError("not_found", `There is no linked item ${itemId}.`, { fields });
  }
  const integrationIds = rows.map((row) => row.integration_id);
  await refuseDisabled(q, integrationIds, "item", resources);
  const requested = (resources ?? [EVERYTHING]).map((name) => (full ? `${name}:full` : name));
  const marks = integrationIds.map((integrationId) => ({ integrationId, kind: "item", id: itemId, requested }));
  await markDue(q, marks);
}
