/**
 * A webhook that came unproven may come again with the same JWT once its key is there. The second proves the first, since a JWT's
 * identity covers the hash of the body: the first is journaled under its own id with the JWT of the second, and the second is its
 * duplicate. The first may be a copy with a damaged signature, which a prover refuses meanwhile; then the second must be sent again.
 */
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import type { Accepted, NewWebhook } from "../model/webhook.ts";
import { append } from "./append.ts";
import { readKept } from "./settle.ts";
import { FIND_UNPROVEN, LOCK_QUARANTINES, REMOVE_UNPROVEN } from "./unproven-queries.ts";

/** A proven webhook, and the id of the first that came with its JWT. */
export interface Repeated {
  webhook: NewWebhook;
  first: string;
}

/** The proven ones that repeat another; `accepted` has one entry for each webhook, in their order. */
export const repeatedOf = (webhooks: readonly NewWebhook[], accepted: readonly Pick<Accepted, "id">[]): Repeated[] =>
  webhooks.flatMap((webhook, index) => {
    const first = accepted[index]?.id ?? webhook.id;
    return first === webhook.id || webhook.proof === null ? [] : [{ webhook, first }];
  });

/**
 * Journals those of the firsts that wait unproven, in one transaction with their removal from the quarantine.
 * @param q finds them; mostly there are none
 * @throws TartanError `overloaded` when a first was dropped since it was found, so that nothing has stored its second
 */
export async function settleRepeated(database: Database, q: Queryable, repeated: readonly Repeated[]): Promise<void> {
  const found = await find(q, repeated);
  if (found.size === 0) return;
  const some = new Map(repeated.filter(({ first }) => found.get(first)).map((each) => [each.first, each.webhook]));
  const proven = await database.transaction(async (tx) => {
    const settled = await settleIn(tx, some);
    // A prover may have refused some meanwhile.
    if ((await find(tx, repeated)).size > 0) throw dropped();
    return settled;
  });
  metrics.unproven.inc({ outcome: "proven" }, proven);
  metrics.webhooksAccepted.inc({ source: "PLAID" }, proven);
}

/** Whether they wait, of the firsts that wait or were dropped, by id. */
async function find(q: Queryable, repeated: readonly Repeated[]): Promise<Map<string, boolean>> {
  const tokens = repeated.map(({ webhook }) => webhook.proof?.tokenSha256);
  const signedAt = repeated.map(({ webhook }) => webhook.proof?.signedAt);
  type Row = { id: string; waits: boolean };
  const { rows } = await q.query<Row>(FIND_UNPROVEN, [repeated.map(({ first }) => first), tokens, signedAt]);
  return new Map(rows.map(({ id, waits }) => [id, waits]));
}

const dropped = (): TartanError =>
  new TartanError("overloaded", "A copy of the webhook was refused just now. Send it again.", { retryAfterSeconds: 1 });

/** @param some by the id of the first */
async function settleIn(tx: Queryable, some: ReadonlyMap<string, NewWebhook>): Promise<number> {
  const integrations = [...new Set([...some.values()].map(({ integrationId }) => integrationId))].toSorted();
  await tx.query(LOCK_QUARANTINES, [integrations]);
  // A prover may have settled some meanwhile.
  const kept = await readKept(tx, [...some.keys()]);
  const webhooks = kept.flatMap(({ id, receivedAt }) => {
    const webhook = some.get(id);
    return webhook === undefined ? [] : [{ ...webhook, id, receivedAt }];
  });
  await append(tx, webhooks);
  await tx.query(REMOVE_UNPROVEN, [kept.map(({ id }) => id)]);
  return webhooks.length;
}
