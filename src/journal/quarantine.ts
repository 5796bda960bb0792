/** What waits in quarantine, as the API, the command line and the metrics show it. Bodies are not shown: nothing proves them. */
import { z } from "zod";
import type { Queryable } from "../database/types.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { fromWebhookId, toWebhookId } from "../model/ids.ts";
import { checkedFilter, page, type FilterOf } from "../model/listing.ts";
import { namedIntegration } from "../model/schema.ts";
import { listUnprovenQuery, SUM_UNPROVEN } from "./unproven-queries.ts";

/** Instants are ISO 8601. */
export interface UnprovenRecord {
  /** the webhook keeps it when it is proven */
  id: string;
  integration_id: string;
  received_at: string;
  /** why its key cannot be had; null where nobody has asked again yet */
  waits_for: string | null;
  remote_address: string | null;
  /** proven webhooks had come from this address recently */
  vouched: boolean;
  body_bytes: number;
  body_sha256: string;
  /** what the webhook says, which may be forged */
  claims: {
    key_id: string;
    signed_at: string;
    item_id: string | null;
    webhook_type: string | null;
    webhook_code: string | null;
  };
}

export const UnprovenFilter = z.strictObject({ integration_id: namedIntegration.optional(), ...page });
export type UnprovenFilter = FilterOf<typeof UnprovenFilter>;

interface Row {
  id: string;
  integration_id: string;
  received_at: Date;
  key_id: string;
  claimed_at: Date;
  remote_address: string | null;
  vouched: boolean;
  claimed_item_id: string | null;
  claimed_type: string | null;
  claimed_code: string | null;
  body_bytes: number;
  body_sha256: string;
  failure: string | null;
}

const toRecord = (row: Row): UnprovenRecord => ({
  id: toWebhookId(row.id),
  integration_id: row.integration_id,
  received_at: row.received_at.toISOString(),
  waits_for: row.failure,
  remote_address: row.remote_address,
  vouched: row.vouched,
  body_bytes: row.body_bytes,
  body_sha256: row.body_sha256,
  claims: {
    key_id: row.key_id,
    signed_at: row.claimed_at.toISOString(),
    item_id: row.claimed_item_id,
    webhook_type: row.claimed_type,
    webhook_code: row.claimed_code,
  },
});

/**
 * One page of unproven webhooks, newest first.
 * @throws TartanError `invalid_request` for a limit or cursor that is not usable
 */
export async function listUnproven(
  q: Queryable,
  filter: UnprovenFilter,
): Promise<{ data: UnprovenRecord[]; next_cursor: string | null }> {
  const { integration_id, limit, cursor } = checkedFilter(UnprovenFilter, filter);
  const before = cursor === undefined ? undefined : fromWebhookId(fromCursor("unproven-webhooks", cursor));
  const statement = listUnprovenQuery({ ofIntegration: integration_id !== undefined, paged: before != null });
  const values = [integration_id, before].filter((value) => value != null);
  const { rows } = await q.query<Row>(statement, [...values, limit + 1]);
  const data = rows.slice(0, limit).map(toRecord);
  const last = rows.length > limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toCursor("unproven-webhooks", last.id) : null };
}

export interface QuarantineOfIntegration {
  integration_id: string;
  name: string | null;
  waiting: number;
  /** of their bodies and JWTs */
  bytes: number;
  /** how many keys they claim */
  keys: number;
  oldest_at: string | null;
  /** why their keys cannot be had; null where nobody has asked again yet */
  waits_for: string | null;
}

export interface QuarantineState {
  waiting: number;
  bytes: number;
  /** age of the oldest; 0 where none waits */
  oldest_seconds: number;
  /** the longest waiting first, at most a hundred */
  integrations: QuarantineOfIntegration[];
}

const NAMED = 100;

interface SumRow {
  integration_id: string;
  name: string | null;
  webhooks: number;
  bytes: number;
  keys: number;
  failure: string | null;
  oldest_at: Date | null;
  oldest_seconds: number | null;
  all_webhooks: number;
  all_bytes: number;
}

/** How much waits, in all quarantines together and in each. */
export async function quarantineState(q: Queryable): Promise<QuarantineState> {
  const { rows } = await q.query<SumRow>(SUM_UNPROVEN, [NAMED]);
  const [first] = rows;
  return {
    waiting: first?.all_webhooks ?? 0,
    bytes: first?.all_bytes ?? 0,
    oldest_seconds: Math.max(0, first?.oldest_seconds ?? 0),
    integrations: rows.map(({ integration_id, name, webhooks, bytes, keys, failure, oldest_at }) => ({
      integration_id,
      name,
      waiting: webhooks,
      bytes,
      keys,
      oldest_at: oldest_at?.toISOString() ?? null,
      waits_for: failure,
    })),
  };
}
