/**
 * Reads Plaid's list of the webhooks that it sent (/beta/webhook_events/list) and records each. Plaid opens it to some clients only,
 * and lists the last seven days. One process at a time reads the list of an integration:
 *
 *   due ──claim──▶ pages behind the cursor ──▶ those that Plaid had not delivered, once more ──▶ due again after the interval
 *                        │ more than a turn's pages, and among them some that are new: due again in seconds
 *                        ├ the cursor has expired: from where the list was last read to its end, or from seven days ago
 *                        ├ the list does not go on, though it says that there is more: an error, due again after the interval
 *                        └ not open to this client: due again after a day
 *
 * The cursor passes a webhook once, also while Plaid still tries to deliver it. So the ones that Plaid had not delivered are read a second time:
 * one that is neither pending nor failed by then was delivered.
 */
import type { Database, Queryable } from "../database/types.ts";
import { cutTokens } from "../model/cut-tokens.ts";
import type { KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { readFields, storableText } from "../plaid/webhooks.ts";
import { unreadable } from "../sync/ask.ts";
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
  let place: Place = { cursor: claim.cursor, before: null };
  let news = 0;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const began = new Date();
    const answer = await askOrBeginAnew(deps, claim, place.cursor);
    news += await store(deps, claim, answer, NOTE_PAGE);
    if (!answer.more) {
      await held(deps.database, NOTE_READ, claim, began);
      return false;
    }
    place = behind(answer, place);
  }
  return news > 0;
}

/** How far a reading has come: Plaid's cursor, and the page before it. */
interface Place {
  cursor: string | null;
  before: Page | null;
}

/**
 * The place behind a page that is not the last.
 * @throws PlaidError where the list does not go on, under the same cursor or with the same webhooks: it would be read for ever
 */
function behind(page: Page, { cursor, before }: Place): Place {
  const { rows, next } = page;
  const isSame = before !== null && rows.size > 0 && [...rows.keys()].every((id) => before.rows.has(id));
  if (next === null || next === cursor || isSame) throw unreadable();
  return { cursor: next, before: page };
}

/** A cursor that is too old, or that Plaid does not know any more, is given up. */
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
  let place: Place = { cursor: claim.recheck_from === null ? null : claim.recheck_cursor, before: null };
  let listed = 0;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const { cursor } = place;
    const from = cursor === null ? { start_time: begun.from.toISOString() } : { cursor };
    const answer = await askUndelivered(deps, claim, from);
    if (answer === null) return false;
    await store(deps, claim, answer, NOTE_RECHECK_PAGE);
    if (!answer.more) {
      await database.transaction(async (tx) => {
        await held(tx, END_RECHECK, claim);
        await tx.query(NOTE_DELIVERED, [claim.integration_id, begun.from, begun.at]);
      });
      return false;
    }
    listed += answer.rows.size;
    place = behind(answer, place);
  }
  return listed > 0;
}

/** A page of what Plaid has not delivered; null where Plaid refuses the request, and the second reading is given up. */
async function askUndelivered(deps: ReadSentDeps, claim: SentClaim, from: object): Promise<Page | null> {
  try {
    return await ask(deps, { ...from, delivery_statuses: ["PENDING", "FAILED"] });
  } catch (error) {
    // The list is open, since it was just read: the cursor, the time or the filter is refused.
    const isRefused = error instanceof PlaidError && error.retryClass === "configuration";
    if (!isRefused && !codeOf(error).startsWith("WEBHOOK_EVENTS_")) throw error;
    await held(deps.database, END_RECHECK, claim);
    return null;
  }
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
  /** by Plaid's id */
  rows: ReadonlyMap<string, object>;
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
  const events: unknown[] = Array.isArray(answer.webhook_events) ? answer.webhook_events : [];
  return {
    text: cutTokens(Buffer.from(text)).bytes.toString(),
    rows: new Map(events.flatMap((event, place) => rowOf(integrationId, event, place))),
    more: answer.has_more === true,
    next: typeof answer.next_cursor === "string" && answer.next_cursor !== "" ? answer.next_cursor : null,
  };
}

/** Records a page with the cursor behind it. @returns how many of its webhooks were not recorded before */
async function store(
  { database }: ReadSentDeps,
  claim: SentClaim,
  { text, rows, next }: Page,
  note: typeof NOTE_PAGE,
): Promise<number> {
  const { integration_id } = claim;
  return await database.transaction(async (tx) => {
    await held(tx, note, claim, next);
    if (rows.size === 0) return 0;
    const values = [integration_id, JSON.stringify([...rows.values()]), text];
    const stored = await tx.query<{ is_new: boolean }>(STORE_PAGE, values);
    return stored.rows.filter(({ is_new }) => is_new).length;
  });
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
