/**
 * The end of a run: rows, cursors, removals, references to other subjects, update_info of the webhooks it served, the run's own
 * row, the events, and the subject's next state, in one transaction that begins by making sure that the lease still holds. A
 * worker that was paused past its lease therefore writes nothing.
 *
 * The subject's row is locked in two steps. At first only against being claimed, so that it can still be marked
 * while thousands of rows are written; at the end against marks too, to see whether one came meanwhile. Webhooks are noted
 * behind that lock: transactions that lock a subject and its webhooks lock the subject first.
 */
import { v7 as newRunId } from "uuid";
import type { Database, Queryable } from "../database/types.ts";
import { recordQuietly } from "../events/events.ts";
import { forgetRequested, markServed, type WaitingWebhook } from "../journal/served.ts";
import { applyError, applyReading, countCurrent, removeEverything, summaryOf, verify } from "../mirror/apply.ts";
import { both, UNTOUCHED } from "../mirror/changes.ts";
import { dropStaged } from "../mirror/stage.ts";
import type { Applied, Scope, Unfit } from "../mirror/types.ts";
import { confirmToken } from "../integrations/tokens.ts";
import { explain, TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { resourcesOf, rootOf } from "../resources/index.ts";
import { eventsOf, type Written } from "./events.ts";
import { healed, recordHealed } from "./gap.ts";
import { EVERYTHING } from "./plan.ts";
import { markDue } from "./marks.ts";
import { forgetLoops, settleLoops, type Loops } from "./loops.ts";
import { DROP_CURSORS, KEEP_ABSENT, KEEP_CURSORS, OLDEST_VERIFIED, type Absence } from "./cursor-queries.ts";
import { learnAbsences } from "./products.ts";
import { finish, KEEP_RUN, LOCK } from "./queries.ts";
import { held, leaseLost, WEBHOOKS_MAX } from "./queue.ts";
import { findReferences } from "./references.ts";
import { fence } from "./staging.ts";
import type { Claim, Failure, Outcome, UpdateInfo, Decision } from "./types.ts";

/** Where a resource stood before the run. */
export interface ResourceStatus {
  cursor: string | null;
  rows: number;
  /** its first reading, with all history that Plaid had still to bring, is over */
  complete: boolean;
  /** the options that its rows were read with */
  readWith: string;
  /** null where the subject has the resource, as far as that is known */
  absent: Absence | null;
}

export interface Ending {
  claim: Claim;
  scope: Scope;
  /** null where the integration is not known */
  environment: string | null;
  /** the token, as sealed, that Plaid had not answered with this subject before */
  unconfirmed: Buffer | null;
  outcomes: readonly Outcome[];
  decision: Decision;
  statuses: ReadonlyMap<string, ResourceStatus>;
  /** those that waited when the run began */
  loops: Loops;
  webhooks: readonly WaitingWebhook[];
  /** those of `webhooks` that this run serves */
  served: readonly WaitingWebhook[];
  /** those that nothing mirrored is touched by */
  idle: readonly WaitingWebhook[];
  /** milliseconds since the run began */
  tookMs: () => number;
}

type Read = Extract<Outcome, { read: unknown }>;

/** What a run came to, for logs and metrics. */
export interface Committed {
  info: UpdateInfo;
  /** resources in which reconciliation found changes that no webhook had announced */
  healed: readonly string[];
  /** values that do not fit their columns */
  unfit: readonly Unfit[];
}

/**
 * Commits the run. When Postgres refuses a value of Plaid's, all of it is done again in the way that takes such values for
 * null: that costs several times as much, and is hardly ever needed.
 * @throws TartanError `lease_lost` when the subject is another worker's by now; nothing was written then
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
const isRefusedValue = (error: unknown): boolean =>
  error instanceof Error && /^(22...|23502|54000)$/.test(String((error as { code?: unknown }).code));

async function commitOnce(database: Database, ending: Ending, unfit: Unfit[] | null): Promise<Committed> {
  const { scope } = ending;
  return await database.transaction(async (tx) => {
    await fence(tx, scope);
    const written = await write(tx, ending, unfit);
    await keepRun(tx, ending, written);
    const changed = healed(ending, written.info);
    if (changed.length > 0) await recordHealed(tx, ending, changed, written.info);
    await recordQuietly(tx, eventsOf(ending, written));
    await settlePages(tx, ending);
    await settle(tx, ending, written);
    return { info: written.info, healed: changed, unfit: unfit ?? [] };
  }, "long");
}

/** Staged pages: those that were applied go, those of loops that wait stay. What was started over is dropped already. */
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

async function write(tx: Queryable, ending: Ending, unfit: Unfit[] | null): Promise<Written> {
  const { claim, outcomes, decision, statuses } = ending;
  const scope = { ...ending.scope, facts: { ...ending.scope.facts, next_step: decision.error?.next_step ?? null } };
  const applied = new Map<string, Applied>();
  const summary: Record<string, unknown> = {};
  const reads = outcomes.filter((outcome): outcome is Read => "read" in outcome);
  const kept: Kept[] = [];
  for (const read of reads) {
    const { resource } = read.task;
    const step = await applyReading(tx, scope, read.read, unfit);
    const { changes } = step;
    applied.set(resource.name, step);
    const before = statuses.get(resource.name);
    const rows = before ? before.rows + changes.added - changes.removed : await countCurrent(tx, scope, resource);
    const complete = before?.complete || read.complete;
    kept.push({
      resource: resource.name,
      cursor: read.cursor,
      rows,
      complete,
      readWith: read.readWith ?? "",
      partial: (read.partial ?? false) || lacksKeys(resource.name, unfit),
    });
    Object.assign(summary, await summaryOf(tx, scope, resource, rows));
  }
  const noted = await noteFailure(tx, { ...ending, scope }, applied, unfit);
  if (decision.gone) await removeSubject(tx, ending, applied);
  const root = reads.find((read) => read.root !== null);
  if (root && ending.unconfirmed) await confirmToken(tx, claim.integrationId, claim.id, ending.unconfirmed);
  const verifiedAt = decision.gone ? undefined : await keepStatuses(tx, ending, kept);
  return { runId: newRunId(), info: summarise(ending, reads, applied, summary), applied, noted, verifiedAt };
}

/** Errors of configuration that concern this one item's token, not the integration. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(["INVALID_ACCESS_TOKEN", TOKEN_OF_ANOTHER_ITEM]);

/**
 * Plaid did not give the row that stands for the subject: notes that on it, when the error speaks of the subject, or when
 * there is nothing else to show of it because it was never read.
 * @returns the row as it is now, null when it is as before
 */
async function noteFailure(
  tx: Queryable,
  { claim, scope, outcomes, statuses }: Ending,
  applied: Map<string, Applied>,
  unfit: Unfit[] | null,
): Promise<Record<string, unknown> | null> {
  const root = rootOf(resourcesOf(claim.kind));
  const failures = outcomes.flatMap((each) => ("failure" in each ? [each] : []));
  const failure = failures.find(({ failure, task }) => task.resource === root || isForeign(failure))?.failure;
  if (!root || !failure || failure.class === "limited") return null;
  const { class: group, errorType: error_type, errorCode: error_code } = failure;
  const speaks = group === "user" || group === "item_ended" || OF_THE_TOKEN.has(error_code);
  const error = { error_type, error_code, error_message: explain(error_type, error_code).message };
  const noted = await applyError(tx, scope, root, error, { add: !statuses.has(root.name), change: speaks, unfit });
  if (noted) applied.set(root.name, noted.applied);
  return noted?.row ?? null;
}

const isForeign = ({ errorCode }: Failure): boolean => errorCode === TOKEN_OF_ANOTHER_ITEM;

/** A row without a key could not be kept, so the mirror is not equal. */
const lacksKeys = (name: string, unfit: readonly Unfit[] | null): boolean =>
  unfit?.some(({ resource, expected }) => resource === name && expected === "key") ?? false;

/** What is kept of a resource that was read to its end. */
interface Kept {
  resource: string;
  cursor: string | null;
  rows: number;
  complete: boolean;
  readWith: string;
  partial: boolean;
}

/**
 * Keeps where the resources stand, and what follows for the subject.
 * @returns since when all of its resources are known to be equal, null while one was never read; undefined: as before
 */
async function keepStatuses(tx: Queryable, ending: Ending, kept: readonly Kept[]): Promise<Date | null | undefined> {
  const { claim, scope, outcomes, statuses, webhooks } = ending;
  const subject = [claim.integrationId, claim.kind, claim.id];
  const absences = learnAbsences(claim.kind, outcomes, statuses);
  if (kept.length === 0 && absences.size === 0) return undefined;
  if (kept.length > 0) {
    // Webhooks that this run could not take in may ask for more than was read, such as to read everything again.
    const truncated = webhooks.length === WEBHOOKS_MAX;
    const columns = [
      kept.map(({ resource }) => resource),
      kept.map(({ cursor }) => cursor),
      kept.map(({ rows }) => rows),
      kept.map(({ complete }) => complete),
      kept.map(({ readWith }) => readWith),
      kept.map(({ partial }) => (truncated || partial ? null : claim.claimedAt)),
    ];
    await tx.query(KEEP_CURSORS, [...subject, ...columns]);
  }
  if (absences.size > 0) await tx.query(KEEP_ABSENT, [...subject, [...absences.keys()], [...absences.values()]]);
  const resources = resourcesOf(claim.kind);
  const names = resources.map(({ name }) => name);
  const { rows } = await tx.query<{ verified_at: Date | null }>(OLDEST_VERIFIED, [...subject, names]);
  const verifiedAt = rows[0]?.verified_at ?? null;
  const root = rootOf(resources);
  if (root) await verify(tx, scope, root, verifiedAt);
  return verifiedAt;
}

async function removeSubject(tx: Queryable, { claim, scope }: Ending, applied: Map<string, Applied>): Promise<void> {
  for (const resource of resourcesOf(claim.kind)) {
    const gone = await removeEverything(tx, scope, resource);
    applied.set(resource.name, both(applied.get(resource.name) ?? UNTOUCHED, gone));
  }
  await tx.query(DROP_CURSORS, [claim.integrationId, claim.kind, claim.id]);
}

/**
 * Makes subjects due that the rows reference, such as an item's institution. Late, since marks of these wait from here to
 * the commit.
 */
async function follow(tx: Queryable, { scope, outcomes, decision }: Ending): Promise<void> {
  if (decision.gone) return;
  for (const outcome of outcomes) {
    if (!("read" in outcome)) continue;
    const references = await findReferences(tx, scope, outcome.task.resource);
    const { integrationId } = scope;
    await markDue(
      tx,
      references.map((reference) => ({ integrationId, ...reference, requested: [EVERYTHING] })),
    );
  }
}

function summarise(
  { decision, statuses, tookMs }: Ending,
  reads: readonly Read[],
  applied: ReadonlyMap<string, Applied>,
  summary: Record<string, unknown>,
): UpdateInfo {
  const counts = Object.fromEntries([...applied].map(([resource, { changes }]) => [resource, changes]));
  const looped = reads.find(({ read }) => read.resource.fetch.kind === "cursor");
  const info: UpdateInfo = { outcome: decision.outcome, ...summary, counts };
  if (looped) info.cursor = { from: statuses.get(looped.task.resource.name)?.cursor ?? null, to: looped.cursor };
  info.pages = reads.reduce((sum, { read }) => sum + read.pages.length, 0);
  info.duration_ms = tookMs();
  if (decision.error) info.error = decision.error;
  return info;
}

/** The run's own row, when there was anything to run. */
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

/** It waits for our own pace and nothing came of it: no run worth a row, since a long history waits often. */
const isHeldBack = (outcome: Outcome): boolean => "failure" in outcome && outcome.failure.class === "limited";

/** Those that go on waiting for what this run could not read. */
function unserved({ webhooks, served, idle }: Ending): WaitingWebhook[] {
  const done = new Set([...served, ...idle].map(({ id }) => id));
  return webhooks.filter(({ id }) => !done.has(id));
}

/** update_info and processed_at on the webhooks. */
async function serve(tx: Queryable, ending: Ending, info: UpdateInfo): Promise<void> {
  const { decision, served, idle } = ending;
  // A webhook that waits for nothing that failed was served in full, even if the run failed elsewhere.
  const servedInfo = decision.status === "retrying" ? { ...info, outcome: "synced" } : info;
  await markServed(tx, idsOf(served), servedInfo);
  await markServed(tx, idsOf(idle), { outcome: "no_resource" });
  // What this run could not read of what they request is pending.
  await forgetRequested(tx, idsOf(unserved(ending).filter(({ requested }) => requested.length > 0)));
}

const idsOf = (webhooks: readonly WaitingWebhook[]): string[] => webhooks.map(({ id }) => id);

/** The subject's next state. A mark that came during the run leaves it due. */
async function settle(tx: Queryable, ending: Ending, { info, verifiedAt }: Written): Promise<void> {
  const { claim, webhooks, served, idle, decision } = ending;
  await follow(tx, ending);
  const { rows } = await tx.query<{ generation: number }>(LOCK, held(claim));
  const [now] = rows;
  if (!now) throw leaseLost({ kind: claim.kind, subjectId: claim.id });
  await serve(tx, ending, info);
  const marked = now.generation !== claim.generation;
  const truncated = webhooks.length === WEBHOOKS_MAX;
  const again = marked || (truncated && decision.retried.size === 0);
  await tx.query(finish(claim.kind), [
    ...held(claim),
    again,
    decision.dueInMs,
    decision.holdMs,
    decision.status,
    decision.attempts,
    decision.error === null ? null : JSON.stringify(decision.error),
    decision.pending,
    verifiedAt ?? null,
    marked || truncated || served.length + idle.length < webhooks.length,
    verifiedAt !== undefined,
  ]);
}
