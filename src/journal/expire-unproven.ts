/** Turns unproven webhooks that are too old into refusals. Ages are by the database's clock. */
import type { Queryable } from "../database/types.ts";
import { recordRefusals } from "./refusals.ts";
import { EXPIRE_UNPROVEN, EXPIRED_QUARANTINES, LOCK_QUARANTINES } from "./unproven-queries.ts";

const ROWS_AT_ONCE = 1000;

/** The integrations with webhooks that are older than `days`. */
export async function expiredQuarantines(q: Queryable, days: number): Promise<string[]> {
  const { rows } = await q.query<{ integration_id: string }>(EXPIRED_QUARANTINES, [days]);
  return rows.map(({ integration_id }) => integration_id);
}

/** Dropped webhooks of one key from one address. */
export interface ExpiredOfKey {
  webhooks: number;
  firstAt: Date;
  lastAt: Date;
  /** why the key could not be had */
  failure: string | null;
}

/** Drops some of an integration, with their refusals; empty once there are none. */
export async function expireSome(tx: Queryable, integrationId: string, days: number): Promise<ExpiredOfKey[]> {
  type Row = {
    remote_address: string | null;
    webhooks: number;
    bytes: number;
    first_at: Date;
    last_at: Date;
    failure: string | null;
  };
  await tx.query(LOCK_QUARANTINES, [[integrationId]]);
  const { rows } = await tx.query<Row>(EXPIRE_UNPROVEN, [days, integrationId, ROWS_AT_ONCE]);
  await recordRefusals(
    tx,
    rows.map(({ remote_address: remoteAddress, webhooks: count, bytes: bodyBytes, first_at, failure }) => ({
      integrationId,
      reason: "quarantine_expired",
      detail: `Kept unproven since ${first_at.toISOString()}: ${failure ?? "the key could not be fetched from Plaid"}.`,
      remoteAddress,
      bodyBytes,
      count,
    })),
  );
  return rows.map(({ webhooks, first_at: firstAt, last_at: lastAt, failure }) => ({
    webhooks,
    firstAt,
    lastAt,
    failure,
  }));
}
