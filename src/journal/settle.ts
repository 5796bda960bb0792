/**
 * Settles webhooks of a quarantine once their key is there: proven ones are journaled, the others become refusals. Each batch is one
 * transaction, which also removes them from the quarantine, so each is settled exactly once. It holds the lock of the quarantine, so
 * provers of several processes settle the webhooks of a key one batch after the other, in order of receipt.
 */
import type { Database, Queryable } from "../database/types.ts";
import type { NewWebhook } from "../model/webhook.ts";
import { append } from "./append.ts";
import { isDataFault } from "./failures.ts";
import { recordRefusals } from "./refusals.ts";
import {
  LOCK_QUARANTINES,
  NOTE_FAILURE,
  NOW,
  OLDEST_UNPROVEN,
  READ_UNPROVEN,
  REFUSE_UNPROVEN,
  REMOVE_UNPROVEN,
  TAKE_OVER_TOKENS,
  TAKE_UP_KEYS,
} from "./unproven-queries.ts";

/** An unproven webhook as it is stored. */
export interface KeptWebhook {
  /** UUID */
  id: string;
  body: Buffer;
  jwt: string;
  receivedAt: Date;
  remoteAddress: string | null;
}

export interface UnprovenKey {
  integrationId: string;
  keyId: string;
}

/** What the key says of a webhook: it is proven, or why it is refused. */
export type Judgement = { proven: NewWebhook } | { refused: string; detail: string };

export interface Settled {
  proven: number;
  /** whose JWT was accepted on another way meanwhile */
  duplicates: number;
  /** by reason */
  refused: Map<string, number>;
}

const BATCH_MAX = 200;
/** A batch is larger only where a single webhook is. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const UNSTORABLE = { refused: "unstorable", detail: "Postgres cannot store its content." };

/** The database's time. */
export async function databaseNow(q: Queryable): Promise<Date> {
  return (await q.query<{ now: Date }>(NOW)).rows[0]?.now ?? new Date();
}

/**
 * Keys for which webhooks wait, and which no prover of any process has taken up since `since`: those of vouched senders first, then those
 * with the most webhooks. They count as taken up from now on.
 * @param without integrations that are passed over
 */
export async function takeUpKeys(
  q: Queryable,
  { since, without, limit }: { since: Date; without: readonly string[]; limit: number },
): Promise<UnprovenKey[]> {
  type Row = { integration_id: string; key_id: string };
  const { rows } = await q.query<Row>(TAKE_UP_KEYS, [since, without, limit]);
  return rows.map(({ integration_id: integrationId, key_id: keyId }) => ({ integrationId, keyId }));
}

/** Notes why a key cannot be had, as `status` shows it. */
export async function noteFailure(q: Queryable, { integrationId, keyId }: UnprovenKey, failure: string): Promise<void> {
  await q.query(NOTE_FAILURE, [integrationId, keyId, failure]);
}

/**
 * Settles the oldest webhooks of a key.
 * @returns null once there are none
 */
export async function settleSome(
  database: Database,
  key: UnprovenKey,
  judge: (kept: KeptWebhook) => Promise<Judgement>,
): Promise<Settled | null> {
  const settle = (most: number, how: typeof judge) => database.transaction((tx) => settleIn(tx, key, how, most));
  try {
    return await settle(BATCH_MAX, judge);
  } catch (error) {
    if (!isDataFault(error)) throw error;
  }
  // One of them cannot be stored. Each alone, so that it does not stop the others.
  try {
    return await settle(1, judge);
  } catch (error) {
    if (!isDataFault(error)) throw error;
    return await settle(1, async () => UNSTORABLE);
  }
}

async function settleIn(
  tx: Queryable,
  { integrationId, keyId }: UnprovenKey,
  judge: (kept: KeptWebhook) => Promise<Judgement>,
  most: number,
): Promise<Settled | null> {
  await tx.query(LOCK_QUARANTINES, [[integrationId]]);
  const { rows } = await tx.query<{ id: string; bytes: number }>(OLDEST_UNPROVEN, [integrationId, keyId, most]);
  if (rows.length === 0) return null;
  const ids = withinBytes(rows).map(({ id }) => id);
  const kept = await readKept(tx, ids);
  const judged = await Promise.all(kept.map(async (webhook) => ({ webhook, judgement: await judge(webhook) })));
  const proven = judged.flatMap(({ judgement }) => ("proven" in judgement ? [judgement.proven] : []));
  await takeOverTokens(tx, proven);
  const appended = await append(tx, proven);
  const refused = judged.flatMap(({ webhook, judgement }) =>
    "refused" in judgement ? [{ webhook, ...judgement }] : [],
  );
  await recordRefusals(
    tx,
    refused.map(({ webhook, refused: reason, detail }) => ({
      integrationId,
      reason,
      detail: `Kept unproven since ${webhook.receivedAt.toISOString()}: ${detail}`,
      remoteAddress: webhook.remoteAddress,
      bodyBytes: webhook.body.length,
      count: 1,
    })),
  );
  if (proven.length > 0) await tx.query(REMOVE_UNPROVEN, [proven.map(({ id }) => id)]);
  if (refused.length > 0) await tx.query(REFUSE_UNPROVEN, [refused.map(({ webhook }) => webhook.id)]);
  const duplicates = appended.filter(({ duplicate }) => duplicate).length;
  return { proven: proven.length - duplicates, duplicates, refused: countBy(refused.map((each) => each.refused)) };
}

/** A copy with another signature may wait under the same identity; the journal must not pass the proven one over as its duplicate. */
async function takeOverTokens(tx: Queryable, proven: readonly NewWebhook[]): Promise<void> {
  if (proven.length === 0) return;
  const tokens = proven.map(({ proof }) => proof?.tokenSha256);
  const signedAt = proven.map(({ proof }) => proof?.signedAt);
  await tx.query(TAKE_OVER_TOKENS, [proven.map(({ id }) => id), tokens, signedAt]);
}

/** Reads webhooks of a quarantine; those that are not there any more are left out. */
export async function readKept(tx: Queryable, ids: readonly string[]): Promise<KeptWebhook[]> {
  type Row = { id: string; body: Buffer; jwt: string; received_at: Date; remote_address: string | null };
  const { rows } = await tx.query<Row>(READ_UNPROVEN, [ids]);
  return rows.map(({ received_at: receivedAt, remote_address: remoteAddress, ...row }) => ({
    ...row,
    receivedAt,
    remoteAddress,
  }));
}

function withinBytes<T extends { bytes: number }>(rows: readonly T[]): readonly T[] {
  let sum = 0;
  const beyond = rows.findIndex(({ bytes }, index) => (sum += bytes) > BATCH_BYTES_MAX && index > 0);
  return beyond === -1 ? rows : rows.slice(0, beyond);
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
