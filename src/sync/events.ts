/**
 * What a run tells, in this order: what happened to the subject itself, the rows that changed, and what the run came to. Pure;
 * commit.ts records it in the run's own transaction.
 */
import type { NewEvent, PartedEvent } from "../events/events.ts";
import { selectChanges } from "../mirror/changes.ts";
import type { Applied } from "../mirror/types.ts";
import { resourcesOf, rootOf, subjectKind } from "../resources/index.ts";
import type { Happening } from "../resources/types.ts";
import type { Ending } from "./commit.ts";
import type { Claim, LastError, Status, UpdateInfo } from "./types.ts";

/** A run as it was written. */
export interface Written {
  runId: string;
  info: UpdateInfo;
  /** by resource */
  applied: ReadonlyMap<string, Applied>;
  /** the row that stands for the subject, where Plaid did not give it and the error on it is new */
  noted: Record<string, unknown> | null;
  /** since when all of the subject's resources are known to be equal; undefined: as before */
  verifiedAt: Date | null | undefined;
}

type Told = NewEvent | PartedEvent;
type Head = Omit<NewEvent, "type" | "data">;

const COMPLETED: ReadonlySet<Status> = new Set(["ok", "ended", "unlinked"]);
/** Plaid not being ready is no failure; nor is our own pacing, which leaves no error behind. */
const FAILED: ReadonlySet<Status> = new Set(["retrying", "needs_user", "misconfigured"]);

/** The events of a run; none of a subject whose kind is not told of. */
export function eventsOf(ending: Ending, written: Written): Told[] {
  const { claim, scope, environment } = ending;
  if (!subjectKind(claim.kind)?.isTold) return [];
  const head = { ...headOf(claim), userId: scope.facts.user_id, environment };
  const happened = happenings(ending, written).map(({ type, data }) => ({ ...head, type, data }));
  return [...happened, ...changed(ending, written, head), ...outcome(ending, written, head)];
}

const headOf = ({ integrationId, kind, id }: Claim): Head => ({
  integrationId,
  itemId: kind === "item" ? id : null,
  userId: null,
  environment: null,
});

function happenings({ claim, outcomes, verdict, standings, served }: Ending, { applied, noted }: Written): Happening[] {
  const root = rootOf(resourcesOf(claim.kind));
  // Nothing is known of what nobody linked. And what ended was told then; it does not end again with every late webhook.
  if (!root?.happenings || verdict.status === "unlinked" || (verdict.gone && claim.status === "ended")) return [];
  const read = outcomes.find((each) => each.task.resource === root);
  return root.happenings({
    before: applied.get(root.name)?.before ?? null,
    after: read && "read" in read ? read.root : noted,
    first: !standings.has(root.name),
    webhooks: served,
    gone: verdict.gone ? { errorCode: verdict.error?.error_code ?? null } : null,
  });
}

function changed({ claim, scope, verdict, standings }: Ending, { runId, applied }: Written, head: Head): PartedEvent[] {
  return resourcesOf(claim.kind).flatMap((resource) => {
    const changes = applied.get(resource.name);
    const made = resource.event && changes ? selectChanges(scope, resource, changes, runId) : null;
    if (!resource.event || !made) return [];
    // That it ended is news, however little of it was read.
    const history = !verdict.gone && !standings.get(resource.name)?.complete;
    return [{ ...head, ...made, type: resource.event, history }];
  });
}

function outcome({ outcomes, verdict, served }: Ending, { runId, info }: Written, head: Head): NewEvent[] {
  if (outcomes.length === 0 && verdict.status !== "unlinked") return [];
  if (COMPLETED.has(verdict.status)) {
    const data = { run_id: runId, outcome: verdict.outcome, webhooks: served.length, update_info: info };
    return [{ ...head, type: "sync.completed", data }];
  }
  if (!FAILED.has(verdict.status) || verdict.error === null) return [];
  const { status, attempts, dueInMs, error } = verdict;
  return [{ ...head, ...failed({ runId, status, attempts, dueInMs, error }) }];
}

interface Failed {
  runId: string;
  status: Status;
  attempts: number;
  dueInMs: number | null;
  error: LastError;
}

/** The event of a run that was given up for a reason that no verdict covers. */
export const gaveUp = (claim: Claim, failure: Failed): NewEvent[] =>
  subjectKind(claim.kind)?.isTold ? [{ ...headOf(claim), ...failed(failure) }] : [];

function failed({ runId, status, attempts, dueInMs, error }: Failed): Pick<NewEvent, "type" | "data"> {
  const retry_at = dueInMs === null ? null : new Date(Date.now() + dueInMs).toISOString();
  return { type: "sync.failed", data: { run_id: runId, status, attempts, retry_at, error } };
}
