/**
 * Writes the outcomes of a run to the mirror: rows and removals, the error of a subject that Plaid did not return, and how far each
 * resource was read. All of it is a part of the run's commit.
 */
import { v7 as newRunId } from "uuid";
import type { Queryable } from "../database/types.ts";
import { confirmToken } from "../integrations/tokens.ts";
import {
  applyError,
  applyReading,
  countCurrent,
  isShort,
  removeEverything,
  verify,
  type AppliedTables,
} from "../mirror/apply.ts";
import { both, UNTOUCHED } from "../mirror/changes.ts";
import { summaryOf } from "../mirror/summary.ts";
import type { Applied, Unfit } from "../mirror/types.ts";
import { explain, TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { resourcesOf, rootOf } from "../resources/index.ts";
import { DROP_CURSORS, KEEP_ABSENT, KEEP_CURSORS } from "./cursor-queries.ts";
import type { Ending, Written } from "./ending.ts";
import { requestable } from "./plan.ts";
import { learnAbsences } from "./products.ts";
import { WEBHOOKS_MAX } from "./queue.ts";
import type { Failure, Outcome, UpdateInfo } from "./types.ts";

type Read = Extract<Outcome, { read: unknown }>;

/** What was written of the readings, before the states of the resources are. */
export interface Applying extends Omit<Written, "verifiedAt"> {
  kept: readonly Kept[];
}

/** @param unfit collects the values that do not fit their columns; null while none is expected */
export async function applyReadings(tx: Queryable, ending: Ending, unfit: Unfit[] | null): Promise<Applying> {
  const { claim, outcomes, decision } = ending;
  const scope = { ...ending.scope, facts: { ...ending.scope.facts, next_step: decision.error?.next_step ?? null } };
  const reads = outcomes.filter((outcome): outcome is Read => "read" in outcome);
  const steps: Step[] = [];
  const short = reads.filter(({ read }) => isShort(read, unfit));
  steps.push(...(await Promise.all(short.map((read) => applyOne(tx, { ...ending, scope }, read, unfit)))));
  for (const read of reads)
    if (!short.includes(read)) steps.push(await applyOne(tx, { ...ending, scope }, read, unfit));
  const applied = new Map(steps.flatMap((step) => [...step.applied]));
  const summary: Record<string, unknown> = {};
  for (const read of reads) Object.assign(summary, steps.find((step) => step.read === read)?.summary);
  const noted = await noteFailure(tx, { ...ending, scope }, applied, unfit);
  if (decision.gone) await removeSubject(tx, ending, applied);
  const root = reads.find((read) => read.root !== null);
  if (root && ending.unconfirmed) await confirmToken(tx, claim.integrationId, claim.id, ending.unconfirmed);
  const kept = steps.map((step) => step.kept);
  return { runId: newRunId(), info: summarise(ending, reads, applied, summary), applied, noted, kept };
}

/** What has become of one reading. */
interface Step {
  read: Read;
  applied: AppliedTables;
  kept: Kept;
  summary: Record<string, unknown>;
}

/** Applies a reading, and reads what is shown of it behind its statements: of a short one all are sent at once. */
async function applyOne(tx: Queryable, { scope, statuses }: Ending, read: Read, unfit: Unfit[] | null): Promise<Step> {
  const { resource } = read.task;
  const applying = applyReading(tx, scope, read.read, unfit);
  if (!isShort(read.read, unfit)) await applying;
  const before = statuses.get(resource.name);
  // Where rows were wrong, so may be what was counted.
  const isCounted = before !== undefined && !read.read.compare;
  const counting = isCounted
    ? applying.then((steps) => before.rows + growthOf(steps))
    : countCurrent(tx, scope, resource);
  const [applied, rows, summary] = await Promise.all([applying, counting, summaryOf(tx, scope, resource, counting)]);
  const kept = {
    resource: resource.name,
    cursor: read.cursor,
    rows,
    complete: before?.complete || read.complete,
    readWith: read.readWith ?? "",
    partial: (read.partial ?? false) || lacksKeys(resource.name, unfit),
  };
  return { read, applied, kept, summary };
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
  const { class: group, errorType: error_type, errorCode: error_code, reason } = failure;
  const speaks = group === "user" || group === "item_ended" || OF_THE_TOKEN.has(error_code);
  const { message: error_message } = explain(error_type, error_code, reason);
  const error = { error_type, error_code, ...(reason !== undefined && { error_code_reason: reason }), error_message };
  const noted = await applyError(tx, scope, root, error, { add: !statuses.has(root.name), change: speaks, unfit });
  if (noted) applied.set(noted.table, noted.applied);
  return noted?.row ?? null;
}

const isForeign = ({ errorCode }: Failure): boolean => errorCode === TOKEN_OF_ANOTHER_ITEM;

/** A row without a key could not be stored, so the mirror is not equal. */
const lacksKeys = (name: string, unfit: readonly Unfit[] | null): boolean =>
  unfit?.some(({ resource, expected }) => resource === name && expected === "key") ?? false;

/** The stored state of a resource that was read to its end. */
export interface Kept {
  resource: string;
  cursor: string | null;
  rows: number;
  complete: boolean;
  readWith: string;
  partial: boolean;
}

/**
 * Since when all of the subject's resources are known to be equal once the run has committed, null while one was never read; undefined:
 * unchanged. Only runs write it, under the lease, so what this run found at its start is still so.
 */
export function verifiedAfter(ending: Ending, kept: readonly Kept[]): Date | null | undefined {
  const { claim, decision, enabled, outcomes, statuses } = ending;
  const absences = learnAbsences(claim.kind, outcomes, statuses);
  if (decision.gone || (kept.length === 0 && absences.size === 0)) return undefined;
  // What is read only when somebody asks for it says nothing about the rest.
  const counted = requestable(claim.kind, enabled).filter(({ billed }) => billed !== "each");
  const ages = counted.flatMap(({ name }) => {
    const before = statuses.get(name);
    const now = kept.find(({ resource }) => resource === name);
    const absent = absences.has(name) ? absences.get(name) : now ? null : before?.absent;
    return absent ? [] : [(now && verifiedNow(ending, now)) ?? before?.verifiedAt ?? null];
  });
  const known = ages.filter((at) => at !== null);
  if (known.length < ages.length) return null;
  return known.reduce<Date | null>((oldest, at) => (oldest === null || at < oldest ? at : oldest), null);
}

/** Webhooks that this run did not serve may request more than was read, such as a full reading. */
const verifiedNow = ({ claim, webhooks }: Ending, { partial }: Kept): Date | null =>
  partial || webhooks.length === WEBHOOKS_MAX ? null : claim.claimedAt;

/** Stores the states of the resources, in statements that are sent at once. */
export async function keepStatuses(
  tx: Queryable,
  ending: Ending,
  { kept, verifiedAt }: { kept: readonly Kept[]; verifiedAt: Date | null | undefined },
): Promise<void> {
  const { claim, scope, outcomes, decision, statuses } = ending;
  const absences = learnAbsences(claim.kind, outcomes, statuses);
  if (decision.gone || verifiedAt === undefined) return;
  const subject = [claim.integrationId, claim.kind, claim.id];
  const columns = [
    kept.map(({ resource }) => resource),
    kept.map(({ cursor }) => cursor),
    kept.map(({ rows }) => rows),
    kept.map(({ complete }) => complete),
    kept.map(({ readWith }) => readWith),
    kept.map((each) => verifiedNow(ending, each)),
  ];
  const root = rootOf(resourcesOf(claim.kind));
  await Promise.all([
    ...(kept.length > 0 ? [tx.query(KEEP_CURSORS, [...subject, ...columns])] : []),
    ...(absences.size > 0 ? [tx.query(KEEP_ABSENT, [...subject, [...absences.keys()], [...absences.values()]])] : []),
    ...(root ? [verify(tx, scope, root, verifiedAt)] : []),
  ]);
}

async function removeSubject(tx: Queryable, { claim, scope }: Ending, applied: Map<string, Applied>): Promise<void> {
  for (const resource of resourcesOf(claim.kind)) {
    for (const [table, gone] of await removeEverything(tx, scope, resource))
      applied.set(table, both(applied.get(table) ?? UNTOUCHED, gone));
  }
  await tx.query(DROP_CURSORS, [claim.integrationId, claim.kind, claim.id]);
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
