/**
 * Keeps webhooks in quarantine, many in one transaction, and shows them.
 *
 *   kept → (its key is there) proven: journaled, or refused  (settle.ts)
 *        → (its integration is deleted, its item erased) forgotten
 *        → (nobody could fetch its key for days) expired, which is reported
 */
import { ArrayWriter } from "../database/binary-arrays.ts";
import type { Queryable } from "../database/types.ts";
import { unprovenIdentity, type UnprovenWebhook } from "../model/intake.ts";
import type { Accepted } from "../model/webhook.ts";
import { readWebhook } from "../plaid/webhooks.ts";
import { QuarantineRoom, type KeptOfKey, type QuarantineBounds } from "./quarantine-bounds.ts";
import { COUNT_KEPT, FIND_KEPT, KEEP_UNPROVEN, LOCK_QUARANTINES } from "./unproven-queries.ts";

export interface Kept extends Accepted {
  /** false: it was stored before, under this id */
  stored: boolean;
}

/**
 * Keeps the webhooks, in a transaction. The same JWT again is a duplicate of the first, proven or not. A copy of a JWT with another
 * signature is a duplicate only where the first is proven.
 * @param bounds null: keeps all, such as those that another engine has acknowledged
 * @returns one entry for each webhook, in their order; null where there is no room for it
 */
export async function keepUnproven(
  tx: Queryable,
  webhooks: readonly UnprovenWebhook[],
  bounds: QuarantineBounds | null,
): Promise<(Kept | null)[]> {
  const integrations = [...new Set(webhooks.map(({ integrationId }) => integrationId))].toSorted();
  await tx.query(LOCK_QUARANTINES, [integrations]);
  const firsts = await findKept(tx, webhooks);
  const rooms = bounds && (await roomsOf(tx, integrations, bounds));
  const kept = new Set<UnprovenWebhook>();
  const turnedAway = new Set<UnprovenWebhook>();
  for (const webhook of webhooks) {
    const jwt = nameOf(unprovenIdentity(webhook));
    if (firsts.has(jwt) || firsts.has(nameOf(webhook.tokenSha256))) continue;
    const fits = !rooms || rooms.get(webhook.integrationId)?.take(webhook, bytesOf(webhook)) === true;
    (fits ? kept : turnedAway).add(webhook);
    if (fits) firsts.set(jwt, webhook.id);
  }
  for (const { name, id } of await store(tx, [...kept])) firsts.set(nameOf(name), id);
  return webhooks.map((webhook) => {
    if (turnedAway.has(webhook)) return null;
    const proven = firsts.get(nameOf(webhook.tokenSha256));
    const id = proven ?? firsts.get(nameOf(unprovenIdentity(webhook))) ?? webhook.id;
    return { id, duplicate: id !== webhook.id, stored: id === webhook.id && kept.has(webhook) };
  });
}

interface First {
  /** all of its JWT where it waits, its identity where it is proven; both are hashes */
  name: Buffer;
  id: string;
}

/** @returns those that another transaction has proven since they were looked for, with the id of the first */
async function store(tx: Queryable, webhooks: readonly UnprovenWebhook[]): Promise<readonly First[]> {
  return webhooks.length === 0 ? [] : (await tx.query<First>(KEEP_UNPROVEN, encode(webhooks))).rows;
}

const nameOf = (sha256: Buffer): string => sha256.toString("latin1");

export const bytesOf = ({ body, jwt }: Pick<UnprovenWebhook, "body" | "jwt">): number => body.length + jwt.length;

/** What is known of the webhooks, with the ids of the first. */
async function findKept(tx: Queryable, webhooks: readonly UnprovenWebhook[]): Promise<Map<string, string>> {
  const out = new ArrayWriter(4096);
  const { rows } = await tx.query<First>(FIND_KEPT, [
    out.bytea(webhooks.map(unprovenIdentity)),
    out.bytea(webhooks.map(({ tokenSha256 }) => tokenSha256)),
    out.timestamptz(webhooks.map(({ claimedAt }) => claimedAt)),
  ]);
  return new Map(rows.map(({ name, id }) => [nameOf(name), id]));
}

async function roomsOf(
  tx: Queryable,
  integrations: readonly string[],
  bounds: QuarantineBounds,
): Promise<Map<string, QuarantineRoom>> {
  type Row = Omit<KeptOfKey, "keyId"> & { integration_id: string; key_id: string };
  const { rows } = await tx.query<Row>(COUNT_KEPT, [integrations]);
  const keptIn = (id: string): KeptOfKey[] =>
    rows.filter((row) => row.integration_id === id).map(({ key_id: keyId, ...row }) => ({ ...row, keyId }));
  return new Map(integrations.map((id) => [id, new QuarantineRoom(bounds, keptIn(id))]));
}

/** The parameters of KEEP_UNPROVEN: one binary array for each column. */
function encode(webhooks: readonly UnprovenWebhook[]): Buffer[] {
  const out = new ArrayWriter(webhooks.reduce((sum, webhook) => sum + bytesOf(webhook) + 512, 4096));
  const claims = webhooks.map(({ body }) => readWebhook(body));
  return [
    out.uuid(webhooks.map((w) => w.id)),
    out.text(webhooks.map((w) => w.integrationId)),
    out.text(webhooks.map((w) => w.keyId)),
    out.bytea(webhooks.map((w) => w.tokenSha256)),
    out.timestamptz(webhooks.map((w) => w.claimedAt)),
    out.timestamptz(webhooks.map((w) => w.receivedAt)),
    out.bytea(webhooks.map((w) => w.body)),
    out.text(webhooks.map((w) => w.jwt)),
    out.text(webhooks.map((w) => w.remoteAddress)),
    out.text(webhooks.map((w) => String(w.vouched))),
    out.text(claims.map(({ itemId }) => itemId)),
    out.text(claims.map(({ type }) => type)),
    out.text(claims.map(({ code }) => code)),
    out.text(claims.map(({ subject }) => subject?.kind)),
    out.text(claims.map(({ subject }) => subject?.id)),
  ];
}
