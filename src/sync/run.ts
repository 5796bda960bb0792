/**
 * One run: brings one claimed subject up to date.
 *
 *   waiting webhooks + requests ──▶ tasks ──▶ the subject's own row ──▶ the other resources, side by side
 *     ──▶ decision ──▶ one transaction
 *
 * A resource that fails does not delay the others; a subject that is gone, or wrong keys, end the run early.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Directory, KnownIntegration } from "../integrations/directory.ts";
import { findToken } from "../integrations/tokens.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Hint } from "../events/hint.ts";
import type { WaitingWebhook } from "../journal/served.ts";
import { mirroredReference, mirroredRoot } from "../mirror/apply.ts";
import type { Scope, Unfit } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { resourcesOf, rootOf, rootTable, subjectKind } from "../resources/index.ts";
import { INSTITUTION } from "../resources/subjects.ts";
import { commitRun, type Committed, type Ending, type ResourceStatus } from "./commit.ts";
import { CURSORS } from "./cursor-queries.ts";
import { stillHeals } from "./gap.ts";
import type { Limiter } from "./limiter.ts";
import { onlyGoesOn, readLoopsOf, type Loops } from "./loops.ts";
import { planRest, planRun, resourcesFor, touchedBy } from "./plan.ts";
import { hasProduct, productsIn } from "./products.ts";
import { waitingWebhooks } from "./queue.ts";
import type { Reader } from "./ask.ts";
import { askerOf, readResource, readWithOf } from "./read.ts";
import type { Delays } from "./retry.ts";
import type { Claim, Failure, Outcome, Task, Decision } from "./types.ts";
import { isGone, decide, saysGone } from "./decision.ts";

export interface RunDeps {
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  limiter: Limiter;
  delays: Delays;
  /** notifies of events */
  hint: Hint;
}

type ResourceStatuses = ReadonlyMap<string, ResourceStatus>;

/**
 * Runs a claim to its end, which releases the lease.
 * @throws TartanError `lease_lost`, and unexpected errors; the signal's reason when it aborts. The lease is held then.
 */
export async function run(deps: RunDeps, claim: Claim, signal: AbortSignal): Promise<void> {
  const { database, clock } = deps;
  const began = clock.now();
  const [webhooks, statuses, loops] = await Promise.all([
    waitingWebhooks(database, claim),
    readStatuses(database, claim),
    readLoopsOf(database, claim),
  ]);
  const resources = resourcesOf(claim.kind);
  const idle = webhooks.filter((webhook) => resourcesFor(resources, webhook).length === 0);
  const tasks = onlyGoesOn(claim, loops, webhooks) ? planRest(claim) : planRun(claim, webhooks);
  const opened = tasks.length > 0 ? await open(deps, claim, signal) : null;
  const outcomes = opened ? await readAll(opened, tasks, { statuses, loops }) : [];
  signal.throwIfAborted();
  const decided = opened
    ? decide(claim, outcomes, new Date(), deps.delays, opened.unconfirmed === null)
    : unread(claim, tasks);
  const decision = { ...decided, pending: stillHeals(claim, webhooks, decided) };
  const waiting = new Set(webhooks.filter((webhook) => touchesRetried(webhook, claim, decision)).map(({ id }) => id));
  const served = webhooks.filter((webhook) => !waiting.has(webhook.id) && !idle.includes(webhook));
  const scope = opened?.scope ?? scopeOf(claim, null);
  const ending: Ending = {
    claim,
    scope,
    environment: opened?.environment ?? null,
    unconfirmed: opened?.unconfirmed ?? null,
    outcomes,
    decision,
    statuses,
    loops,
    webhooks,
    served,
    idle,
    tookMs: () => clock.now() - began,
  };
  const committed = await commitRun(database, ending);
  deps.hint.give();
  if (tasks.length > 0) report(deps, ending, committed);
  for (const each of committed.unfit) reportUnfit(deps, claim, each);
}

/** Logs each item and field once: the item shows it from then on. */
function reportUnfit({ logger }: RunDeps, { integrationId, kind, id }: Claim, unfit: Unfit): void {
  if (!unfit.new) return;
  const { resource, field, expected, found } = unfit;
  metrics.unfitValues.inc({ resource, field });
  logger.warn(
    { integration_id: integrationId, kind, id, resource, field, expected, found },
    "a value does not fit its column; it is null there and whole in raw",
  );
}

const scopeOf = ({ integrationId, kind, id, leaseToken }: Claim, userId: string | null): Scope => ({
  integrationId,
  kind,
  subjectId: id,
  leaseToken,
  facts: { user_id: userId },
});

/** What requests to Plaid need, or null when the subject's integration or token is not known. */
async function open(deps: RunDeps, claim: Claim, signal: AbortSignal): Promise<Reader | null> {
  const { database, directory, vault, clientFor, clock, limiter } = deps;
  const integration = await directory.find(claim.integrationId);
  if (integration === null) return null;
  const asksToken = subjectKind(claim.kind)?.asks === "access_token";
  const [token, institutionId] = asksToken
    ? await Promise.all([findToken(database, vault, claim.integrationId, claim.id), institutionOf(database, claim)])
    : [null, null];
  if (asksToken && token === null) return null;
  return {
    database,
    clock,
    limiter,
    signal,
    client: clientFor(integration),
    scope: scopeOf(claim, token?.userId ?? null),
    environment: integration.environment,
    asker: askerOf(integration, claim.id),
    accessToken: token?.accessToken ?? null,
    unconfirmed: token && !token.confirmed ? token.sealed : null,
    institutionId,
  };
}

/** The subject's institution in the mirror, whose limits Plaid may name. */
export async function institutionOf(
  database: Database,
  { integrationId, kind, id }: Pick<Claim, "integrationId" | "kind" | "id">,
): Promise<string | null> {
  const root = rootOf(resourcesOf(kind));
  const references = root && rootTable(root)?.references;
  const reference = references?.find(({ subject }) => subject === INSTITUTION);
  return root && reference
    ? await mirroredReference(database, { integrationId, subjectId: id }, root, reference)
    : null;
}

async function readStatuses(database: Database, { integrationId, kind, id }: Claim): Promise<ResourceStatuses> {
  const { rows } = await database.query<ResourceStatus & { resource: string }>(CURSORS, [integrationId, kind, id]);
  return new Map(rows.map(({ resource, ...status }) => [resource, status]));
}

/**
 * Reads the subject's own row first, because it shows whether the rest makes sense and whose token it is; then the rest side
 * by side. When another resource fails with an error of the subject, its own row is read after all.
 */
async function readAll(
  reader: Reader,
  tasks: readonly Task[],
  { statuses, loops }: { statuses: ResourceStatuses; loops: Loops },
): Promise<Outcome[]> {
  const read = async (task: Task): Promise<Outcome> => {
    const { name } = task.resource;
    const outcome = await readResource(reader, task, cursorFor(reader, task, statuses), loops.get(name));
    // Without earlier rows, none can be gone.
    const before = statuses.get(name)?.rows ?? 0;
    return "read" in outcome && before === 0 ? { ...outcome, partial: false } : outcome;
  };
  const own = ownTask(reader);
  const rootTask =
    tasks.find(({ resource }) => rootTable(resource) !== undefined) ?? (reader.unconfirmed ? own : undefined);
  const root = rootTask ? await read(rootTask) : null;
  const others = tasks.filter((task) => task !== rootTask);
  if (root && endsAll(root, reader)) return [root, ...others.map((task) => followSuit(task, root))];
  if (root && others.length === 0 && saysGone(root)) others.push(...probe(reader));
  const skip = await skipping(reader, others, root);
  const settled = await allOf(others.map((task) => skip(task) ?? read(task)));
  const outcomes = root ? [root, ...settled] : settled;
  if (!root && own && outcomes.some(speaksOfSubject)) outcomes.unshift(await read(own));
  const foreign = outcomes.find(isForeign);
  return foreign
    ? outcomes.map((outcome) =>
        "read" in outcome || "paused" in outcome ? followSuit(outcome.task, foreign) : outcome,
      )
    : outcomes;
}

function ownTask({ scope }: Reader): Task | undefined {
  const own = rootOf(resourcesOf(scope.kind));
  return own && { resource: own, full: false, explicit: false };
}

/** The request that confirms that a subject is gone whose own row says so. */
function probe({ scope }: Reader): Task[] {
  const resource = resourcesOf(scope.kind).find((one) => rootTable(one) === undefined && one.products === undefined);
  return resource ? [{ resource, full: false, explicit: false }] : [];
}

/** The cursor of the reading; null, for the start, if older rows were read with other options. */
function cursorFor(reader: Reader, task: Task, statuses: ResourceStatuses): string | null {
  const known = statuses.get(task.resource.name);
  return known?.readWith === readWithOf(task.resource, reader.asker) ? known.cursor : null;
}

/** Waits for all, so that none continues in the background, and then throws the first error. */
async function allOf(readings: readonly (Outcome | Promise<Outcome>)[]): Promise<Outcome[]> {
  const settled = await Promise.allSettled(readings);
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

const classOf = (outcome: Outcome): Failure["class"] | null => ("failure" in outcome ? outcome.failure.class : null);
/** The rest would fail as well; or, while the token's item is unknown, might succeed for another item. */
const endsAll = (root: Outcome, { unconfirmed }: Reader): boolean =>
  "failure" in root && (unconfirmed !== null || root.failure.class === "configuration" || isGone(root.failure));
const isForeign = (outcome: Outcome): boolean =>
  "failure" in outcome && outcome.failure.errorCode === TOKEN_OF_ANOTHER_ITEM;
const speaksOfSubject = (outcome: Outcome): boolean => ["item_ended", "user"].includes(classOf(outcome) ?? "");

const followSuit = (task: Task, other: Outcome): Outcome =>
  "failure" in other ? { task, failure: other.failure, unasked: true } : { task, skipped: true };

/**
 * The resources not to request: those of products that the subject does not have, since a request could add the product
 * and bill it. A request by name, and Plaid's webhook of that product, override that. While the subject's products are not
 * known, such a resource waits.
 */
async function skipping(
  { database, scope }: Reader,
  tasks: readonly Task[],
  root: Outcome | null,
): Promise<(task: Task) => Outcome | null> {
  const unsure = (task: Task): boolean => task.resource.products !== undefined && !task.explicit;
  const own = rootOf(resourcesOf(scope.kind));
  if (!own?.productsAt || !tasks.some(unsure)) return () => null;
  const row = root && "read" in root ? root.root : await mirroredRoot(database, scope, own);
  const listed = productsIn(row, own.productsAt);
  return (task) => {
    if (!unsure(task)) return null;
    if (listed === null) return root ? followSuit(task, root) : null;
    return hasProduct(task.resource, listed) ? null : { task, skipped: true };
  };
}

/** A run that read nothing. */
function unread({ status, attempts }: Claim, tasks: readonly Task[]): Decision {
  const unknown = tasks.length > 0;
  return {
    outcome: unknown ? "item_unknown" : "no_resource",
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

function report({ logger }: RunDeps, ending: Ending, { info, healed }: Committed): void {
  const { claim, decision, served, tookMs } = ending;
  const { kind, integrationId, id } = claim;
  metrics.runs.inc({ kind, outcome: decision.outcome });
  metrics.runSeconds.observe({ kind }, tookMs() / 1000);
  if (healed.length > 0) metrics.gaps.inc({ found: "rows" });
  for (const { name: resource, tables } of resourcesOf(kind)) {
    for (const { name } of tables)
      for (const [change, rows] of Object.entries(info.counts?.[name] ?? {}))
        if (rows > 0) metrics.rows.inc({ resource, change }, rows);
  }
  if (decision.outcome === "synced") {
    for (const { receivedAt } of served) metrics.freshnessSeconds.observe((Date.now() - receivedAt.getTime()) / 1000);
  }
  const fields = {
    integration_id: integrationId,
    kind,
    id,
    outcome: decision.outcome,
    counts: info.counts,
    last_error: decision.error,
  };
  if (decision.status === "misconfigured") {
    logger.error(
      fields,
      "Plaid refuses our keys, a token or a request: fix the integration's credentials or link again",
    );
  } else logger.debug(fields, "run");
}
