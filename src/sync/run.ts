/**
 * One run: brings one claimed subject up to date.
 *
 *   waiting webhooks + requests ──▶ tasks ──▶ the subject's own row ──▶ the other resources, side by side
 *     ──▶ decision ──▶ one transaction
 *
 * A resource that fails does not delay the others; a subject that is gone, or wrong keys, end the run early.
 */
import { onOneConnection } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Hint } from "../events/hint.ts";
import { enablingOf } from "../integrations/reveals.ts";
import { beforeToken, bodiesOf, type WaitingWebhook } from "../journal/served.ts";
import type { Logger } from "../logger.ts";
import { resourcesOf, rootOf, touches } from "../resources/index.ts";
import type { Reader } from "./ask.ts";
import { commitRun, isRefusedValue } from "./commit.ts";
import { CURSORS } from "./cursor-queries.ts";
import { decide } from "./decision.ts";
import type { Ending, ResourceStatus } from "./ending.ts";
import { stillFollowed } from "./followed.ts";
import { comparing, withComparison } from "./full-check.ts";
import { stillHeals } from "./gap.ts";
import { NOTICE_CODES } from "./item-news.ts";
import { onlyGoesOn, readLoopsOf } from "./loops.ts";
import { withoutMalformed } from "./malformed.ts";
import { readNotices } from "./notices.ts";
import { openReader, readKnown, scopeOf, type Known, type ReaderDeps } from "./open-reader.ts";
import { planRest, planRun, requestable, resourcesFor, touchedBy } from "./plan.ts";
import { waitingWebhooks } from "./queue.ts";
import { readAll } from "./read-all.ts";
import { withoutReplaced } from "./replaced-token.ts";
import { report, reportUnfit } from "./report.ts";
import type { Delays } from "./retry.ts";
import type { Claim, Decision, Outcome, Task } from "./types.ts";

export interface RunDeps extends ReaderDeps {
  logger: Logger;
  delays: Delays;
  /** notifies of events */
  hint: Hint;
}

/**
 * Runs a claim to its end, which releases the lease.
 * @throws TartanError `lease_lost`, and unexpected errors; the signal's reason when it aborts. The lease is held then.
 */
export async function run(deps: RunDeps, claim: Claim, signal: AbortSignal): Promise<void> {
  const { database, clock } = deps;
  const began = clock.now();
  const { webhooks, statuses, loops, notices, enabling, known } = await readStart(deps, claim);
  const { enabled, permissiblePurpose, erasesRevoked } = enabling;
  const resources = requestable(claim.kind, enabled);
  const idle = webhooks.filter((webhook) => resourcesFor(resources, webhook).length === 0);
  const planned = onlyGoesOn(claim, loops, webhooks) ? planRest(claim, enabled) : planRun(claim, webhooks, enabled);
  const tasks = comparing(claim, planned);
  const opened = tasks.length > 0 ? await openReader(deps, claim, { ...known(), permissiblePurpose }, signal) : null;
  const read = opened ? await readAll(opened, tasks, { statuses, loops }) : [];
  const outcomes = await withoutReplaced(deps, claim, opened?.credentials["access_token"], read);
  signal.throwIfAborted();
  const given = { claim, opened, enabled, erasesRevoked, statuses, loops, notices, webhooks, idle, tasks };
  const conclude = (from: readonly Outcome[]) => endingOf(deps, given, from, () => clock.now() - began);
  let ending = await conclude(outcomes);
  const committed = await commitRun(database, ending).catch(async (error: unknown) => {
    const sound = isRefusedValue(error) ? await withoutMalformed(database, ending.scope, outcomes) : null;
    if (sound === null) throw error;
    ending = await conclude(sound);
    return await commitRun(database, ending);
  });
  deps.hint.give();
  if (tasks.length > 0) report(deps.logger, ending, committed);
  for (const each of committed.unfit) reportUnfit(deps.logger, claim, each);
}

/** Reads all that a run begins with in one round trip. */
async function readStart({ database, vault }: RunDeps, claim: Claim) {
  return await onOneConnection(database, async (q) => {
    const [webhooks, statuses, loops, notices, enabling, known] = await Promise.all([
      waitingWebhooks(q, claim),
      readStatuses(q, claim),
      readLoopsOf(q, claim),
      readNotices(q, claim),
      // Not from the directory: it may not know yet what was enabled, and this run may be the one that was requested for that.
      enablingOf(q, claim.integrationId),
      // Behind the webhooks, so that a token that came with one of them is there. A run without a request needs no token.
      readKnown(q, vault, claim).then(
        (found) => () => found,
        (error: unknown) => (): Known => {
          throw error;
        },
      ),
    ]);
    return { webhooks, statuses, loops, notices, enabling, known };
  });
}

/** What a run knows before it decides. */
interface Given extends Pick<
  Ending,
  "claim" | "enabled" | "erasesRevoked" | "statuses" | "loops" | "notices" | "webhooks" | "idle"
> {
  opened: Reader | null;
  tasks: readonly Task[];
}

async function endingOf(
  { database, delays }: RunDeps,
  { opened, tasks, ...given }: Given,
  read: readonly Outcome[],
  tookMs: () => number,
): Promise<Ending> {
  const { claim, webhooks, idle } = given;
  const outcomes = withComparison(given, read);
  const decided = opened
    ? decide(claim, outcomes, new Date(), delays, opened.unconfirmed === null)
    : unread(claim, tasks);
  const healing = { ...decided, pending: stillHeals(claim, webhooks, decided) };
  const decision = { ...healing, pending: stillFollowed(claim, healing) };
  const waiting = new Set(webhooks.filter((webhook) => touchesRetried(webhook, claim, decision)).map(({ id }) => id));
  const served = webhooks.filter((webhook) => !waiting.has(webhook.id) && !idle.includes(webhook));
  const early = await earlyWebhooks(database, given, outcomes);
  return {
    ...given,
    scope: opened?.scope ?? scopeOf(claim, null),
    environment: opened?.environment ?? null,
    unconfirmed: opened?.unconfirmed ?? null,
    outcomes,
    decision,
    served,
    early,
    announcements: await announcementsAmong(database, claim, [...early, ...served]),
    tookMs,
  };
}

/** The webhooks about an item that came before its token, in the run that reads the item first. */
async function earlyWebhooks(
  database: Database,
  { claim: { integrationId, kind, id: itemId }, statuses }: Pick<Ending, "claim" | "statuses">,
  outcomes: readonly Outcome[],
): Promise<WaitingWebhook[]> {
  const root = rootOf(resourcesOf(kind));
  if (kind !== "item" || !root || statuses.has(root.name)) return [];
  const isRead = outcomes.some((outcome) => "read" in outcome && outcome.task.resource === root);
  return isRead ? await beforeToken(database, { integrationId, itemId }, NOTICE_CODES) : [];
}

/** The bodies of the webhooks that say what no answer of Plaid's has. */
async function announcementsAmong(
  database: Database,
  { kind }: Claim,
  webhooks: readonly WaitingWebhook[],
): Promise<Ending["announcements"]> {
  const { announcedBy = [] } = rootOf(resourcesOf(kind)) ?? {};
  const announcing = webhooks.filter(({ type, code }) => touches(announcedBy, type, code));
  return await bodiesOf(database, announcing.map(({ id }) => id).toSorted());
}

async function readStatuses(
  q: Queryable,
  { integrationId, kind, id }: Claim,
): Promise<ReadonlyMap<string, ResourceStatus>> {
  const { rows } = await q.query<ResourceStatus & { resource: string }>(CURSORS, [integrationId, kind, id]);
  return new Map(rows.map(({ resource, ...status }) => [resource, status]));
}

/** A run that read nothing. */
function unread({ kind, status, attempts }: Claim, tasks: readonly Task[]): Decision {
  const unknown = tasks.length > 0;
  return {
    outcome: !unknown ? "no_resource" : kind === "item" ? "item_unknown" : "subject_unknown",
    status: unknown ? "unlinked" : status,
    attempts: unknown ? 0 : attempts,
    dueInMs: null,
    holdMs: null,
    pending: [],
    retried: new Set(),
    error: null,
    gone: false,
  };
}

const touchesRetried = ({ type, code }: WaitingWebhook, { kind }: Claim, { retried }: Decision): boolean =>
  retried.size > 0 && touchedBy(resourcesOf(kind), type, code).some(({ name }) => retried.has(name));
