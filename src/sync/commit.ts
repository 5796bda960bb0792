/**
 * Commits a run: rows, cursors, removals, references to other subjects, update_info of the served webhooks, the run's own
 * row, the events, and the subject's next state, in one transaction, which first makes sure that the lease still holds. So a
 * worker that was paused past its lease writes nothing.
 *
 * The transaction locks the subject's row in two steps: first only against claims, so that marks are possible
 * while it writes thousands of rows; at the end also against marks, to see whether one came meanwhile. It updates webhooks
 * after that lock: transactions that lock a subject and its webhooks lock the subject first.
 */
import { v7 as newRunId } from "uuid";
import type { Database, Queryable } from "../database/types.ts";
import { recordQuietly } from "../events/events.ts";
import { forgetRequested, markServed, type WaitingWebhook } from "../journal/served.ts";
import {
  applyError,
  applyReading,
  countCurrent,
  removeEverything,
  summaryOf,
  verify,
  type AppliedTables,
} from "../mirror/apply.ts";
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

/** The state of a resource before the run. */
export interface ResourceStatus {
  cursor: string | null;
  rows: number;
  /** its first reading has ended, including the history that Plaid brought later */
  complete: boolean;
  /** the options with which its rows were read */
  readWith: string;
  /** null where the subject has the resource, as far as that is known */
  absent: Absence | null;
}

export interface Ending {
  claim: Claim;
  scope: Scope;
  /** null where the integration is not known */
  environment: string | null;
  /** the sealed token, if Plaid had not answered it with this subject before */
  unconfirmed: Buffer | null;
  outcomes: readonly Outcome[];
  decision: Decision;
  statuses: ReadonlyMap<string, ResourceStatus>;
  /** those that waited when the run began */
  loops: Loops;
  webhooks: readonly WaitingWebhook[];
  /** those of `webhooks` that this run serves */
  served: readonly WaitingWebhook[];
  /** those that touch nothing mirrored */
  idle: readonly WaitingWebhook[];
  /** milliseconds since the run began */
  tookMs: () => number;
}

type Read = Extract<Outcome, { read: unknown }>;

/** The result of a run, for logs and metrics. */
export interface Committed {
  info: UpdateInfo;
  /** resources in which reconciliation found changes that no webhook had announced */
  healed: readonly string[];
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

async function write(tx: Queryable, ending: Ending, unfit: Unfit[] | null): Promise<Written> {
  const { claim, outcomes, decision, statuses } = ending;
  const scope = { ...ending.scope, facts: { ...ending.scope.facts, next_step: decision.error?.next_step ?? null } };
  const applied = new Map<string, Applied>();
  const summary: Record<string, unknown> = {};
  const reads = outcomes.filter((outcome): outcome is Read => "read" in outcome);
  const kept: Kept[] = [];
  for (const read of reads) {
    const { resource } = read.task;
    const steps = await applyReading(tx, scope, read.read, unfit);
    for (const [table, step] of steps) applied.set(table, step);
    const before = statuses.get(resource.name);
    const rows = before ? before.rows + growthOf(steps) : await countCurrent(tx, scope, resource);
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

const growthOf = (steps: AppliedTables): number =>
  [...steps.values()].reduce((sum, { changes }) => sum + changes.added - changes.removed, 0);

/** Errors of configuration that concern only this item's token, not the integration. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(["INVALID_ACCESS_TOKEN", TOKEN_OF_ANOTHER_ITEM]);

/**
 * Writes the error to the subject's own row when Plaid did not return that row: if the error is about the subject, or if
 * there is nothing else to show because the subject was never read.
 * @returns the row as it is now, null when it is unchanged
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
  if (noted) applied.set(noted.table, noted.applied);
  return noted?.row ?? null;
}

const isForeign = ({ errorCode }: Failure): boolean => errorCode === TOKEN_OF_ANOTHER_ITEM;

/** A row without a key could not be stored, so the mirror is not equal. */
const lacksKeys = (name: string, unfit: readonly Unfit[] | null): boolean =>
  unfit?.some(({ resource, expected }) => resource === name && expected === "key") ?? false;

/** The stored state of a resource that was read to its end. */
interface Kept {
  resource: string;
  cursor: string | null;
  rows: number;
  complete: boolean;
  readWith: string;
  partial: boolean;
}

/**
 * Stores the states of the resources.
 * @returns since when all of the subject's resources are known to be equal, null while one was never read; undefined: unchanged
 */
async function keepStatuses(tx: Queryable, ending: Ending, kept: readonly Kept[]): Promise<Date | null | undefined> {
  const { claim, scope, outcomes, statuses, webhooks } = ending;
  const subject = [claim.integrationId, claim.kind, claim.id];
  const absences = learnAbsences(claim.kind, outcomes, statuses);
  if (kept.length === 0 && absences.size === 0) return undefined;
  if (kept.length > 0) {
    // Webhooks that this run did not serve may request more than was read, such as a full reading.
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
    for (const [table, gone] of await removeEverything(tx, scope, resource))
      applied.set(table, both(applied.get(table) ?? UNTOUCHED, gone));
  }
  await tx.query(DROP_CURSORS, [claim.integrationId, claim.kind, claim.id]);
}

/**
 * Makes subjects due that the rows reference, such as an item's institution. It comes late, since marks of these wait from here to
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
  const counts = Object.fromEntries([...applied].map(([table, { changes }]) => [table, changes]));
  const looped = reads.find(({ cursor }) => cursor !== null);
  const info: UpdateInfo = { outcome: decision.outcome, ...summary, counts };
  if (looped) info.cursor = { from: statuses.get(looped.task.resource.name)?.cursor ?? null, to: looped.cursor };
  info.pages = reads.reduce((sum, { read }) => sum + read.pages.length, 0);
  info.duration_ms = tookMs();
  if (decision.error) info.error = decision.error;
  return info;
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

/** The webhooks that still wait for what this run could not read. */
function unserved({ webhooks, served, idle }: Ending): WaitingWebhook[] {
  const done = new Set([...served, ...idle].map(({ id }) => id));
  return webhooks.filter(({ id }) => !done.has(id));
}

/** Writes update_info and processed_at to the webhooks. */
async function serve(tx: Queryable, ending: Ending, info: UpdateInfo): Promise<void> {
  const { decision, served, idle } = ending;
  // A webhook that does not wait for a failed resource was served in full, even if the run failed otherwise.
  const servedInfo = decision.status === "retrying" ? { ...info, outcome: "synced" } : info;
  await markServed(tx, idsOf(served), servedInfo);
  await markServed(tx, idsOf(idle), { outcome: "no_resource" });
  // Requested resources that this run could not read stay requested.
  await forgetRequested(tx, idsOf(unserved(ending).filter(({ requested }) => requested.length > 0)));
}

const idsOf = (webhooks: readonly WaitingWebhook[]): string[] => webhooks.map(({ id }) => id);

/** Writes the subject's next state. A mark that came during the run leaves it due. */
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
