/**
 * Appends proven webhooks: journal row, memory of the JWT, the mark on the subject and a place in the outbox, in one
 * statement. Whoever has its answer may say 200, once the transaction it ran in has committed.
 */
import type { Queryable } from "../database/types.ts";
import { ArrayWriter } from "../database/binary-arrays.ts";
import { gather } from "./marks.ts";
import { NOTIFY_APPENDED } from "../events/queries.ts";
import { APPEND, FIND_ACCEPTED } from "./queries.ts";
import type { Appended, NewWebhook, Proof } from "./types.ts";

/**
 * Appends the webhooks and makes their subjects due. The same JWT again, in this batch, another or another process, is
 * a duplicate: nothing is stored or marked for it, and the first one's id is returned.
 * @returns one entry a webhook, in their order
 */
export async function append(q: Queryable, webhooks: readonly NewWebhook[]): Promise<Appended[]> {
  const appended = await appendQuietly(q, webhooks);
  if (appended.some(({ duplicate }) => !duplicate)) await q.query(NOTIFY_APPENDED);
  return appended;
}

/** `append` without the NOTIFY, for a caller that hints less often than it appends. */
export async function appendQuietly(q: Queryable, webhooks: readonly NewWebhook[]): Promise<Appended[]> {
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

/** UUID of the webhook that was accepted with this JWT, or null; JWTs are remembered for three days. */
export async function findAccepted(
  q: Queryable,
  { tokenSha256, signedAt }: Pick<Proof, "tokenSha256" | "signedAt">,
): Promise<string | null> {
  const { rows } = await q.query<{ webhook_id: string }>(FIND_ACCEPTED, [tokenSha256, signedAt]);
  return rows[0]?.webhook_id ?? null;
}

/** The parameters of APPEND: a binary array a column. */
function encode(webhooks: readonly NewWebhook[]): Buffer[] {
  const about = webhooks.filter(({ subject, settledAs }) => subject !== null && settledAs === undefined);
  const { sorted, of } = gather(
    about.map(({ integrationId, subject, wanted, id }) => ({
      integrationId,
      kind: subject?.kind ?? "",
      id: subject?.id ?? "",
      wanted,
      webhookId: id,
    })),
  );
  const marks = new Map(about.map((webhook, index) => [webhook, of[index]?.number]));
  const oldest = new Map<number, string>();
  for (const [index, { id }] of about.entries()) {
    const number = of[index]?.number ?? 0;
    const before = oldest.get(number);
    if (before === undefined || id < before) oldest.set(number, id);
  }
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
    out.timestamptz(webhooks.map((w) => w.proof?.signedAt)),
    out.int4(webhooks.map((w) => marks.get(w))),
    out.text(sorted.map(({ first }) => first.integrationId)),
    out.text(sorted.map(({ first }) => first.kind)),
    out.text(sorted.map(({ first }) => first.id)),
    out.uuid(sorted.map(({ number }) => oldest.get(number))),
    out.text(sorted.map(({ wanted }) => wanted.join(","))),
    out.text(webhooks.map((w) => w.settledAs)),
  ];
}
