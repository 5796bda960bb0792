/**
 * Erases what users have withdrawn, where the integration says so (`revoked_data`: `erase`). A run's commit notes it; what a note names is
 * erased in one transaction, in which every owner of tables deletes its part, also by another process after a crash.
 *
 *   noted ─▶ a run works on the item, or no reading has confirmed it: examined again later
 *         ├▶ Plaid has the account, or the item, after all: the note goes, and nothing is erased
 *         └▶ Plaid has it no longer: erased
 */
import { audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import { recordEvents } from "../events/events.ts";
import * as events from "../events/forget.ts";
import {
  forgetRevocation,
  holdRevocation,
  postponeRevocation,
  REVOCATIONS_CHANNEL,
  revocationDone,
  waitingRevocations,
  type Revocation,
} from "../integrations/revocations.ts";
import * as journal from "../journal/forget.ts";
import type { Logger } from "../logger.ts";
import * as mirror from "../mirror/forget.ts";
import { BY_TARTAN } from "../model/change.ts";
import * as silence from "../silence/forget.ts";
import * as relay from "../relay/forget.ts";
import { forgetAccount, forgetReadings, holdWithdrawn, type Withdrawn } from "../sync/revoked.ts";

const EVERY_MS = 10_000;
/** A run takes seconds; a user may take weeks. */
const BUSY_SECONDS = 1;
const UNCONFIRMED_SECONDS = 600;
const FAILED_SECONDS = 60;

type Transacting = Pick<Database, "query" | "transaction">;

interface LoopOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

/** Erases what is noted, until it is disposed; then the note under way is finished. */
export async function startErasing(options: LoopOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const loop = await startWorkerLoop({
    ...options,
    channels: [REVOCATIONS_CHANNEL],
    pollMs: EVERY_MS,
    trouble: "cannot erase what users have withdrawn; trying again",
    work: async () => (await eraseWithdrawn(options.database, stop.signal)) > 0,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/**
 * Erases what is noted and confirmed. A note that fails waits, so that it does not stop the others; its failure is thrown at the end.
 * @returns how many notes it has worked off
 */
export async function eraseWithdrawn(database: Transacting, signal?: AbortSignal): Promise<number> {
  const failures: unknown[] = [];
  let done = 0;
  for (const revocation of await waitingRevocations(database)) {
    if (signal?.aborted) break;
    try {
      if (await workOff(database, revocation)) done += 1;
    } catch (error) {
      failures.push(error);
      await postponeRevocation(database, revocation, FAILED_SECONDS).catch(() => undefined);
    }
  }
  if (failures.length > 0) throw failures[0];
  return done;
}

/** @returns whether the note is worked off */
async function workOff(database: Transacting, revocation: Revocation): Promise<boolean> {
  const found = await database.transaction((tx) => look(tx, revocation));
  if (found !== "gone") return found === "there";
  return await database.transaction(async (tx) => {
    // Before the first row is locked, since this may take long; and only where something is erased, since nothing is dispatched meanwhile.
    await relay.awaitUnderWay(tx);
    if ((await look(tx, revocation)) !== "gone") return false;
    await erase(tx, revocation);
    return true;
  }, "long");
}

/** Locks the subject and the note, and settles the note if nothing is to be erased now. Null: it is not the same note any more. */
async function look(tx: Queryable, revocation: Revocation): Promise<Withdrawn | null> {
  const found = await holdWithdrawn(tx, revocation);
  if (!(await holdRevocation(tx, revocation))) return null;
  if (found === "there") await forgetRevocation(tx, revocation);
  else if (found !== "gone")
    await postponeRevocation(tx, revocation, found === "busy" ? BUSY_SECONDS : UNCONFIRMED_SECONDS);
  return found;
}

async function erase(tx: Queryable, revocation: Revocation): Promise<void> {
  const { integrationId, itemId, accountId } = revocation;
  if (accountId === null) await eraseData(tx, integrationId, itemId);
  else await eraseAccount(tx, integrationId, itemId, accountId);
  await revocationDone(tx, revocation);
  const about = { reason: accountId === null ? "permission_revoked" : "account_revoked", account_id: accountId };
  await audit(tx, BY_TARTAN, { action: "item.data_erased", integrationId, target: itemId, details: about });
  const head = { integrationId, itemId, userId: null, environment: null };
  await recordEvents(tx, [{ ...head, type: "item.data_erased", data: about }]);
}

/** Everything that was read of an item. Its own row, its state and what happened to it stay. */
async function eraseData(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await forgetReadings(tx, integrationId, itemId);
  await mirror.forgetRowsOfItem(tx, integrationId, itemId);
  await relay.forgetDataOfItem(tx, integrationId, itemId);
  await events.forgetRowsOfItem(tx, integrationId, itemId);
  // What waits to be journaled from Plaid's list is about the item too.
  await silence.forgetItem(tx, integrationId, itemId);
  await journal.forgetDataOfItem(tx, integrationId, itemId);
}

/** Everything that was read of one account, and nothing of another. */
async function eraseAccount(tx: Queryable, integrationId: string, itemId: string, accountId: string): Promise<void> {
  const fewer = await mirror.forgetAccount(tx, integrationId, itemId, accountId);
  await forgetAccount(tx, integrationId, itemId, accountId, fewer);
  // The events first: a delivery locks its event while it stores what it made of it.
  await relay.cutEvents(tx, await events.cutAccount(tx, integrationId, itemId, accountId));
  await journal.cutAccount(tx, integrationId, itemId, accountId);
}
