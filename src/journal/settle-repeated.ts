/**
 * A webhook that came unproven may come again with the same JWT once its key is there. The second proves the first, since a JWT's
 * identity covers the hash of the body: the first is journaled under its own id, and the second is its duplicate.
 */
import type { Database, Queryable } from "../database/types.ts";
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
 */
export async function settleRepeated(database: Database, q: Queryable, repeated: readonly Repeated[]): Promise<void> {
  const firsts = [...new Set(repeated.map(({ first }) => first))];
  const { rows } = await q.query<{ id: string }>(FIND_UNPROVEN, [firsts]);
  if (rows.length === 0) return;
  const waiting = new Set(rows.map(({ id }) => id));
  const some = new Map(repeated.filter(({ first }) => waiting.has(first)).map((each) => [each.first, each.webhook]));
  const proven = await database.transaction((tx) => settleIn(tx, some));
  metrics.unproven.inc({ outcome: "proven" }, proven);
  metrics.webhooksAccepted.inc({ source: "PLAID" }, proven);
}

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
