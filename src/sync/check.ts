/**
 * One check of reconciliation: asks Plaid for one item (/item/get), and makes due what must be read if the answer differs from
 * what Tartan knows. It writes nothing into the mirror: sync does that, as for any webhook.
 *
 *   at rest? ──no──▶ busy: sync or its retries bring the item up to date anyway
 *      │yes
 *      ▼
 *   /item/get, within reconciliation's share of Plaid's limits ──refused or limited──▶ later
 *      │
 *      ├─ nothing differs ──▶ equal: no row is written but the item's own
 *      ├─ Plaid fetched since the last reading, or options changed ──▶ refreshed: those resources are due
 *      ├─ a gap ──▶ a RECONCILER webhook is journaled, which makes all of the item due
 *      └─ a webhook that Plaid sent just now and that may be on its way ──▶ early: no gap yet, checked again soon
 *
 * In each of these cases nothing is written if the item was unlinked or erased meanwhile, or if the check took so long that
 * another process has claimed it: lost.
 */
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import { finishCheck, type Check, type Seen } from "../integrations/checks.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import { getItemSecret } from "../integrations/items.ts";
import { isReplaced } from "../integrations/tokens.ts";
import { enabledOf } from "../integrations/reveals.ts";
import type { Vault } from "../integrations/vault.ts";
import { append } from "../journal/append.ts";
import { mirroredRoot } from "../mirror/apply.ts";
import { EVERYTHING, EVERYTHING_AGAIN } from "../model/webhook.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { endpointsOf, resourcesOf, rootOf } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import { requestable } from "./plan.ts";
import { differingFields, newWebhook, staleResources, updatesIn, type Known, type LastWebhook } from "./compare.ts";
import { gapWebhook, HEALS, type Gap } from "./gap.ts";
import { markDue } from "./marks.ts";
import { askWithin, type Asking, type Limiter } from "./limiter.ts";
import { unreadable } from "./ask.ts";
import { askerOf, readWithOf } from "./read.ts";
import { HAS_WEBHOOK, KNOWN_ITEM } from "./reconcile-queries.ts";
import { institutionOf } from "./open-reader.ts";

export type CheckOutcome = "equal" | "refreshed" | "gap" | "early" | "later" | "busy" | "lost";

export interface CheckDeps {
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  /** Plaid's limits, shared with sync */
  limiter: Limiter;
  /** the part of them that checks may use */
  share: Limiter;
  windowSeconds: number;
  /** a webhook that Plaid sent less than this ago may still be on its way */
  graceMs: number;
}

/** The outcome of a check, and the gap if there is one. */
export interface CheckResult {
  outcome: CheckOutcome;
  gap?: Gap;
  /** why Plaid was not asked, or did not answer */
  error?: unknown;
}

type Json = Record<string, unknown>;
type Answer = { item: Json; status: Json | null };

const ENDPOINT = "/item/get";
/** Clocks differ: the journal's time of a webhook may be earlier than Plaid's by less than this. */
const CLOCKS_DIFFER_MS = 60_000;
const SHARE_PATIENCE_MS = 2000;
/** A check that could not be made is repeated after a part of the window, at most an hour. */
const LATER_PART = 24;
const LATER_MAX_SECONDS = 3600;

/**
 * Makes a claimed check, and plans the next one.
 * @throws TartanError when Postgres or the vault fails; the check is repeated when its lease ends. The signal's reason.
 */
export async function checkItem(deps: CheckDeps, check: Check, signal: AbortSignal): Promise<CheckResult> {
  const { database, windowSeconds } = deps;
  const opened = await open(deps, check);
  // Sync itself retries failed items so often that a check would find nothing.
  if (opened === "failing") return await end(database, check, { outcome: "busy" }, windowSeconds, null);
  if (opened === "due") return await end(database, check, { outcome: "busy" }, laterSeconds(windowSeconds), null);
  try {
    const answer = await ask(deps, opened, signal);
    if (answer === null) return await postpone(deps, check);
    return await conclude(deps, check, opened, answer, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PlaidError)) throw error;
    // What Plaid answers to a token that was replaced meanwhile says nothing of the item.
    const { accessToken } = opened;
    const isOld = async () => await isReplaced(database, deps.vault, { ...check, accessToken });
    if (!speaksOfItem(error) || (await isOld())) return await postpone(deps, check, error);
    const { errorType: error_type, errorCode: error_code } = error;
    return await recordGap(deps, check, opened, { error: { error_type, error_code } }, check.seen);
  }
}

interface Opened {
  integration: KnownIntegration;
  client: PlaidClient;
  accessToken: string;
  asking: Asking;
  readings: Known["readings"];
}

type ReadingRows = Record<string, { verified_at: string | null; read_with: string }>;

/** What a check of the item needs, or why the item is left to sync. */
async function open(
  { database, directory, vault, clientFor }: CheckDeps,
  check: Check,
): Promise<Opened | "failing" | "due"> {
  const { integrationId, itemId } = check;
  const { rows } = await database.query<{
    synced: boolean;
    due: boolean;
    readings: ReadingRows;
  }>(KNOWN_ITEM, [integrationId, itemId]);
  const [known] = rows;
  if (!known?.synced) return "failing";
  if (known.due) return "due";
  const integration = await directory.find(integrationId);
  const secret = await getItemSecret(database, vault, integrationId, itemId);
  if (!integration || !secret) return "failing";
  const readings = Object.entries(known.readings).map(([name, { verified_at, read_with }]) => {
    const reading = { verifiedAt: verified_at === null ? null : new Date(verified_at), readWith: read_with };
    return [name, reading] as const;
  });
  return {
    integration,
    client: clientFor(integration),
    accessToken: secret.access_token,
    asking: {
      integrationId,
      environment: integration.environment,
      endpoint: ENDPOINT,
      itemId,
      institutionId: await institutionOf(database, { integrationId, kind: "item", id: itemId }),
    },
    readings: new Map(readings),
  };
}

/** Plaid's answer, or null when the rate limit does not admit the request now: webhooks come first. */
async function ask(deps: CheckDeps, opened: Opened, signal: AbortSignal): Promise<Answer | null> {
  const { limiter, share } = deps;
  const { client, accessToken, asking } = opened;
  if (!(await hasShare(share, asking, signal))) return null;
  if ((await limiter.acquire(asking, 0, signal)) > 0) return null;
  const answer = await askWithin(limiter, asking, () =>
    client.postJson<Partial<Answer>>(ENDPOINT, { access_token: accessToken }, signal),
  );
  if (typeof answer.item !== "object") throw unreadable();
  return { item: answer.item, status: answer.status ?? null };
}

/** Whether checks may use the endpoint now. Their share of the client's limit has a key of its own. */
async function hasShare(share: Limiter, asking: Asking, signal: AbortSignal): Promise<boolean> {
  const ofChecks = { ...asking, integrationId: `checks of ${asking.integrationId}`, itemId: null, institutionId: null };
  return (await share.acquire(ofChecks, SHARE_PATIENCE_MS, signal)) === 0;
}

/** Whether Plaid no longer serves the item, or its user must act, without a webhook. Other refusals are not about the item. */
const speaksOfItem = ({ retryClass, errorCode }: PlaidError): boolean =>
  retryClass === "item_ended" || retryClass === "user" || errorCode === "INVALID_ACCESS_TOKEN";

async function conclude(
  deps: CheckDeps,
  check: Check,
  opened: Opened,
  { item, status }: Answer,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { database, windowSeconds, graceMs } = deps;
  const { integrationId, itemId, seen } = check;
  const resources = resourcesOf("item");
  const root = rootOf(resources) as Resource;
  const row = await mirroredRoot(database, { integrationId, subjectId: itemId }, root);
  const known: Known = { row, readings: opened.readings, seen };
  const differs = differingFields(row, item);
  const last = newWebhook(status, seen);
  const missed = last && (await findMissed(database, check, last));
  const now: Seen = { last_webhook: lastSentAt(status), updates: updatesIn(status) };
  const early = differs.length === 0 && missed !== null && missed.ageMs < graceMs;
  if (!early && (missed || differs.length > 0)) {
    return await recordGap(deps, check, opened, { ...(missed && { missed: last }), differs }, now);
  }
  const enabled = await enabledOf(database, integrationId);
  const free = requestable("item", enabled).filter(({ billed }) => billed !== "each");
  const stale = [...staleResources(free, known, now.updates ?? {}), ...otherwiseRead(opened, itemId)];
  const plan: Plan = early
    ? {
        nextInSeconds: Math.min(windowSeconds, graceMs / 1000),
        seen: { ...now, last_webhook: seen.last_webhook ?? null },
      }
    : { nextInSeconds: windowSeconds, seen: now };
  if (stale.length === 0) {
    return await end(database, check, { outcome: early ? "early" : "equal" }, plan.nextInSeconds, plan.seen);
  }
  const requested = new Set([root.name, ...stale]);
  const endpoints = resources.filter(({ name }) => requested.has(name)).flatMap(({ fetch }) => endpointsOf(fetch));
  for (const endpoint of endpoints) {
    if (!(await hasShare(deps.share, { ...opened.asking, endpoint }, signal))) return await postpone(deps, check);
  }
  // While a webhook may be on its way, changes that the run finds are no gap.
  return await refresh(deps, check, early ? [...requested] : [...requested, HEALS], plan);
}

/** What a check stores for the next one. */
interface Plan {
  nextInSeconds: number;
  seen: Seen;
}

const lastSentAt = (status: Json | null): string | null => newWebhook(status, {})?.sent_at ?? null;

/** The webhook's age, if the journal lacks it. A webhook that was sent before the item was linked went elsewhere. */
async function findMissed(
  q: Queryable,
  { integrationId, itemId, linkedAt }: Check,
  { code_sent, sent_at }: LastWebhook,
): Promise<{ ageMs: number } | null> {
  if (Date.parse(sent_at) < linkedAt.getTime()) return null;
  const values = [integrationId, itemId, code_sent, sent_at, CLOCKS_DIFFER_MS];
  const { rows } = await q.query<{ has: boolean; age_ms: number }>(HAS_WEBHOOK, values);
  return rows[0] && !rows[0].has ? { ageMs: rows[0].age_ms } : null;
}

/** Names of the resources that were read with options other than the integration's current ones. */
function otherwiseRead({ integration, readings }: Opened, subjectId: string): string[] {
  const asker = askerOf(integration, subjectId, null);
  return resourcesOf("item").flatMap((resource) => {
    const reading = readings.get(resource.name);
    return reading && reading.readWith !== readWithOf(resource, asker) ? [resource.name] : [];
  });
}

async function refresh(
  { database }: CheckDeps,
  check: Check,
  requested: string[],
  { nextInSeconds, seen }: Plan,
): Promise<CheckResult> {
  const { integrationId, itemId } = check;
  return await database.transaction(async (tx) => {
    const result = await end(tx, check, { outcome: "refreshed" }, nextInSeconds, seen);
    if (result.outcome === "lost") return result;
    await markDue(tx, [{ integrationId, kind: "item", id: itemId, requested }]);
    return result;
  });
}

async function recordGap(deps: CheckDeps, check: Check, opened: Opened, gap: Gap, seen: Seen): Promise<CheckResult> {
  const { database, windowSeconds } = deps;
  const { environment } = opened.integration;
  return await database.transaction(async (tx) => {
    const result = await end(tx, check, { outcome: "gap", gap }, windowSeconds, seen);
    if (result.outcome === "lost") return result;
    const requested = isReread(gap) ? [EVERYTHING_AGAIN] : [EVERYTHING];
    const subject = { kind: "item", id: check.itemId };
    await append(tx, [{ ...gapWebhook({ ...check, environment }, gap), subject, requested }]);
    return result;
  });
}

/** After some webhooks increments cannot be trusted; Plaid names the code of the last one only. */
const isReread = ({ missed }: Gap): boolean =>
  missed != null &&
  resourcesOf("item").some(({ rereadAfter = [] }) =>
    rereadAfter.some(({ codes }) => codes?.includes(missed.code_sent) ?? false),
  );

/** Adds a random spread, so that checks that were postponed together are not repeated together. */
const laterSeconds = (windowSeconds: number): number =>
  Math.min(windowSeconds / LATER_PART, LATER_MAX_SECONDS) * (0.5 + Math.random());

/** Repeats the check in a part of the window; what the last check read stays. */
async function postpone({ database, windowSeconds }: CheckDeps, check: Check, error?: unknown): Promise<CheckResult> {
  return await end(database, check, { outcome: "later", error }, laterSeconds(windowSeconds), null);
}

async function end(
  q: Queryable,
  check: Check,
  result: CheckResult,
  nextInSeconds: number,
  seen: Seen | null,
): Promise<CheckResult> {
  return (await finishCheck(q, check, nextInSeconds, seen)) ? result : { outcome: "lost" };
}
