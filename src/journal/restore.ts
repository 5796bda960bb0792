/**
 * Takes over arrivals that another engine acknowledged while Postgres was away: each exactly once, in their order.
 *
 *   arrivals → webhooks in a row: one statement, in one transaction with a lock on their integrations
 *            → unproven webhooks in a row: to their quarantines
 *            → linked item, stale notice: a transaction each
 *            → refused by Postgres for its data → halved, until the refused one is alone and is reported
 *            → waited in vain for another transaction with its JWT → halved too, until the locked one is alone and is reported; more
 *              than LOCKED_MAX of them → the batch must be restored again
 *            → waited in vain for a table or an integration → the batch must be restored again
 *
 * The sender may have been refused after all, or sent the same to another process: what is stored already is passed over. What is
 * being stored by a transaction that has not ended is waited for, as long as a lock may be waited for.
 */
import { sqlStateOf } from "../database/failures.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { NOTIFY_ARRIVED } from "../events/queries.ts";
import { noteNotice } from "../events/sync-outbox.ts";
import { holdIntegrations } from "../integrations/items.ts";
import type { Vault } from "../integrations/vault.ts";
import { noIntegration } from "../model/integration.ts";
import { newUuid } from "../model/ids.ts";
import type { Arrival, ArrivedWebhook, LinkedItem, RestoreResult, StaleNotice } from "../model/intake.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { encode, findAccepted } from "./append.ts";
import { isDataFault } from "./failures.ts";
import { linkWithin, noteLinked } from "./link.ts";
import { restoreUnproven } from "./restore-unproven.ts";
import { repeatedOf, settleRepeated } from "./settle-repeated.ts";
import {
  FIND_BY_JWT,
  HOLD_TABLES,
  IS_LINKED_SINCE,
  IS_STORED,
  JWT_LOCK_WAIT,
  RESTORE,
  SINGLE_JWT_LOCK_WAIT,
} from "./restore-queries.ts";

/** Tokens are kept for three days. For those that are older than this, the journal is searched. */
const TOKEN_SURELY_KEPT_MS = 36 * 60 * 60_000;

/** To find each that is locked takes some waits of 100 ms. */
const LOCKED_MAX = 16;

interface RestoreDeps {
  database: Database;
  vault: Vault;
}

/**
 * Restores the arrivals in their order; a repeat stores nothing twice.
 * @throws TartanError `overloaded` or `database_unavailable`: all must be restored again
 */
export async function restore(deps: RestoreDeps, arrivals: readonly Arrival[]): Promise<RestoreResult[]> {
  const results: RestoreResult[] = [];
  for (let from = 0; from < arrivals.length;) {
    const run = runFrom(arrivals, from, "webhook");
    const unproven = runFrom(arrivals, from, "unproven_webhook");
    if (run.length > 0) results.push(...(await restoreRun(deps.database, run)));
    else if (unproven.length > 0) results.push(...(await restoreUnproven(deps.database, unproven)));
    else results.push(await restoreOther(deps, arrivals[from] as LinkedItem | StaleNotice));
    from = results.length;
  }
  return results;
}

/** The arrivals of a kind that stand next to one another, the first at `from`. */
function runFrom<K extends Arrival["arrival"]>(
  arrivals: readonly Arrival[],
  from: number,
  kind: K,
): Extract<Arrival, { arrival: K }>[] {
  const run: Extract<Arrival, { arrival: K }>[] = [];
  for (let at = from; arrivals[at]?.arrival === kind; at += 1)
    run.push(arrivals[at] as Extract<Arrival, { arrival: K }>);
  return run;
}

async function restoreRun(database: Database, webhooks: readonly ArrivedWebhook[]): Promise<RestoreResult[]> {
  const results = await restoreWebhooks(database, webhooks);
  const firsts = results.map((result, index) => {
    const id = result.outcome === "passed_over" ? result.id : null;
    return { id: id ?? webhooks[index]?.id ?? "" };
  });
  const repeated = repeatedOf(webhooks, firsts);
  if (repeated.length > 0) await settleRepeated(database, database, repeated);
  return results;
}

async function restoreWebhooks(
  database: Database,
  webhooks: readonly ArrivedWebhook[],
  locked = { count: 0, wait: JWT_LOCK_WAIT },
): Promise<RestoreResult[]> {
  const progress = { isStoring: false };
  try {
    return await database.transaction((tx) => storeWithin(tx, webhooks, locked.wait, progress));
  } catch (error) {
    const isLocked = sqlStateOf(error) === "55P03" && progress.isStoring;
    if (!isLocked && !isDataFault(error)) throw error;
    if (isLocked) locked.wait = SINGLE_JWT_LOCK_WAIT;
    if (webhooks.length === 1) {
      if (isLocked && ++locked.count > LOCKED_MAX) throw error;
      return [isLocked ? { outcome: "locked" } : { outcome: "refused", error }];
    }
    const middle = webhooks.length >> 1;
    const first = await restoreWebhooks(database, webhooks.slice(0, middle), locked);
    return [...first, ...(await restoreWebhooks(database, webhooks.slice(middle), locked))];
  }
}

async function storeWithin(
  tx: Queryable,
  webhooks: readonly ArrivedWebhook[],
  lockWait: string,
  progress: { isStoring: boolean },
): Promise<RestoreResult[]> {
  progress.isStoring = false;
  const there = await holdIntegrations(
    tx,
    webhooks.map(({ integrationId }) => integrationId),
  );
  const firsts = await findOld(tx, webhooks);
  const inBatch = new Map<string, string>();
  const fresh = webhooks.filter(({ id, integrationId, proof }) => {
    if (!there.has(integrationId) || firsts.has(id)) return false;
    const token = proof?.tokenSha256.toString("latin1") ?? id;
    const first = inBatch.get(token);
    if (first === undefined) inBatch.set(token, id);
    else if (first !== id) firsts.set(id, first);
    return first === undefined;
  });
  type Row = { id: string; first: string; stored: boolean };
  // A table that is locked, as by a migration, is waited for here, and longer.
  await tx.query(HOLD_TABLES);
  await tx.query(lockWait);
  progress.isStoring = true;
  const { rows } = fresh.length === 0 ? { rows: [] } : await tx.query<Row>(RESTORE, encode(fresh));
  progress.isStoring = false;
  const stored = new Set<string>();
  for (const row of rows) {
    if (row.stored) stored.add(row.id);
    firsts.set(row.id, row.first);
  }
  if (stored.size > 0) await tx.query(NOTIFY_ARRIVED);
  return webhooks.map(({ id, integrationId }) => {
    if (!there.has(integrationId)) return { outcome: "refused", error: noIntegration(integrationId) };
    // The same webhook twice in one batch is stored once.
    if (stored.delete(id)) return { outcome: "stored", id };
    const first = firsts.get(id) ?? id;
    return { outcome: "passed_over", id: firsts.get(first) ?? first };
  });
}

/** Of webhooks whose JWT may be forgotten: the id of the one that was stored with it. */
async function findOld(tx: Queryable, webhooks: readonly ArrivedWebhook[]): Promise<Map<string, string>> {
  const before = Date.now() - TOKEN_SURELY_KEPT_MS;
  const old = webhooks.filter(({ proof }) => proof !== null && proof.signedAt.getTime() < before);
  if (old.length === 0) return new Map();
  const { rows } = await tx.query<{ id: string; first: string }>(FIND_BY_JWT, [
    old.map(({ id }) => id),
    old.map(({ integrationId }) => integrationId),
    old.map(({ itemId }) => itemId),
    old.map(({ proof }) => proof?.jwt),
    old.map(({ proof }) => proof?.signedAt),
  ]);
  return new Map(rows.map(({ id, first }) => [id, first]));
}

async function restoreOther(deps: RestoreDeps, arrival: LinkedItem | StaleNotice): Promise<RestoreResult> {
  try {
    return arrival.arrival === "linked_item"
      ? await restoreLink(deps, arrival)
      : await deps.database.transaction((tx) => restoreNotice(tx, arrival));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { outcome: "refused", error };
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof TartanError ? error.code === "not_found" || error.code === "invalid_request" : isDataFault(error);

async function restoreLink(deps: RestoreDeps, item: LinkedItem, isRepeat = false): Promise<RestoreResult> {
  const { id = newUuid(item.receivedAt), integrationId, itemId } = item;
  try {
    return await deps.database.transaction(async (tx) => {
      if ((await tx.query(IS_STORED, [id])).rows.length > 0) return { outcome: "passed_over", id };
      // A token that another process stored since then is newer, and stays.
      const since = (await tx.query(IS_LINKED_SINCE, [integrationId, itemId, id])).rows.length > 0;
      if (since) await noteLinked(tx, { ...item, id });
      else await linkWithin(tx, deps.vault, { ...item, id });
      return { outcome: "stored", id };
    });
  } catch (error) {
    // Another transaction has stored it since it was looked for.
    if (isRepeat || sqlStateOf(error) !== "23505") throw error;
    return await restoreLink(deps, { ...item, id }, true);
  }
}

async function restoreNotice(tx: Queryable, notice: StaleNotice): Promise<RestoreResult> {
  const { integrationId, token, subject, webhookType, webhookCode } = notice;
  const first = await findAccepted(tx, token);
  if (first?.waits === false) return { outcome: "passed_over", id: first.id };
  if (subject === null) return { outcome: "stored", id: null };
  if (!(await holdIntegrations(tx, [integrationId])).has(integrationId))
    return { outcome: "refused", error: noIntegration(integrationId) };
  const about = { integration_id: integrationId, ...subject, type: webhookType, code: webhookCode };
  await noteNotice(tx, { ...about, requested: [EVERYTHING] });
  await tx.query(NOTIFY_ARRIVED);
  return { outcome: "stored", id: null };
}
