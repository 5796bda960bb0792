/**
 * Appends webhooks: the journal row, the accepted token and the row of the outbox, in one statement. Once its transaction has
 * committed, the sender may be answered 200. The statement does not touch subjects: sync marks them later.
 */
import { ArrayWriter } from "../database/binary-arrays.ts";
import type { Queryable } from "../database/types.ts";
import { NOTIFY_ARRIVED } from "../events/queries.ts";
import type { Accepted, NewWebhook, TokenIdentity } from "../model/webhook.ts";
import { APPEND, FIND_ACCEPTED } from "./queries.ts";

/**
 * Appends the webhooks and notifies. The same JWT again, in this batch, another or another process, is a duplicate:
 * nothing is stored for it, and the first one's id is returned.
 * @returns one entry for each webhook, in their order
 */
export async function append(q: Queryable, webhooks: readonly NewWebhook[]): Promise<Accepted[]> {
  const appended = await appendQuietly(q, webhooks);
  if (appended.some(({ duplicate }) => !duplicate)) await q.query(NOTIFY_ARRIVED);
  return appended;
}

/** `append` without the NOTIFY, for a caller that notifies less often than it appends. */
export async function appendQuietly(q: Queryable, webhooks: readonly NewWebhook[]): Promise<Accepted[]> {
  if (webhooks.length === 0) return [];
  const firsts = new Map<string, string>();
  const fresh = webhooks.filter(({ id, proof }) => {
    if (proof === null) return true;
    const token = proof.tokenSha256.toString("latin1");
    if (firsts.has(token)) return false;
    firsts.set(token, id);
    return true;
  });
  const { rows } = await q.query<{ token_sha256: Buffer; webhook_id: string }>(APPEND, encode(fresh));
  if (rows.length === 0 && fresh.length === webhooks.length)
    return webhooks.map(({ id }) => ({ id, duplicate: false }));
  for (const row of rows) firsts.set(row.token_sha256.toString("latin1"), row.webhook_id);
  return webhooks.map(({ id, proof }) => {
    const first = proof === null ? id : (firsts.get(proof.tokenSha256.toString("latin1")) ?? id);
    return { id: first, duplicate: first !== id };
  });
}

/** The webhook that was accepted with this JWT, or null; tokens are kept for three days. One that waits unproven may be a forged copy. */
export async function findAccepted(
  q: Queryable,
  { tokenSha256, signedAt }: TokenIdentity,
): Promise<{ id: string; waits: boolean } | null> {
  type Row = { webhook_id: string; waits: boolean };
  const { rows } = await q.query<Row>(FIND_ACCEPTED, [tokenSha256, signedAt]);
  return rows[0] ? { id: rows[0].webhook_id, waits: rows[0].waits } : null;
}

/** The parameters of APPEND and of RESTORE: one binary array for each column. */
export function encode(webhooks: readonly NewWebhook[]): Buffer[] {
  const bytes = webhooks.reduce((sum, { body, proof }) => sum + body.length + (proof?.jwt.length ?? 0) + 512, 4096);
  const out = new ArrayWriter(bytes);
  return [
    out.uuid(webhooks.map((w) => w.id)),
    out.text(webhooks.map((w) => w.integrationId)),
    out.text(webhooks.map((w) => w.source)),
    out.text(webhooks.map((w) => w.subject?.kind)),
    out.text(webhooks.map((w) => w.subject?.id)),
    out.text(webhooks.map((w) => w.itemId)),
    out.text(webhooks.map((w) => w.userId)),
    out.text(webhooks.map((w) => w.webhookType)),
    out.text(webhooks.map((w) => w.webhookCode)),
    out.text(webhooks.map((w) => w.environment)),
    out.timestamptz(webhooks.map((w) => w.receivedAt)),
    out.bytea(webhooks.map((w) => w.body)),
    out.text(webhooks.map((w) => w.proof?.jwt)),
    out.bytea(webhooks.map((w) => w.proof?.tokenSha256)),
    out.text(webhooks.map((w) => w.proof?.keyId)),
    out.timestamptz(webhooks.map((w) => w.proof?.signedAt ?? w.sentAt)),
    out.text(webhooks.map(({ requested = [] }) => (requested.length > 0 ? requested.join(",") : null))),
  ];
}
