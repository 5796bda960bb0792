/**
 * A full check of an item: the ordinary run, which reads all of the item's resources from the start, or those named, and compares each row
 * with the mirror before it applies it. There must be no difference; what differs is healed by the run and recorded as a gap.
 *
 *   requested ──▶ running ──▶ finished: equal, differs, or unproven where a resource could not be read
 *                   │  ▲
 *                   └──┘ a page loop or a resource has to wait: later runs read the rest
 *
 * What changed at Plaid since the mirror's last reading is news and no difference. Of a resource with a cursor the increment since that
 * reading has these rows (since.ts). Of the others Plaid says at most when it last fetched from the bank: where that is later
 * than the reading, or Plaid does not say it, or a webhook waits, each row may be new; but not a row whose columns are not what its own
 * `raw` says. The item's own row changes with a webhook only.
 */
import type { Queryable } from "../database/types.ts";
import type { Applied, Compare, DifferingColumn, DifferingRow } from "../mirror/types.ts";
import { NAMED_MAX, together } from "../mirror/differences.ts";
import { resourcesOf, rootOf } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import { COMPARED_OTHERWISE, staleResources, updatesIn, type LastReading } from "./compare.ts";
import type { Ending, Written } from "./ending.ts";
import { HOLD_FULL_CHECK, KEEP_FULL_CHECK } from "./full-check-queries.ts";
import { touchedBy } from "./plan.ts";
import type { Claim, Outcome, Task } from "./types.ts";

/** Among the requests of a run, it says that the run is a full check; it names no resource. */
export const FULL_CHECK = "full_check";

export const isFullCheck = ({ kind, requested }: Pick<Claim, "kind" | "requested">): boolean =>
  kind === "item" && requested.includes(FULL_CHECK);

/** The tasks of a run; those of a full check compare. */
export const comparing = (claim: Claim, tasks: readonly Task[]): readonly Task[] =>
  isFullCheck(claim) ? tasks.map((task) => ({ ...task, compare: true })) : tasks;

/** `read`: there was nothing to compare with, such as before the first reading */
export type CheckedAs = "equal" | "differs" | "changed" | "read" | "absent" | "failed";

export interface CheckedResource {
  outcome: CheckedAs;
  /** Plaid's rows that were compared */
  rows: number;
  /** rows that differed although Plaid had not changed them */
  wrong: number;
  /** rows that differed and that Plaid may have changed since they were read */
  may_be_new: number;
  error_code: string | null;
}

/** A row that differed. */
export interface DifferenceFound extends Omit<DifferingRow, "mayBeNew" | "columns"> {
  resource: string;
  may_be_new: boolean;
  columns: DifferingColumn[];
}

/** sync.full_checks.result */
export interface FullCheckResult {
  resources: Record<string, CheckedResource>;
  /** the first of them, wrong rows before those that may be new */
  differences: DifferenceFound[];
}

type Given = Pick<Ending, "claim" | "statuses" | "webhooks">;

/** The outcomes with how each whole reading is to be compared. */
export function withComparison(given: Given, outcomes: readonly Outcome[]): readonly Outcome[] {
  if (!isFullCheck(given.claim)) return outcomes;
  const unmoved = unmovedResources(given, outcomes);
  return outcomes.map((outcome) => {
    if (!("read" in outcome) || !outcome.read.whole) return outcome;
    const compare = comparisonOf(given, outcome, unmoved);
    return compare ? { ...outcome, read: { ...outcome.read, compare } } : outcome;
  });
}

/** Null where there is nothing to compare with: the first reading, or one with other options. */
function comparisonOf(
  { statuses }: Given,
  { task: { resource }, since, readWith = "" }: Extract<Outcome, { read: unknown }>,
  unmoved: ReadonlySet<string>,
): Compare | null {
  const before = statuses.get(resource.name);
  if (!before?.verifiedAt || before.readWith !== readWith) return null;
  const ignored = resource === rootOf(resourcesOf(resource.subject.kind)) ? COMPARED_OTHERWISE : new Set<string>();
  if (since) return { since, mayBeNew: false, ignored };
  // A resource with a cursor that has no increment was read to its start again for a reason of its own.
  return { since: new Map(), mayBeNew: resource.fetch.kind === "cursor" || !unmoved.has(resource.name), ignored };
}

/** Names of the resources whose rows Plaid has certainly not changed since they were read. */
function unmovedResources({ claim, statuses, webhooks }: Given, outcomes: readonly Outcome[]): ReadonlySet<string> {
  const resources = resourcesOf(claim.kind);
  const own = rootOf(resources);
  const root = outcomes.find(({ task }) => task.resource === own);
  const status = root && "read" in root ? (root.root?.["status"] as Record<string, unknown> | null) : null;
  const readings = new Map<string, LastReading>(
    [...statuses].map(([name, { verifiedAt, readWith }]) => [name, { verifiedAt, readWith }]),
  );
  const updates = updatesIn(status ?? null);
  const stale = staleResources(resources, { row: null, readings, seen: {} }, updates);
  const touched = new Set(webhooks.flatMap(({ type, code }) => touchedBy(resources, type, code)));
  const isAnnounced = ({ updatedWith = [] }: Resource): boolean =>
    updatedWith !== "unknown" && updatedWith.some((product) => updates[product]);
  const unmoved = resources.filter((each) => each === own || (isAnnounced(each) && !stale.includes(each.name)));
  return new Set(unmoved.filter((each) => !touched.has(each)).map(({ name }) => name));
}

/** What the run found, by resource. */
function findingsOf({ outcomes }: Ending, applied: Written["applied"]): FullCheckResult {
  const resources: FullCheckResult["resources"] = {};
  const differences: FullCheckResult["differences"] = [];
  for (const outcome of outcomes) {
    const { resource } = outcome.task;
    const found = comparedIn(resource, applied);
    resources[resource.name] = { ...checkedAs(outcome, found), ...countsOf(found) };
    for (const { mayBeNew, columns, ...row } of found?.named ?? [])
      differences.push({ resource: resource.name, may_be_new: mayBeNew, ...row, columns: [...columns] });
  }
  return { resources, differences };
}

type Found = NonNullable<Applied["compared"]>;

const comparedIn = ({ tables }: Resource, applied: Written["applied"]): Found | null =>
  tables
    .flatMap(({ name }) => applied.get(name)?.compared ?? [])
    .reduce<Found | null>((sum, each) => (sum ? together(sum, each) : each), null);

const countsOf = (found: Found | null) => ({
  rows: found?.rows ?? 0,
  wrong: found?.wrong ?? 0,
  may_be_new: found?.mayBeNew ?? 0,
});

function checkedAs(outcome: Outcome, found: Found | null): Pick<CheckedResource, "outcome" | "error_code"> {
  if ("skipped" in outcome) return { outcome: "absent", error_code: null };
  if ("failure" in outcome) {
    const { class: group, errorCode: error_code } = outcome.failure;
    return { outcome: group === "product_unavailable" ? "absent" : "failed", error_code };
  }
  if (found === null) return { outcome: "read", error_code: null };
  return { outcome: found.wrong > 0 ? "differs" : found.mayBeNew > 0 ? "changed" : "equal", error_code: null };
}

/** The rows that a full check found wrong, without their values; none of a run that is no full check. */
export function wrongRows({ claim }: Ending, { applied }: Written) {
  if (!isFullCheck(claim)) return { resources: [], rows: [] };
  const wrong = resourcesOf(claim.kind).flatMap((resource) => {
    const found = comparedIn(resource, applied);
    return found && found.wrong > 0 ? [{ name: resource.name, named: found.named }] : [];
  });
  const rows = wrong
    .flatMap(({ named }) => named)
    .filter(({ mayBeNew }) => !mayBeNew)
    .map(({ table, key, difference, columns }) => ({ table, key, difference, columns: columns.map((c) => c.column) }));
  return { resources: wrong.map(({ name }) => name), rows: rows.slice(0, NAMED_MAX) };
}

/** Adds what the run found to the check, in the run's transaction, which has locked the subject. */
export async function settleFullCheck(tx: Queryable, ending: Ending, { applied }: Written): Promise<void> {
  const { claim, decision } = ending;
  if (!isFullCheck(claim)) return;
  const key = [claim.integrationId, claim.id];
  const { rows } = await tx.query<{ result: FullCheckResult }>(HOLD_FULL_CHECK, [...key, claim.generation]);
  const [before] = rows;
  if (!before) return;
  const { resources, differences } = findingsOf(ending, applied);
  const named = [...before.result.differences, ...differences].toSorted(
    (one, other) => Number(one.may_be_new) - Number(other.may_be_new),
  );
  const result = {
    resources: joined(before.result.resources, resources),
    differences: named.slice(0, NAMED_MAX),
  };
  await tx.query(KEEP_FULL_CHECK, [...key, JSON.stringify(result), !decision.pending.includes(FULL_CHECK)]);
}

/** A resource that was compared is not compared again where a later run of the check reads it once more: then it is as the first run left it. */
function joined(before: FullCheckResult["resources"], now: FullCheckResult["resources"]): FullCheckResult["resources"] {
  const kept = Object.entries(before).filter(([name, { outcome }]) => outcome !== "failed" || !(name in now));
  const rest = Object.entries(now).map(([name, found]) => {
    const was = before[name];
    if (!was || was.outcome === "failed") return [name, found] as const;
    return [name, found.wrong > was.wrong ? found : was] as const;
  });
  return Object.fromEntries([...kept, ...rest]);
}
