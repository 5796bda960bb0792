/**
 * Reads Plaid's list of the webhooks that it sent (/beta/webhook_events/list) and records each. Plaid opens it to some clients only,
 * and lists the last seven days. One process at a time reads the list of an integration:
 *
 *   due ──claim──▶ pages behind the cursor ──▶ those that Plaid had not delivered, once more ──▶ due again after the interval
 *                        │ more than a turn's pages: due again in seconds
 *                        ├ the cursor has expired: from seven days ago
 *                        └ not open to this client: due again after a day
 *
 * The cursor passes a webhook once, whatever Plaid still does about it. So the ones that Plaid had not delivered are read a second time:
 * one that is neither pending nor failed by then was delivered.
 */
import type { Database, Queryable } from "../database/types.ts";
import { cutTokens } from "../model/cut-tokens.ts";
import type { KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { readFields, storableText } from "../plaid/webhooks.ts";
import { isIntake } from "../sync/items.ts";
import { askWithin, type Limiter } from "../sync/limiter.ts";
import {
  BEGIN_RECHECK,
  END_RECHECK,
  FORGET_CURSOR,
  NOTE_DELIVERED,
  NOTE_PAGE,
  NOTE_READ,
  NOTE_RECHECK_PAGE,
  STORE_PAGE,
} from "./sent-queries.ts";

export const SENT_ENDPOINT = "/beta/webhook_events/list";
const PAGE = 100;
/** Pages of one claim, for each of its two readings. */
const PAGES_AT_ONCE = 10;

/** How long a request may wait for its place within the limit. */
const PATIENCE_MS = 30_000;

/** A list that this process has claimed. */
export interface SentClaim {
  integration_id: string;
  /** the fencing token */
  lease: string;
  cursor: string | null;
  recheck_cursor: string | null;
  recheck_from: Date | null;
  recheck_began_at: string | null;
  /** where a reading without a cursor begins */
  start: Date;
}

export interface ReadSentDeps {
  database: Database;
  integration: KnownIntegration;
  client: PlaidClient;
  limiter: Limiter;
  signal: AbortSignal;
}

/** Another process has claimed the list. */
export class ClaimLost extends Error {}

/** Reads what is new, and what was not delivered. @returns whether there is more to read now; throws PlaidError, ClaimLost */
export async function readSent(deps: ReadSentDeps, claim: SentClaim): Promise<boolean> {
  const more = await readNew(deps, claim);
  if (more) return true;
  return await recheck(deps, claim);
}

async function readNew(deps: ReadSentDeps, claim: SentClaim): Promise<boolean> {
  let { cursor } = claim;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const began = new Date();
    const answer = await askOrBeginAnew(deps, claim, cursor);
    const next = await store(deps, claim, answer, NOTE_PAGE);
    if (!answer.more || next === null || next === cursor) {
      await held(deps.database, NOTE_READ, claim, began);
      return false;
    }
    cursor = next;
  }
  return true;
}

/** A cursor that is too old, or that Plaid does not know any more, is given up: the list begins seven days ago. */
async function askOrBeginAnew(deps: ReadSentDeps, claim: SentClaim, cursor: string | null): Promise<Page> {
  const fromStart = async (): Promise<Page> => {
    try {
      return await ask(deps, { start_time: claim.start.toISOString() });
    } catch (error) {
      // By Plaid's clock it is earlier than seven days ago.
      if (codeOf(error) === "WEBHOOK_EVENTS_START_TIME_OUT_OF_RANGE") return await ask(deps, {});
      throw error;
    }
  };
  if (cursor === null) return await fromStart();
  try {
    return await ask(deps, { cursor });
  } catch (error) {
    if (!["WEBHOOK_EVENTS_CURSOR_EXPIRED", "INVALID_FIELD"].includes(codeOf(error))) throw error;
    await held(deps.database, FORGET_CURSOR, claim);
    return await fromStart();
  }
}

const codeOf = (error: unknown): string => (error instanceof PlaidError ? error.errorCode : "");

/** Reads the webhooks once more that Plaid had not delivered. @returns whether there is more to read now */
async function recheck(deps: ReadSentDeps, claim: SentClaim): Promise<boolean> {
  const { database } = deps;
  const begun = await beginRecheck(database, claim);
  if (begun === null) return false;
  let cursor = claim.recheck_from === null ? null : claim.recheck_cursor;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const from = cursor === null ? { start_time: begun.from.toISOString() } : { cursor };
    let answer: Page;
    try {
      answer = await ask(deps, { ...from, delivery_statuses: ["PENDING", "FAILED"] });
    } catch (error) {
      if (!codeOf(error).startsWith("WEBHOOK_EVENTS_")) throw error;
      // Too old to be listed.
      await held(database, END_RECHECK, claim);
      return false;
    }
    const next = await store(deps, claim, answer, NOTE_RECHECK_PAGE);
    if (!answer.more || next === null || next === cursor) {
      await database.transaction(async (tx) => {
        await held(tx, END_RECHECK, claim);
        await tx.query(NOTE_DELIVERED, [claim.integration_id, begun.from, begun.at]);
      });
      return false;
    }
    cursor = next;
  }
  return true;
}

/** The recheck that is under way, or a new one; null where nothing is pending. */
async function beginRecheck(q: Queryable, claim: SentClaim): Promise<{ from: Date; at: string } | null> {
  const { recheck_from: from, recheck_began_at: at } = claim;
  if (from !== null && at !== null) return { from, at };
  type Begun = { recheck_from: Date | null; recheck_began_at: string };
  const { rows } = await q.query<Begun>(BEGIN_RECHECK, [claim.integration_id, claim.lease]);
  if (rows[0] === undefined) throw new ClaimLost();
  if (rows[0].recheck_from === null) return null;
  return { from: rows[0].recheck_from, at: rows[0].recheck_began_at };
}

/** Runs a statement on the claimed row. @throws ClaimLost where another process has claimed it since */
async function held(
  q: Queryable,
  statement: typeof NOTE_PAGE,
  { integration_id, lease }: SentClaim,
  ...more: unknown[]
): Promise<void> {
  if ((await q.query(statement, [integration_id, lease, ...more])).rowCount === 0) throw new ClaimLost();
}

interface Page {
  /** the answer as it came, without tokens */
  text: string;
  events: readonly unknown[];
  more: boolean;
  next: string | null;
}

async function ask({ integration, client, limiter, signal }: ReadSentDeps, request: object): Promise<Page> {
  const { id: integrationId, environment } = integration;
  const asking = { integrationId, environment, endpoint: SENT_ENDPOINT, itemId: null, institutionId: null };
  const wait = await limiter.acquire(asking, PATIENCE_MS, signal);
  if (wait > 0)
    throw new PlaidError({
      errorType: "RATE_LIMIT_EXCEEDED",
      errorCode: "RATE_LIMIT",
      httpStatus: null,
      retryAfterSeconds: wait / 1000,
    });
  const { text } = await askWithin(limiter, asking, () =>
    client.post(SENT_ENDPOINT, { ...request, count: PAGE }, signal),
  );
  const answer = JSON.parse(text) as { webhook_events?: unknown; has_more?: unknown; next_cursor?: unknown };
  return {
    text: cutTokens(Buffer.from(text)).bytes.toString(),
    events: Array.isArray(answer.webhook_events) ? answer.webhook_events : [],
    more: answer.has_more === true,
    next: typeof answer.next_cursor === "string" && answer.next_cursor !== "" ? answer.next_cursor : null,
  };
}

/** Records a page with the cursor behind it. @returns the cursor, null where Plaid gave none */
async function store(
  { database }: ReadSentDeps,
  claim: SentClaim,
  { text, events, next }: Page,
  note: typeof NOTE_PAGE,
): Promise<string | null> {
  const { integration_id } = claim;
  const rows = new Map(events.flatMap((event, place) => rowOf(integration_id, event, place)));
  await database.transaction(async (tx) => {
    if (next !== null) await held(tx, note, claim, next);
    if (rows.size > 0) await tx.query(STORE_PAGE, [integration_id, JSON.stringify([...rows.values()]), text]);
  });
  return next;
}

const STATUSES = new Set(["PENDING", "DELIVERED", "FAILED"]);
const INTEGER_MAX = 2_147_483_647;

/** The row of a listed webhook; none where it lacks what every one has. */
function rowOf(integrationId: string, event: unknown, place: number): [string, object][] {
  const given = (event ?? {}) as Record<string, unknown>;
  const id = storableText(given["webhook_message_id"]);
  const type = storableText(given["webhook_type"]);
  const code = storableText(given["webhook_code"]);
  const sentAt = instantOf(given["sent_time"]);
  const status = given["delivery_status"];
  if (id === null || type === null || code === null || sentAt === null || !STATUSES.has(String(status))) return [];
  const payload = given["payload"];
  const { itemId, subject } = readFields({
    ...(typeof payload === "object" && payload !== null ? (payload as Record<string, unknown>) : {}),
    webhook_type: type,
    webhook_code: code,
  });
  const url = given["destination_url"];
  const row = {
    place,
    message_id: id,
    webhook_type: type,
    webhook_code: code,
    item_id: itemId ?? storableText(given["item_id"]),
    subject_kind: subject?.kind ?? null,
    subject_id: subject?.id ?? null,
    sent_at: sentAt,
    status,
    last_http_status: wholeOf(given["last_http_status_code"]),
    attempts: wholeOf(given["attempt_count"]) ?? 0,
    last_attempt_at: instantOf(given["last_attempt_time"]),
    to_intake: typeof url === "string" && isIntake(url, integrationId),
  };
  return [[id, row]];
}

function instantOf(value: unknown): string | null {
  const at = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return at >= 0 && at < Date.UTC(9999, 0) ? new Date(at).toISOString() : null;
}

const wholeOf = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX ? value : null;
