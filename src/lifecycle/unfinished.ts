/**
 * Carries a change of an integration through to all its items, which may be a million. This happens after the change has committed,
 * in parts; each part is a transaction of its own that locks few rows, so that other webhooks never wait for it. The change notes the
 * work. If the process ends before the work is done, a repeated call or the janitor of any process finishes it.
 *
 *   credentials changed: retry ─▶ done
 *   deleted:             end ─▶ done
 *   deleted with purge:  purge ─▶ purged (late webhooks may still come) ─▶ the integration's row is gone
 */
import { cancellable } from "../database/cancellable.ts";
import type { Database, Queryable } from "../database/types.ts";
import { recordEvents } from "../events/events.ts";
import * as events from "../events/forget.ts";
import * as fleet from "../fleet/forget.ts";
import { dropTokens, purgeItems } from "../integrations/items.ts";
import { dropSubjectTokens, purgeSubjects } from "../integrations/subjects.ts";
import { forgetIntegration, listUnfinished, noteDone, type Unfinished } from "../integrations/unfinished.ts";
import * as journal from "../journal/forget.ts";
import { forgetQuarantine } from "../journal/forget-unproven.ts";
import * as linking from "../linking/forget.ts";
import { forgetListeners } from "../listeners/listeners.ts";
import * as mirror from "../mirror/forget.ts";
import { removeReader } from "../mirror/reader.ts";
import { purgeCalls } from "../plaid/calls.ts";
import * as relay from "../relay/forget.ts";
import * as silence from "../silence/forget.ts";
import * as sync from "../sync/forget.ts";
import { itemRemoved } from "./items.ts";

/** Finishes the work that other calls left, for all integrations. A failure of one does not stop the others; it is thrown at the end. */
export async function finishIntegrations(database: Database, signal?: AbortSignal): Promise<void> {
  const failures: unknown[] = [];
  for (const { id, unfinished } of await listUnfinished(database)) {
    await finish(database, id, unfinished, signal).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

/** Does the noted work of the integration. Several processes may do it at once, and repeat it. */
export async function finish(
  database: Database,
  id: string,
  unfinished: Unfinished,
  signal?: AbortSignal,
): Promise<void> {
  const q = cancellable(database, signal);
  if (unfinished === "retry") {
    await sync.retryIntegration(q, id);
    return await noteDone(q, id, unfinished, null);
  }
  await end(database, q, id, signal);
  if (unfinished === "end") return await noteDone(q, id, unfinished, null);
  await purge(database, q, id);
  await noteDone(q, id, unfinished, "purged");
  await forgetIntegration(q, id);
}

/** Deletes the tokens, ends the subjects, and settles the webhooks that no run will serve. */
async function end(database: Database, q: Queryable, id: string, signal: AbortSignal | undefined): Promise<void> {
  while (await unlinkSome(database, id)) signal?.throwIfAborted();
  await dropSubjectTokens(q, id);
  await linking.dropTokens(q, id);
  await forgetListeners(q, id);
  await forgetQuarantine(q, id);
  await sync.endIntegration(q, id);
  await journal.settleIntegration(q, id, await sync.oldestWaiting(q, id));
  await sync.forgetWaiting(q, id);
}

/** Does so for some items, with their events. @returns false once there are none */
async function unlinkSome(database: Database, id: string): Promise<boolean> {
  return await database.transaction(async (tx) => {
    const items = await dropTokens(tx, id);
    await recordEvents(
      tx,
      items.map(({ itemId, userId }) => itemRemoved({ integrationId: id, itemId, userId, reason: "unlinked" })),
    );
    return items.length > 0;
  });
}

/** Deletes the items' rows last, so that an interrupted purge can be repeated. */
async function purge(database: Database, q: Queryable, id: string): Promise<void> {
  await removeReader(database, id);
  await journal.purgeWebhooks(q, id);
  await mirror.purgeIntegration(q, id);
  await relay.awaitUnderWay(q);
  await relay.purgeIntegration(q, id);
  await events.purgeIntegration(q, id);
  await journal.purgeRefusals(q, id);
  await sync.purgeIntegration(q, id);
  await fleet.purgeIntegration(q, id);
  await linking.purgeIntegration(q, id);
  await silence.purgeIntegration(q, id);
  await purgeCalls(q, id);
  await purgeItems(q, id);
  await purgeSubjects(q, id);
}
