/**
 * The events of a run, in this order: those derived from the subject's own row, the changed rows, and the outcome. Pure;
 * commit.ts records them in the run's own transaction.
 */
import type { NewEvent, PartedEvent } from "../events/events.ts";
import { selectChanges } from "../mirror/changes.ts";
import { tablesOf } from "../mirror/rows.ts";
import { changeType, resourcesOf, rootOf, rootTable, subjectKind } from "../resources/index.ts";
import type { DerivedEvent } from "../resources/types.ts";
import type { Ending, Written } from "./ending.ts";
import type { Claim, LastError, Status } from "./types.ts";

type RunEvent = NewEvent | PartedEvent;
type Head = Omit<NewEvent, "type" | "data">;

const COMPLETED: ReadonlySet<Status> = new Set(["ok", "ended", "unlinked"]);
/** Data that Plaid does not have yet is no failure; nor is waiting for our own rate limit, which leaves no error. */
const FAILED: ReadonlySet<Status> = new Set(["retrying", "needs_user", "misconfigured"]);

/** The events of a run; none of a subject whose kind has no events. */
export function eventsOf(ending: Ending, written: Written): RunEvent[] {
  const { claim, scope, environment } = ending;
  if (!subjectKind(claim.kind)?.hasEvents) return [];
  const head = { ...headOf(claim), userId: scope.facts.user_id, environment };
  const happened = derivedEvents(ending, written).map(({ type, data }) => ({ ...head, type, data }));
  return [...happened, ...changed(ending, written, head), ...outcome(ending, written, head)];
}

const headOf = ({ integrationId, kind, id }: Claim): Head => ({
  integrationId,
  itemId: kind === "item" ? id : null,
  subject: kind === "item" ? undefined : { kind, id },
  userId: null,
  environment: null,
});

function derivedEvents(
  { claim, outcomes, decision, statuses, served, announcements }: Ending,
  { applied, noted }: Written,
): DerivedEvent[] {
  const root = rootOf(resourcesOf(claim.kind));
  // An item that nobody linked has no events. A subject that ended has had its event, and late webhooks do not repeat it.
  if (!root?.derivedEvents || decision.status === "unlinked" || (decision.gone && claim.status === "ended")) return [];
  const read = outcomes.find((each) => each.task.resource === root);
  return root.derivedEvents({
    before: applied.get(rootTable(root)?.name ?? "")?.before ?? null,
    after: read && "read" in read ? read.root : noted,
    first: !statuses.has(root.name),
    webhooks: served.map((webhook) => ({ ...webhook, body: announcements.get(webhook.id) })),
    gone: decision.gone ? { errorCode: decision.error?.error_code ?? null } : null,
  });
}

function changed({ claim, scope, decision, statuses }: Ending, { runId, applied }: Written, head: Head): PartedEvent[] {
  // That a subject ended is news, however little of it was read before.
  const mayBeHistory = subjectKind(claim.kind)?.hasPast === true && !decision.gone;
  return resourcesOf(claim.kind)
    .flatMap(tablesOf)
    .flatMap((of) => {
      const changes = applied.get(of.table.name);
      const made = of.table.event && changes ? selectChanges(scope, of, changes, runId) : null;
      if (!made) return [];
      const history = mayBeHistory && !statuses.get(of.resource.name)?.complete;
      return [{ ...head, ...made, type: changeType(of.table), history }];
    });
}

function outcome({ outcomes, decision, served }: Ending, { runId, info }: Written, head: Head): NewEvent[] {
  if (outcomes.length === 0 && decision.status !== "unlinked") return [];
  if (COMPLETED.has(decision.status)) {
    const data = { run_id: runId, outcome: decision.outcome, webhooks: served.length, update_info: info };
    return [{ ...head, type: "sync.completed", data }];
  }
  if (!FAILED.has(decision.status) || decision.error === null) return [];
  const { status, attempts, dueInMs, error } = decision;
  return [{ ...head, ...failed({ runId, status, attempts, dueInMs, error }) }];
}

interface Failed {
  runId: string;
  status: Status;
  attempts: number;
  dueInMs: number | null;
  error: LastError;
}

/** The event of a run that failed unexpectedly. */
export const gaveUp = (claim: Claim, failure: Failed): NewEvent[] =>
  subjectKind(claim.kind)?.hasEvents ? [{ ...headOf(claim), ...failed(failure) }] : [];

function failed({ runId, status, attempts, dueInMs, error }: Failed): Pick<NewEvent, "type" | "data"> {
  const retry_at = dueInMs === null ? null : new Date(Date.now() + dueInMs).toISOString();
  return { type: "sync.failed", data: { run_id: runId, status, attempts, retry_at, error } };
}
