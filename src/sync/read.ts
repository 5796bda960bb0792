/**
 * Reads one resource from Plaid: a snapshot in one request, or a cursor's loop of pages. Nothing is written to the mirror
 * here; pages of a longer loop are staged under the run's lease.
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
 *                                └─ any other failure: all pages are dropped, the run tries again another time
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { dropStaged, stagePage } from "../mirror/stage.ts";
import type { Page, Scope } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import type { Asker, CursorFetch, Fetch, Resource, RowsAt } from "../resources/types.ts";
import type { Asking, Limiter } from "./limiter.ts";
import { membersOf } from "./members.ts";
import type { Failure, Outcome, Task } from "./types.ts";

/** All that reading needs of a run. */
export interface Reader {
  database: Database;
  clock: Clock;
  limiter: Limiter;
  client: PlaidClient;
  signal: AbortSignal;
  scope: Scope;
  environment: Asking["environment"];
  /** what of the integration and the subject goes into requests */
  asker: Asker;
  /** null where the subject is asked about with the client's credentials alone */
  accessToken: string | null;
  /** the token, as sealed, while Plaid has not answered it with this subject yet */
  unconfirmed: Buffer | null;
  /** of an item, as far as the mirror knows it */
  institutionId: string | null;
}

/** the members of an answer, as texts */
type Answer = ReadonlyMap<string, string>;

/** Longer waits for a turn give the subject back, so that others use the worker; within a loop they are waited out. */
const PATIENCE_MS = 2000;
const LOOP_PATIENCE_MS = 10 * 60_000;
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 100;

/** Our own limits do not let the request go for so long. */
class Limited extends Error {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("held back by a rate limit");
    this.waitMs = waitMs;
  }
}

/** Plaid answers the subject's token with another item. */
class ForeignToken extends Error {}

/** An answer that names its item must name ours. */
function expectOwn(body: Answer, itemId: string): void {
  const item = valueOf(body, "item");
  const named = typeof item === "object" && item !== null ? (item as { item_id?: unknown }).item_id : undefined;
  if (typeof named === "string" && named !== itemId)
    throw new ForeignToken("The access token belongs to another item; nothing that it reads is mirrored.");
}

/**
 * Brings what Plaid has of one resource. Failures of Plaid are outcomes.
 * @param cursor where the last run ended, null to read from the start
 * @throws TartanError `lease_lost`; the signal's reason when it aborts; whatever nobody foresaw
 */
export async function readResource(reader: Reader, task: Task, cursor: string | null): Promise<Outcome> {
  try {
    const { fetch } = task.resource;
    return fetch.kind === "snapshot"
      ? await readSnapshot(reader, task)
      : await readLoops(reader, task, fetch, task.full ? null : cursor);
  } catch (error) {
    return { task, failure: failureOf(error) };
  }
}

/** The options that a reading which begins now shapes its rows with. */
export const readWithOf = ({ fetch }: Resource, asker: Asker): string =>
  fetch.kind === "cursor" ? (fetch.readWith?.(asker) ?? "") : "";

/** What of an integration goes into requests about a subject. */
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
  const { text, body } = await ask(reader, resource.fetch, {}, PATIENCE_MS);
  holdsRows(body, resource.fetch.rows);
  return {
    task,
    read: { resource, pages: [{ text, rows: true, removals: false }], whole: true },
    cursor: null,
    root: resource.key === null ? rootIn(body, resource.fetch.rows) : null,
    complete: true,
  };
}

async function readLoops(reader: Reader, task: Task, fetch: CursorFetch, stored: string | null): Promise<Outcome> {
  const { clock, database, scope, signal } = reader;
  let from = stored;
  for (let restarts = 0; ;) {
    try {
      const { pages, ...end } = await readLoop(reader, task, fetch, from);
      return {
        task,
        // What a reading lacks is gone only where Plaid says that it has all of the history.
        read: { resource: task.resource, pages, whole: from === null && end.complete },
        partial: from === null && !end.complete,
        ...end,
        root: null,
        readWith: readWithOf(task.resource, reader.asker),
      };
    } catch (error) {
      await dropStaged(database, scope.leaseToken, task.resource.name);
      const retryClass = error instanceof PlaidError ? error.retryClass : null;
      const mutated = retryClass === "restart";
      if (mutated && restarts < RESTARTS_MAX) {
        restarts += 1;
        await clock.sleep(RESTART_PAUSE_MS * restarts, signal);
      } else if ((mutated || retryClass === "cursor_invalid") && from !== null) {
        from = null;
        restarts = 0;
      } else throw error;
    }
  }
}

/** One loop. While a page is staged the next one is asked for. */
async function readLoop(
  reader: Reader,
  { resource }: Task,
  fetch: CursorFetch,
  from: string | null,
): Promise<{ pages: Page[]; cursor: string; complete: boolean }> {
  const { database, scope } = reader;
  const { sentAs, nextAt, moreAt } = fetch.cursor;
  const pages: Page[] = [];
  let cursor = from ?? "";
  let staging: Promise<void> = Promise.resolve();
  try {
    for (;;) {
      const patience = pages.length === 0 ? PATIENCE_MS : LOOP_PATIENCE_MS;
      const { text, body } = await ask(reader, fetch, { [sentAs]: cursor }, patience);
      await staging;
      const [next, more] = [valueOf(body, nextAt), valueOf(body, moreAt)];
      if (next === "" || next === null || saysNone(body, fetch)) throw notReady();
      if (typeof next !== "string" || typeof more !== "boolean" || (more && next === cursor)) throw malformed();
      const page = { text, rows: holdsRows(body, fetch.rows), removals: holdsAny(body.get(fetch.removals.at)) };
      if (!more) return { pages: [...pages, page], cursor: next, complete: saysComplete(body, fetch) };
      staging = stagePage(database, scope, resource.name, pages.length, text);
      staging.catch(() => undefined); // heard of at the next await of it
      pages.push({ ...page, text: null });
      cursor = next;
    }
  } finally {
    await staging.catch(() => undefined); // a page that is still on its way must not arrive after the drop
  }
}

/** One request, when its turn has come. A 429 slows whom Plaid limited, for every process. */
async function ask(
  reader: Reader,
  fetch: Fetch,
  more: Record<string, unknown>,
  patienceMs: number,
): Promise<{ text: string; body: Answer }> {
  const { client, limiter, signal, scope, environment, asker, accessToken, institutionId } = reader;
  const { integrationId, subjectId } = scope;
  const { endpoint } = fetch;
  const itemId = accessToken === null ? null : subjectId;
  const asking: Asking = { integrationId, environment, endpoint, itemId, institutionId };
  const waitMs = await limiter.acquire(asking, patienceMs, signal);
  if (waitMs > 0) throw new Limited(waitMs);
  const own = fetch.body?.(asker) ?? {};
  const token = accessToken === null ? {} : { access_token: accessToken };
  try {
    const { text } = await client.post(endpoint, { ...own, ...token, ...more }, signal);
    limiter.answered(asking);
    const body = membersOf(text);
    if (accessToken !== null) expectOwn(body, subjectId);
    return { text, body };
  } catch (error) {
    if (error instanceof PlaidError && error.rateLimited) {
      const { errorCode, retryAfterSeconds: seconds } = error;
      await limiter.refused(asking, { errorCode, retryAfterMs: seconds === undefined ? undefined : seconds * 1000 });
    }
    throw error;
  }
}

/** An answer that does not speak of its history has none to come. */
function saysComplete(body: Answer, { history }: CursorFetch): boolean {
  const said = history ? valueOf(body, history.at) : null;
  return said === null || said === history?.complete;
}

const saysNone = (body: Answer, { history }: CursorFetch): boolean =>
  history !== undefined && valueOf(body, history.at) === history.none;

const valueOf = (body: Answer, name: string): unknown => JSON.parse(body.get(name) ?? "null") as unknown;

/** Whether the text is that of an array or object with something in it. */
const holdsAny = (text: string | undefined): boolean => text !== undefined && /^(\{|\[\s*[^\]\s])/.test(text);

/** Whether the answer holds rows. One that lacks their place is no answer, and must not pass for "none left". */
function holdsRows(body: Answer, places: readonly RowsAt[]): boolean {
  const texts = places.map(({ at }) => body.get(at) ?? "");
  if (!texts.every((text) => text.startsWith("[") || text.startsWith("{"))) throw malformed();
  return texts.some(holdsAny);
}

/** The one row of an answer, with what is joined to it. */
function rootIn(body: Answer, [place]: readonly RowsAt[]): Record<string, unknown> {
  if (place === undefined) return {};
  const beside = (place.with ?? []).map((field) => [field, valueOf(body, field)] as const);
  return { ...(valueOf(body, place.at) as Record<string, unknown>), ...Object.fromEntries(beside) };
}

const notReady = (): PlaidError =>
  new PlaidError({ errorType: "ITEM_ERROR", errorCode: "PRODUCT_NOT_READY", httpStatus: 200, retryClass: "trigger" });
const malformed = (): PlaidError =>
  new PlaidError({ errorType: "NETWORK", errorCode: "UNREADABLE_ANSWER", httpStatus: 200, retryClass: "backoff" });
