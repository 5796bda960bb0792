/**
 * Decides the next state of a subject from the outcomes of its resources. Pure except for random waits.
 *
 * Of several failures the gravest decides the state:
 *
 *   ended          Plaid no longer has it; its rows are removed
 *   misconfigured  our keys, token or request are wrong: long waits and an alert; the item is not the cause
 *   retrying       passing failures and our own rate limit; webhooks do not hasten the retry
 *   needs_user     its user must act, or Plaid cannot serve it for now: tried at every webhook, and once a day
 *   waiting        Plaid does not have the data yet: tried at every webhook, and at growing intervals
 *   ok
 */
import { EVERYTHING, EVERYTHING_AGAIN } from "../model/webhook.ts";
import { classify, type RetryClass } from "../plaid/errors.ts";
import { explain, TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { requestFor } from "./plan.ts";
import { DELAYS, growing, type Delays } from "./retry.ts";
import type { Claim, Failure, LastError, Outcome, Status, Decision } from "./types.ts";

type Failed = Extract<Outcome, { failure: Failure }>;
type Group = "ended" | "misconfigured" | "retrying" | "needs_user" | "waiting";

const GROUPS: Record<RetryClass | "limited", Group | null> = {
  item_ended: "ended",
  configuration: "misconfigured",
  backoff: "retrying",
  restart: "retrying",
  cursor_invalid: "retrying",
  limited: "retrying",
  user: "needs_user",
  trigger: "waiting",
  product_unavailable: null,
};

const OUTCOMES: Record<Group, string> = {
  ended: "ended",
  misconfigured: "misconfigured",
  retrying: "retrying",
  needs_user: "needs_user",
  waiting: "not_ready",
};

/**
 * Decides a run.
 * @param confirmed whether Plaid had answered the token with this subject before
 */
export function decide(
  claim: Pick<Claim, "attempts">,
  outcomes: readonly Outcome[],
  now: Date,
  delays: Delays = DELAYS,
  confirmed = true,
): Decision {
  const failures = outcomes.filter((outcome): outcome is Failed => "failure" in outcome);
  const said = conditions(outcomes);
  const failed = [...failures, ...said];
  const groups = new Map(failed.map((each) => [each, said.includes(each) ? groupOfSaid(each) : groupOf(each)]));
  const of = (group: Group): Failed[] => failed.filter((failure) => groups.get(failure) === group);
  const group = (Object.keys(OUTCOMES) as Group[]).find((candidate) => of(candidate).length > 0);
  if (group === undefined) return settled("ok", outcomeOf(outcomes));
  const first = of(group).find(({ failure }) => failure.class !== "limited");
  const error = first ? describe(first, now) : null;
  // If Plaid never answered the token with this item, it may be another item's: then that item is gone, not this one.
  const gone = confirmed || outcomes.some((outcome) => "read" in outcome && outcome.root !== null);
  if (group === "ended") return { ...settled("ended", "ended"), error, gone };
  return {
    ...settled(group, OUTCOMES[group]),
    ...waits(group, of(group), claim.attempts, delays),
    error,
    pending: pendingOf(
      failed.filter((failure) => groups.get(failure) !== null),
      of("needs_user").length > 0,
    ),
    retried: new Set(of("retrying").map(({ task }) => task.resource.name)),
  };
}

const settled = (status: Status, outcome: string): Decision => ({
  outcome,
  status,
  attempts: 0,
  dueInMs: null,
  holdMs: null,
  pending: [],
  retried: new Set(),
  error: null,
  gone: false,
});

const outcomeOf = (outcomes: readonly Outcome[]): string =>
  outcomes.length > 0 && outcomes.every((outcome) => !("read" in outcome)) ? "product_unavailable" : "synced";

/** Treats what successful answers report as failures: errors of the subject itself, or that history is still to come. */
function conditions(outcomes: readonly Outcome[]): Failed[] {
  return outcomes.flatMap((outcome) => {
    if (!("read" in outcome)) return [];
    const { task, root } = outcome;
    if (outcome.partial) return [{ task: { ...task, full: true }, failure: STILL_TO_COME }];
    const { conditionAt } = task.resource;
    const failure = readCondition(root === null || conditionAt === undefined ? null : root[conditionAt]);
    return failure === null ? [] : [{ task, failure }];
  });
}

const STILL_TO_COME: Failure = {
  class: "trigger",
  errorType: "ITEM_ERROR",
  errorCode: "PRODUCT_NOT_READY",
  message: "Plaid is still loading history; Tartan reads everything again when it is complete.",
};

const groupOfSaid = ({ failure }: Failed): Group => (failure.class === "trigger" ? "waiting" : "needs_user");

function readCondition(condition: unknown): Failure | null {
  if (typeof condition !== "object" || condition === null) return null;
  const { error_type: type, error_code: code } = condition as Record<string, unknown>;
  if (typeof type !== "string" || typeof code !== "string") return null;
  const found = classify(type, code);
  // A bank's outage in the row of an item is an event, not a failure of the run: the affected endpoints fail themselves.
  if (found !== "user" && found !== "item_ended") return null;
  return { class: found, errorType: type, errorCode: code, message: `Plaid: ${type}/${code}` };
}

/**
 * With these codes, in answer to a request, Plaid says that the item or user does not exist (any more), so its rows are removed. Nothing
 * else removes rows: an error in the item's row of a successful answer is only reported, and the other codes of
 * the class mean that Plaid cannot serve the item for now.
 */
const GONE: ReadonlySet<string> = new Set([
  "ITEM_NOT_FOUND",
  "USER_PERMISSION_REVOKED",
  "ITEM_CONCURRENTLY_DELETED",
  "USER_NOT_FOUND",
]);

export const isGone = ({ errorCode }: Failure): boolean => GONE.has(errorCode);

/** Whether the subject's own row says that it is gone; only an answer to a request makes it certain. */
export const saysGone = (root: Outcome): boolean => conditions([root]).some(({ failure }) => isGone(failure));

/** Items that Plaid cannot serve for now are checked daily, like those that wait for their user. */
function groupOf({ failure }: Failed): Group | null {
  const group = GROUPS[failure.class];
  return group === "ended" && !isGone(failure) ? "needs_user" : group;
}

function waits(
  group: Group,
  failed: readonly Failed[],
  before: number,
  delays: Delays,
): Pick<Decision, "attempts" | "dueInMs" | "holdMs"> {
  // A run that came further than the last one counts as its first failure.
  const attempts = failed.some(({ progressed }) => progressed) ? 1 : before + 1;
  if (group === "needs_user") return { attempts, dueInMs: growing(delays.checkMs, delays.checkMs, 1), holdMs: null };
  if (group === "waiting") {
    return { attempts, dueInMs: growing(delays.notReadyMs, delays.checkMs, attempts), holdMs: null };
  }
  if (group === "misconfigured") {
    const dueInMs = growing(delays.configurationMs, delays.configurationMaxMs, attempts);
    return { attempts, dueInMs, holdMs: Math.min(dueInMs, delays.configurationHoldMs) };
  }
  const asked = Math.max(0, ...failed.map(({ failure }) => failure.retryInMs ?? 0));
  if (failed.every(({ failure }) => failure.class === "limited")) {
    return { attempts: before, dueInMs: asked, holdMs: asked };
  }
  const dueInMs = Math.max(asked, growing(delays.retryMs, delays.retryMaxMs, attempts));
  return { attempts, dueInMs, holdMs: dueInMs };
}

/**
 * While its user must act, anything may change without a webhook: the next run reads everything. After another item's token,
 * that item's rows may be among this one's: the next run reads everything from the start, which removes them.
 */
function pendingOf(failed: readonly Failed[], needsUser: boolean): string[] {
  // Plaid may have billed the request that failed: another one has to be asked for by name.
  const kept = failed.filter(({ task, failure }) => task.resource.billed !== "each" || failure.class === "limited");
  const requests = new Set(kept.map(requestOf));
  if (needsUser) requests.add(EVERYTHING);
  if (failed.some(({ failure }) => failure.errorCode === TOKEN_OF_ANOTHER_ITEM)) requests.add(EVERYTHING_AGAIN);
  return [...requests];
}

/**
 * What to request of the next run. A kept loop records that it began at the start; requesting that again would
 * begin it anew. A resource that needs a product, that nobody named and that this run did not request is not requested by name:
 * that would ignore the subject's products, and so could add and bill one.
 */
function requestOf({ task, paused, unasked }: Failed): string {
  if (paused) return requestFor({ ...task, full: false });
  if (unasked && !task.explicit && task.resource.products !== undefined)
    return task.full ? EVERYTHING_AGAIN : EVERYTHING;
  return requestFor(task);
}

function describe({ task, failure }: Failed, now: Date): LastError {
  return {
    class: failure.class,
    error_type: failure.errorType,
    error_code: failure.errorCode,
    message: failure.message,
    next_step: explain(failure.errorType, failure.errorCode).next_step,
    resource: task.resource.name,
    at: now.toISOString(),
  };
}
