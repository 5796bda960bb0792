/**
 * Reads one resource from Plaid: a snapshot in one request, or a cursor loop of pages. It writes nothing to the mirror;
 * it stages the pages of a longer loop under the run's lease.
 *
 * A cursor's loop (https://plaid.com/docs/api/products/transactions/#transactionssync):
 *
 *   from the stored cursor ──▶ page ──▶ page … ──▶ has_more false: the reading
 *        ▲                       │
 *        │                       ├─ mutation: all pages are dropped, the loop starts over from its first cursor; when that
 *        │                       │  goes on for too long (it can persist with a stored cursor), from the start
 *        └───────────────────────┤
 *                                ├─ cursor refused: all pages are dropped, the loop starts over from the start
 *                                ├─ next_cursor "" or a status that says so: not ready, which is not progress
 *                                ├─ a failure that passes: the page is asked for again, a few times at once; then, and
 *                                │  when a rate limit has to be waited for, the run ends and the loop is kept (loops.ts)
 *                                └─ any other failure: all pages are dropped, the run tries again another time
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { dropStaged } from "../mirror/stage.ts";
import type { Page, Scope } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import type { Asker, CursorFetch, Fetch, Resource, RowsAt } from "../resources/types.ts";
import { askWithin, type Asking, type Limiter } from "./limiter.ts";
import { membersOf } from "./members.ts";
import { adoptLoop, areTooMany, dropPages } from "./loops.ts";
import { growing } from "./retry.ts";
import { stagePage } from "./staging.ts";
import { ON_REQUEST, type Failure, type Outcome, type StoredLoop, type Task } from "./types.ts";

/** What reading needs from a run. */
export interface Reader {
  database: Database;
  clock: Clock;
  limiter: Limiter;
  client: PlaidClient;
  signal: AbortSignal;
  scope: Scope;
  environment: Asking["environment"];
  /** the values of the integration and the subject that go into requests */
  asker: Asker;
  /** null where requests about the subject need only the client's credentials */
  accessToken: string | null;
  /** the sealed token, while Plaid has not answered it with this subject yet */
  unconfirmed: Buffer | null;
  /** of an item, as far as the mirror knows it */
  institutionId: string | null;
}

/** the members of an answer, as texts */
type Answer = ReadonlyMap<string, string>;

/** A longer wait for the rate limit ends the run, so that others can use the worker. */
const PATIENCE_MS = 100;
/** How often one run requests a page, and the first pause between. */
const PAGE_TRIES = 3;
const PAGE_PAUSE_MS = 250;
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 100;
/** How long a full reading waits that may not begin: between two and four minutes. */
const CROWDED_MS = 4 * 60_000;
const crowdedMs = (): number => growing(CROWDED_MS, CROWDED_MS, 1);

/** Our own rate limit does not admit the request for this long. */
class Limited extends Error {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("held back by a rate limit");
    this.waitMs = waitMs;
  }
}

/** Plaid answered the subject's token with another item. */
class ForeignToken extends Error {}

/** An answer that names its item must name ours. */
function expectOwn(body: Answer, itemId: string): void {
  const item = valueOf(body, "item");
  const named = typeof item === "object" && item !== null ? (item as { item_id?: unknown }).item_id : undefined;
  if (typeof named === "string" && named !== itemId)
    throw new ForeignToken("The access token belongs to another item; nothing that it reads is mirrored.");
}

/**
 * Reads what Plaid has of one resource. Failures of Plaid are outcomes.
 * @param cursor where the last run ended, null to read from the start
 * @param kept a loop of the resource that had to wait
 * @throws TartanError `lease_lost`; the signal's reason when it aborts; unexpected errors
 */
export async function readResource(
  reader: Reader,
  task: Task,
  cursor: string | null,
  kept?: StoredLoop,
): Promise<Outcome> {
  try {
    const { fetch } = task.resource;
    return fetch.kind === "snapshot"
      ? await readSnapshot(reader, task)
      : await readLoops(reader, task, fetch, { stored: cursor, kept });
  } catch (error) {
    // Its pages and the loop are deleted; that it began at the start is kept.
    return { task: kept?.firstCursor === null ? { ...task, full: true } : task, failure: failureOf(error) };
  }
}

/** The options with which a reading that begins now shapes its rows. */
export const readWithOf = ({ fetch }: Resource, asker: Asker): string =>
  fetch.kind === "cursor" ? (fetch.readWith?.(asker) ?? "") : "";

/** The values of an integration that go into requests about a subject. */
export const askerOf = (
  { countryCodes, daysRequested, includeOriginalDescription }: Omit<Asker, "subjectId">,
  subjectId: string,
): Asker => ({ subjectId, countryCodes, daysRequested, includeOriginalDescription });

function failureOf(error: unknown): Failure {
  if (error instanceof ForeignToken) {
    return { class: "configuration", errorType: "TARTAN", errorCode: TOKEN_OF_ANOTHER_ITEM, message: error.message };
  }
  if (error instanceof Limited) {
    return { class: "limited", errorType: "", errorCode: "", message: error.message, retryInMs: error.waitMs };
  }
  if (!(error instanceof PlaidError)) throw error;
  const { retryClass, errorType, errorCode, message, retryAfterSeconds } = error;
  const failure: Failure = { class: retryClass, errorType, errorCode, message };
  return retryAfterSeconds === undefined ? failure : { ...failure, retryInMs: retryAfterSeconds * 1000 };
}

async function readSnapshot(reader: Reader, task: Task): Promise<Outcome> {
  const { resource } = task;
  const { text, body } = await ask(reader, resource.fetch, {});
  holdsRows(body, resource);
  return {
    task,
    read: { resource, pages: [{ text, rows: true, removals: false }], whole: true },
    cursor: null,
    root: resource.key === null ? rootIn(body, resource.fetch.rows) : null,
    complete: true,
  };
}

/** A running loop. */
interface Loop {
  /** where it began, null at the start */
  from: string | null;
  /** of the next page */
  cursor: string;
  /** those that are staged */
  pages: Page[];
  begunAt: Date | null;
  /** pages that an earlier run brought */
  resumed: number;
}

const newLoop = (from: string | null): Loop => ({ from, cursor: from ?? "", pages: [], begunAt: null, resumed: 0 });

async function readLoops(
  reader: Reader,
  task: Task,
  fetch: CursorFetch,
  { stored, kept }: { stored: string | null; kept: StoredLoop | undefined },
): Promise<Outcome> {
  const { clock, database, scope, signal } = reader;
  let loop = await beginLoop(reader, task, stored, kept);
  for (let restarts = 0; ;) {
    try {
      const { last, ...end } = await readLoop(reader, task, fetch, loop);
      const pages = [...loop.pages, last];
      return {
        task,
        // Rows that a reading lacks are gone only if Plaid says that it has all of the history.
        read: { resource: task.resource, pages, whole: loop.from === null && end.complete },
        partial: loop.from === null && !end.complete,
        ...end,
        root: null,
        readWith: readWithOf(task.resource, reader.asker),
      };
    } catch (error) {
      if (loop.pages.length > 0 && passes(error)) return pause(reader, task, loop, error);
      await dropStaged(database, scope.leaseToken, task.resource.name);
      const retryClass = error instanceof PlaidError ? error.retryClass : null;
      const mutated = retryClass === "restart";
      if (mutated && restarts < RESTARTS_MAX) {
        restarts += 1;
        loop = newLoop(loop.from);
        await clock.sleep(RESTART_PAUSE_MS * restarts, signal);
      } else if ((mutated || retryClass === "cursor_invalid") && loop.from !== null) {
        loop = newLoop(null);
        restarts = 0;
      } else throw error;
    }
  }
}

/** Failures that pass: the page that failed is requested again. */
const passes = (error: unknown): boolean =>
  error instanceof Limited || (error instanceof PlaidError && error.retryClass === "backoff");

function pause(reader: Reader, task: Task, { from, cursor, pages, begunAt, resumed }: Loop, error: unknown): Outcome {
  const fullFor = (task.fullFor ?? []).filter((reason) => reason !== ON_REQUEST);
  const readWith = readWithOf(task.resource, reader.asker);
  const paused = { firstCursor: from, nextCursor: cursor, pages, readWith, fullFor, begunAt };
  return { task, failure: failureOf(error), paused, progressed: pages.length > resumed };
}

/**
 * Where the loop begins: where an earlier loop had to wait, if its pages exist and it still matches the
 * request; otherwise at its first cursor.
 */
async function beginLoop(
  reader: Reader,
  task: Task,
  stored: string | null,
  kept: StoredLoop | undefined,
): Promise<Loop> {
  const { database, scope } = reader;
  const { resource, full, fullFor = [] } = task;
  // A loop that began at the start stays a full reading, even if its pages are lost.
  const from = full || kept?.firstCursor === null ? null : stored;
  if (kept) {
    const { firstCursor, nextCursor, begunAt, pages } = kept;
    const isAskedFor =
      kept.fresh &&
      kept.readWith === readWithOf(task.resource, reader.asker) &&
      firstCursor === from &&
      fullFor.every((reason) => kept.fullFor.includes(reason));
    if (isAskedFor && (await adoptLoop(database, scope, resource.name, kept)))
      return { from, cursor: nextCursor, pages: [...pages], begunAt, resumed: pages.length };
    if (!isAskedFor) await dropPages(database, scope, resource.name, kept);
  }
  if (from === null && (await areTooMany(database, scope.integrationId))) throw new Limited(crowdedMs());
  return newLoop(from);
}

/** Reads to the end of the loop and advances it with each page. It requests the next page while it stages one. */
async function readLoop(
  reader: Reader,
  { resource }: Task,
  fetch: CursorFetch,
  loop: Loop,
): Promise<{ last: Page; cursor: string; complete: boolean }> {
  const { database, scope } = reader;
  const { nextAt, moreAt } = fetch.cursor;
  let staging: Promise<void> = Promise.resolve();
  try {
    for (;;) {
      const { text, body } = await askPage(reader, fetch, loop);
      await staging;
      const [next, more] = [valueOf(body, nextAt), valueOf(body, moreAt)];
      if (next === "" || next === null || saysNone(body, fetch)) throw notReady();
      if (typeof next !== "string" || typeof more !== "boolean" || (more && next === loop.cursor)) throw unreadable();
      const page = { text, rows: holdsRows(body, resource), removals: holdsRemovals(body, fetch) };
      if (!more) return { last: page, cursor: next, complete: saysComplete(body, fetch) };
      staging = stagePage(database, scope, resource.name, loop.pages.length, text);
      staging.catch(() => undefined); // the next await of it throws
      loop.pages.push({ ...page, text: null });
      loop.cursor = next;
    }
  } catch (error) {
    await staging; // a loop that waits must have all of its pages, and none may arrive after the drop
    throw error;
  }
}

/** Requests the next page. If pages would be lost, it retries a passing failure at once. */
async function askPage(reader: Reader, fetch: CursorFetch, { cursor, pages }: Loop): ReturnType<typeof ask> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask(reader, fetch, { [fetch.cursor.sentAs]: cursor });
    } catch (error) {
      const again = error instanceof PlaidError && error.retryClass === "backoff" && !error.rateLimited;
      if (!again || pages.length === 0 || tries === PAGE_TRIES) throw error;
      await reader.clock.sleep(growing(PAGE_PAUSE_MS, PAGE_PAUSE_MS * PAGE_TRIES, tries), reader.signal);
    }
  }
}

/** Makes one request, once the rate limit admits it. */
async function ask(
  reader: Reader,
  fetch: Fetch,
  more: Record<string, unknown>,
): Promise<{ text: string; body: Answer }> {
  const { client, limiter, signal, scope, environment, asker, accessToken, institutionId } = reader;
  const { integrationId, subjectId } = scope;
  const { endpoint } = fetch;
  const itemId = accessToken === null ? null : subjectId;
  const asking: Asking = { integrationId, environment, endpoint, itemId, institutionId };
  const waitMs = await limiter.acquire(asking, PATIENCE_MS, signal);
  if (waitMs > 0) throw new Limited(waitMs);
  const own = fetch.body?.(asker) ?? {};
  const token = accessToken === null ? {} : { access_token: accessToken };
  const { text } = await askWithin(limiter, asking, () => client.post(endpoint, { ...own, ...token, ...more }, signal));
  const body = membersOf(text);
  if (accessToken !== null) expectOwn(body, subjectId);
  return { text, body };
}

/** An answer without a history status has no history to come. */
function saysComplete(body: Answer, { history }: CursorFetch): boolean {
  const said = history ? valueOf(body, history.at) : null;
  return said === null || said === history?.complete;
}

const saysNone = (body: Answer, { history }: CursorFetch): boolean =>
  history !== undefined && valueOf(body, history.at) === history.none;

const valueOf = (body: Answer, name: string): unknown => JSON.parse(body.get(name) ?? "null") as unknown;

/** Whether the text is a non-empty array or object. */
const holdsAny = (text: string | undefined): boolean => text !== undefined && /^(\{|\[\s*[^\]\s])/.test(text);

/** Whether the answer holds rows. An answer without the member of its rows is invalid, and must not mean "no rows". */
function holdsRows(body: Answer, { key, fetch }: Resource): boolean {
  const texts = fetch.rows.map(({ at }) => body.get(at) ?? "");
  if (!texts.every((text) => text.startsWith(key === null ? "{" : "["))) throw unreadable();
  return texts.some(holdsAny);
}

/** An answer need not have removals; removals in another form must not mean "none". */
function holdsRemovals(body: Answer, { removals }: CursorFetch): boolean {
  const text = body.get(removals.at) ?? "null";
  if (text !== "null" && !text.startsWith("[")) throw unreadable();
  return holdsAny(text);
}

/** The one row of an answer, with its joined members. */
function rootIn(body: Answer, [place]: readonly RowsAt[]): Record<string, unknown> {
  if (place === undefined) return {};
  const beside = (place.with ?? []).map((field) => [field, valueOf(body, field)] as const);
  return { ...(valueOf(body, place.at) as Record<string, unknown>), ...Object.fromEntries(beside) };
}

const notReady = (): PlaidError =>
  new PlaidError({ errorType: "ITEM_ERROR", errorCode: "PRODUCT_NOT_READY", httpStatus: 200, retryClass: "trigger" });
/** The error for an answer that lacks a required member. */
export const unreadable = (): PlaidError =>
  new PlaidError({ errorType: "NETWORK", errorCode: "UNREADABLE_ANSWER", httpStatus: 200, retryClass: "backoff" });
