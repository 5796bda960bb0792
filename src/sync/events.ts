/**
 * The events of a run, in this order: those derived from the subject's own row, the changed rows, the accounts that were known by
 * another id, and the outcome. Pure; commit.ts records them in the run's own transaction.
 */
import type { NewEvent, PartedEvent } from "../events/events.ts";
import { selectChanges } from "../mirror/changes.ts";
import type { Counterparts } from "../mirror/counterparts.ts";
import { tablesOf } from "../mirror/rows.ts";
import { changeType, resourcesOf, rootOf, rootTable, subjectKind } from "../resources/index.ts";
import type { DerivedEvent } from "../resources/types.ts";
import { duplicatesByItem, ONE_OF_TWO, replacementsOf } from "./duplicates.ts";
import type { Ending, Written } from "./ending.ts";
import { inPlainWords } from "./event-words.ts";
import { namedBy } from "./life.ts";
import type { NextNotices } from "./next-notices.ts";
import { isWithdrawn } from "./note-revoked.ts";
import type { Claim, LastError, Status } from "./types.ts";

type RunEvent = NewEvent | PartedEvent;
type Head = Omit<NewEvent, "type" | "data">;

const COMPLETED: ReadonlySet<Status> = new Set(["ok", "ended", "unlinked"]);
/** Data that Plaid does not have yet is no failure; nor is waiting for our own rate limit, which leaves no error. */
const FAILED: ReadonlySet<Status> = new Set(["retrying", "needs_user", "misconfigured"]);

/**
 * The events of a run; none of a subject whose kind has no events.
 * @param counterparts of the accounts that it has added
 */
export function eventsOf(
  ending: Ending,
  written: Written,
  notices: NextNotices,
  counterparts: Counterparts | null = null,
): RunEvent[] {
  const { claim, scope, environment } = ending;
  if (!subjectKind(claim.kind)?.hasEvents) return [];
  const head = { ...headOf(claim), userId: scope.facts.user_id, environment };
  const happened = derivedEvents(ending, written).map((event) => ({ ...head, ...inPlainWords(event) }));
  const ofNotices = noticeEvents(ending, notices).map((event) => ({ ...head, ...inPlainWords(event) }));
  const known = counterparts === null ? [] : knownBefore(counterparts, head);
  // What is about to be erased is sent nowhere.
  const rows = ending.erasesRevoked && isWithdrawn(ending) ? [] : changed(ending, written, head);
  return [...happened, ...ofNotices, ...rows, ...known, ...outcome(ending, written, head)];
}

const headOf = ({ integrationId, kind, id }: Claim): Head => ({
  integrationId,
  itemId: kind === "item" ? id : null,
  subject: kind === "item" ? undefined : { kind, id },
  userId: null,
  environment: null,
});

function derivedEvents(
  { claim, outcomes, decision, statuses, early, served, announcements }: Ending,
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
    webhooks: [...early, ...served].map((webhook) => ({ ...webhook, body: announcements.get(webhook.id) })),
    gone: decision.gone ? { errorCode: decision.error?.error_code ?? null } : null,
  });
}

/** A notice that no webhook announced, and those that went. */
function noticeEvents({ claim, outcomes }: Ending, { noticed, cleared }: NextNotices): DerivedEvent[] {
  const root = rootOf(resourcesOf(claim.kind));
  const read = outcomes.find((each) => each.task.resource === root);
  const item = read && "read" in read ? read.root : null;
  return [
    ...noticed.map(({ until }) => ({
      type: "item.consent_expiring",
      data: {
        reason: "PENDING_EXPIRATION",
        consent_expiration_time: until?.toISOString() ?? null,
        disconnect_time: null,
        item,
      },
    })),
    ...cleared.map(({ notice, by }) => ({
      type: "item.notice_cleared",
      data: { kind: notice.kind, by, ...namedBy(notice), since: notice.since, until: notice.until, item },
    })),
  ];
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

function knownBefore({ duplicates, replaced }: Counterparts, head: Head): NewEvent[] {
  const twice = { duplicates: duplicatesByItem(duplicates), next_step: ONE_OF_TWO };
  const ids = { accounts: replacementsOf(replaced) };
  return [
    ...(duplicates.length > 0 ? [{ ...head, type: "item.duplicate_found", data: twice }] : []),
    ...(replaced.length > 0 ? [{ ...head, type: "accounts.replaced", data: ids }] : []),
  ];
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
