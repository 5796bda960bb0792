/**
 * Commits a run: rows, cursors, removals, references to other subjects, update_info of the served webhooks, the run's own
 * row, the events, and the subject's next state, in one transaction, which first makes sure that the lease still holds. So a
 * worker that was paused past its lease writes nothing.
 *
 * The transaction locks the subject's row in two steps: first only against claims, so that marks are possible
 * while it writes thousands of rows; at the end also against marks, to see whether one came meanwhile. It updates webhooks
 * after that lock: transactions that lock a subject and its webhooks lock the subject first.
 */
import type { Database, Queryable } from "../database/types.ts";
import { recordMade, recordRest } from "../events/events.ts";
import { revealedOf } from "../integrations/reveals.ts";
import { forgetRequested, markServed, noteTakenUp, type WaitingWebhook } from "../journal/served.ts";
import { mirroredUser, newCounterparts, type Counterparts } from "../mirror/counterparts.ts";
import { dropStaged } from "../mirror/stage.ts";
import type { Subject, Unfit } from "../mirror/types.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { isRevealable, resourcesOf, rootOf, rootTable } from "../resources/index.ts";
import { unserved, type Ending, type Written } from "./ending.ts";
import { eventsOf } from "./events.ts";
import { isFullCheck, settleFullCheck, wrongRows } from "./full-check.ts";
import { healed, recordHealed } from "./gap.ts";
import { markDue } from "./marks.ts";
import { forgetLoops, settleLoops } from "./loops.ts";
import { leavesRepaired, noticesAfter, repairsSaid } from "./item-news.ts";
import type { NextNotices } from "./next-notices.ts";
import { noteRevoked } from "./note-revoked.ts";
import { askAboutItem, forgetNotices, writeNotices } from "./notices.ts";
import { finish, KEEP_RUN, LOCK } from "./claim-queries.ts";
import { held, leaseLost } from "./lease.ts";
import { WEBHOOKS_MAX } from "./queue.ts";
import { findReferences, findTroubled } from "./references.ts";
import { fence } from "./staging.ts";
import type { Outcome, UpdateInfo } from "./types.ts";
import { UNREAD, unreadOutcome } from "./unread.ts";
import { applyReadings, keepStatuses, verifiedAfter } from "./write-readings.ts";

/** The result of a run, for logs and metrics. */
export interface Committed {
  info: UpdateInfo;
  /** resources in which reconciliation found changes that no webhook had announced */
  healed: readonly string[];
  /** resources in which a full check found rows that were wrong */
  wrong: readonly string[];
  /** values that do not fit their columns */
  unfit: readonly Unfit[];
}

/**
 * Commits the run. When Postgres refuses a value of Plaid's, it repeats all of it in the way that replaces such values by
 * null: that costs several times as much, and is rarely needed.
 * @throws TartanError `lease_lost` when another worker leases the subject by now; nothing was written then
 */
export async function commitRun(database: Database, ending: Ending): Promise<Committed> {
  try {
    return await commitOnce(database, ending, null);
  } catch (error) {
    if (!isRefusedValue(error)) throw error;
    return await commitOnce(database, ending, []);
  }
}

/** Data exceptions, a key that is missing (not_null_violation), and text that is too long for an index. */
export const isRefusedValue = (error: unknown): boolean =>
  error instanceof Error && /^(22...|23502|54000)$/.test(String((error as { code?: unknown }).code));

/** Five round trips where nothing is special: what does not depend on an answer is sent at once. */
async function commitOnce(database: Database, opened: Ending, unfit: Unfit[] | null): Promise<Committed> {
  return await database.transaction(async (tx) => {
    const [revealedNow, isUserNew] = await begin(tx, opened);
    const ending = { ...opened, scope: { ...opened.scope, revealed: revealedNow } };
    const applying = await applyReadings(tx, ending, unfit);
    const verifiedAt = verifiedAfter(ending, applying.kept);
    const written = { ...applying, verifiedAt };
    const notices = await noticesAfter(tx, ending, written);
    const counterparts = await counterpartsIn(tx, ending, written, isUserNew);
    const [recorded] = await Promise.all([
      recordMade(tx, eventsOf(ending, written, notices, counterparts)),
      keepStatuses(tx, ending, written),
      keepRun(tx, ending, written),
    ]);
    const found = await recordFound(tx, ending, written);
    await noteRevoked(tx, ending, written);
    if (leavesRepaired(ending, notices)) await askAboutItem(tx, ending.claim);
    await settlePages(tx, ending);
    await follow(tx, ending, written);
    await Promise.all([recordRest(tx, recorded), settle(tx, ending, written, notices)]);
    return { info: written.info, ...found, unfit: unfit ?? [] };
  }, "long");
}

/** Makes sure of the lease first of all. @returns what the integration reveals, and whether the user is new */
async function begin(tx: Queryable, opened: Ending): Promise<[readonly string[], boolean]> {
  const [, ...found] = await Promise.all([fence(tx, opened.scope), revealed(tx, opened), isNewUser(tx, opened)]);
  return found;
}

/** Records what no webhook had announced. @returns the resources */
async function recordFound(
  tx: Queryable,
  ending: Ending,
  written: Written,
): Promise<Pick<Committed, "healed" | "wrong">> {
  const changed = healed(ending, written.info);
  const wrong = wrongRows(ending, written);
  if (changed.length > 0) await recordHealed(tx, ending, { changed }, written.info);
  if (wrong.rows.length > 0)
    await recordHealed(tx, ending, { changed: wrong.resources, wrong: wrong.rows }, written.info);
  return { healed: changed, wrong: wrong.resources };
}

/**
 * What the integration reveals of all that the run writes, as it is now and not as the run found it: a resource that was hidden
 * meanwhile is masked, and one that is revealed cannot be hidden before the commit.
 */
async function revealed(tx: Queryable, { claim, outcomes }: Ending): Promise<readonly string[]> {
  const read = outcomes.map(({ task }) => task.resource);
  const written = resourcesOf(claim.kind).filter((each) => rootTable(each) !== undefined || read.includes(each));
  return await revealedOf(
    tx,
    claim.integrationId,
    written.filter(isRevealable).map(({ name }) => name),
  );
}

/** The webhooks with which your backend names the user of an item. */
const NAMES_USER: ReadonlySet<string | null> = new Set(["CREATED", "UPDATED"]);

/** Whether the item was read before and its user is named only now, or is another one. Before the run writes the user. */
async function isNewUser(tx: Queryable, { claim, scope, served, outcomes }: Ending): Promise<boolean> {
  const { user_id: userId } = scope.facts;
  if (claim.kind !== "item" || userId === null) return false;
  if (!served.some(({ type, code }) => type === "ITEM" && NAMES_USER.has(code))) return false;
  const root = rootOf(resourcesOf(claim.kind));
  if (!outcomes.some((each) => each.task.resource === root && "read" in each)) return false;
  const before = await mirroredUser(tx, [claim.integrationId, claim.id]);
  return before !== undefined && before !== userId;
}

/** The accounts that the mirror knows by another id, as far as this run is the first to find it; null where it cannot. */
async function counterpartsIn(
  tx: Queryable,
  { claim, scope }: Ending,
  { applied }: Written,
  isUserNew: boolean,
): Promise<Counterparts | null> {
  if (claim.kind !== "item" || !(applied.get("accounts")?.changes.added || isUserNew)) return null;
  const { integrationId, facts } = scope;
  return await newCounterparts(tx, { integrationId, itemId: claim.id, userId: facts.user_id, isUserNew });
}

/** Deletes applied pages and keeps those of loops that wait. Pages of loops that started over are already deleted. */
async function settlePages(tx: Queryable, ending: Ending): Promise<void> {
  const { claim, outcomes, decision, loops } = ending;
  if (decision.gone) {
    await dropStaged(tx, claim.leaseToken);
    return await forgetLoops(tx, claim, loops);
  }
  for (const outcome of outcomes) {
    if (!("read" in outcome) || outcome.read.pages.length < 2) continue;
    await dropStaged(tx, claim.leaseToken, outcome.task.resource.name);
  }
  const isTruncated = ending.webhooks.length === WEBHOOKS_MAX;
  await settleLoops(tx, claim, { outcomes, loops, waiting: unserved(ending), isTruncated });
}

/**
 * Makes subjects due that the rows reference, such as an item's institution. It comes late, since marks of these wait from here to
 * the commit.
 */
async function follow(tx: Queryable, { scope, outcomes, decision }: Ending, { applied }: Written): Promise<void> {
  if (decision.gone) return;
  const { integrationId, kind } = scope;
  const mark = (subjects: readonly Subject[]): Promise<void> =>
    markDue(
      tx,
      subjects.map((subject) => ({ integrationId, ...subject, requested: [EVERYTHING] })),
    );
  for (const outcome of outcomes) {
    if (!("read" in outcome)) continue;
    await mark(await findReferences(tx, scope, outcome.task.resource, applied));
  }
  const isOutage = kind === "item" && decision.error?.error_type === "INSTITUTION_ERROR";
  if (isOutage) await mark(await findTroubled(tx, scope));
}

/** Writes the run's own row, if it had any task. */
async function keepRun(
  tx: Queryable,
  { claim, outcomes, decision, served }: Ending,
  { runId, info }: Written,
): Promise<void> {
  if (outcomes.length === 0 && decision.status !== "unlinked") return;
  if (outcomes.length > 0 && outcomes.every(isHeldBack)) return;
  await tx.query(KEEP_RUN, [
    runId,
    claim.integrationId,
    claim.kind,
    claim.id,
    claim.claimedAt,
    decision.outcome,
    served.length,
    JSON.stringify(info),
  ]);
}

/** True for a run that only waited for Tartan's own rate limit. It gets no row, since a long history waits often. */
const isHeldBack = (outcome: Outcome): boolean => "failure" in outcome && outcome.failure.class === "limited";

/** Writes update_info and processed_at to the webhooks. All of its statements are sent before it returns. */
async function serve(tx: Queryable, ending: Ending, info: UpdateInfo): Promise<void> {
  const { claim, decision, early, served, idle } = ending;
  // A webhook that does not wait for a failed resource was served in full, even if the run failed otherwise.
  const servedInfo = decision.status === "retrying" ? { ...info, outcome: "synced" } : info;
  await Promise.all([
    markServed(tx, idsOf(served), servedInfo),
    noteTakenUp(tx, idsOf(early)),
    ...UNREAD.map((outcome) => {
      const unread = idle.filter(({ type, code }) => unreadOutcome(claim.kind, type, code) === outcome);
      return markServed(tx, idsOf(unread), { outcome });
    }),
    // Requested resources that this run could not read stay requested.
    forgetRequested(tx, idsOf(unserved(ending).filter(({ requested }) => requested.length > 0))),
  ]);
}

const idsOf = (webhooks: readonly WaitingWebhook[]): string[] => webhooks.map(({ id }) => id);

async function settleNotices(tx: Queryable, ending: Ending, next: NextNotices): Promise<void> {
  const { claim, decision, notices } = ending;
  if (claim.kind !== "item" || decision.status === "unlinked") return;
  if (decision.gone) return await forgetNotices(tx, claim.integrationId, claim.id);
  await writeNotices(tx, claim, notices, next, repairsSaid(ending));
}

/**
 * Writes the subject's next state. A mark that came during the run leaves it due. All statements are sent at once, unless the run is a full
 * check; they run in their order, so those behind LOCK see every mark that came before it.
 */
async function settle(tx: Queryable, ending: Ending, written: Written, notices: NextNotices): Promise<void> {
  const { claim } = ending;
  const locked = tx.query(LOCK, held(claim));
  const settled = Promise.all([serve(tx, ending, written.info), settleNotices(tx, ending, notices)]);
  if (isFullCheck(claim)) {
    await Promise.all([locked, settled]);
    await settleFullCheck(tx, ending, written);
  }
  const [{ rowCount }] = await Promise.all([locked, settled, tx.query(finish(claim.kind), endOf(ending, written))]);
  if (rowCount === 0) throw leaseLost({ kind: claim.kind, subjectId: claim.id });
}

/** The values of `finish`. */
function endOf({ claim, webhooks, served, idle, decision }: Ending, { verifiedAt }: Written): unknown[] {
  const truncated = webhooks.length === WEBHOOKS_MAX;
  return [
    ...held(claim),
    claim.generation,
    decision.dueInMs,
    decision.holdMs,
    decision.status,
    decision.attempts,
    decision.error === null ? null : JSON.stringify(decision.error),
    decision.pending,
    verifiedAt ?? null,
    truncated || served.length + idle.length < webhooks.length,
    verifiedAt !== undefined,
    truncated && decision.retried.size === 0,
  ];
}
