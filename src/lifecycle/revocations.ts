/**
 * Erases what users have withdrawn, where the integration says so (`revoked_data`: `erase`). A run's commit notes it; each note is
 * worked off in one transaction, in which every owner of tables deletes its part, also by another process after a crash.
 *
 *   noted ─▶ a run works on the item, or no reading has confirmed it: looked at again later
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
import { forgetAccount, forgetReadings, holdWithdrawn } from "../sync/revoked.ts";

const EVERY_MS = 10_000;
/** A run takes seconds; a user may take weeks. */
const BUSY_SECONDS = 1;
const UNCONFIRMED_SECONDS = 600;

interface LoopOptions {
  database: Database;
  clock: Clock;
  logger: Logger;
}

/** Erases what is noted, until it is disposed. */
export const startErasing = (options: LoopOptions): Promise<AsyncDisposable> =>
  startWorkerLoop({
    ...options,
    channels: [REVOCATIONS_CHANNEL],
    pollMs: EVERY_MS,
    trouble: "cannot erase what users have withdrawn; trying again",
    work: async () => (await eraseWithdrawn(options.database)) > 0,
  });

/**
 * Erases what is noted and confirmed. A failure of one note does not stop the others; it is thrown at the end.
 * @returns how many notes it has worked off
 */
export async function eraseWithdrawn(database: Database): Promise<number> {
  const failures: unknown[] = [];
  let done = 0;
  for (const revocation of await waitingRevocations(database)) {
    try {
      if (await database.transaction((tx) => workOff(tx, revocation), "long")) done += 1;
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return done;
}

/** @returns whether the note is worked off */
async function workOff(tx: Queryable, revocation: Revocation): Promise<boolean> {
  // Before the first row is locked, since this may take long.
  await relay.awaitUnderWay(tx);
  const withdrawn = await holdWithdrawn(tx, revocation);
  if (!(await holdRevocation(tx, revocation))) return false;
  if (withdrawn === "busy" || withdrawn === "unconfirmed") {
    await postponeRevocation(tx, revocation, withdrawn === "busy" ? BUSY_SECONDS : UNCONFIRMED_SECONDS);
    return false;
  }
  if (withdrawn === "there") await forgetRevocation(tx, revocation);
  else await erase(tx, revocation);
  return true;
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
  await relay.cutAccount(tx, integrationId, itemId, accountId);
  await events.cutAccount(tx, integrationId, itemId, accountId);
  await journal.cutAccount(tx, integrationId, itemId, accountId);
}
