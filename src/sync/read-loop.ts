/**
 * Reads a resource page by page; pager.ts says how pages follow one another.
 *
 * The loop, as a cursor's goes (https://plaid.com/docs/api/products/transactions/#transactionssync); others begin at their start:
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
import { dropStaged } from "../mirror/stage.ts";
import type { Page } from "../mirror/types.ts";
import { PlaidError } from "../plaid/errors.ts";
import { ask, holdsRemovals, holdsRows, Limited, unreadable, type Reader } from "./ask.ts";
import { failureOf } from "./failure.ts";
import { adoptLoop, areTooMany, dropPages } from "./loops.ts";
import { pagerOf, type PagedFetch, type Pager } from "./pager.ts";
import { growing } from "./retry.ts";
import { changedSince } from "./since.ts";
import { stagePage } from "./staging.ts";
import { ON_REQUEST, type Outcome, type StoredLoop, type Task } from "./types.ts";

/** How often a page is asked for in one run, and the first pause between. */
const PAGE_TRIES = 3;
const PAGE_PAUSE_MS = 250;
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 100;
/** How long a reading of everything waits that may not begin: between two and four minutes. */
const CROWDED_MS = 4 * 60_000;
const crowdedMs = (): number => growing(CROWDED_MS, CROWDED_MS, 1);

/** A loop under way. */
interface Loop {
  /** where it began, null at the start */
  from: string | null;
  /** of the page that comes next: a cursor, or what pager.ts has instead */
  cursor: string;
  /** those that are staged */
  pages: Page[];
  begunAt: Date | null;
  /** pages that an earlier run brought */
  resumed: number;
}

const newLoop = (from: string | null): Loop => ({ from, cursor: from ?? "", pages: [], begunAt: null, resumed: 0 });

/** Where the last run ended, and a loop of the resource that had to wait. */
interface Before {
  stored: string | null;
  kept: StoredLoop | undefined;
  /** the options that a reading which begins now shapes its rows with */
  readWith: string;
}

/** Reads to the end, or to where it has to wait. @throws what readResource turns into a failure */
export async function readLoops(reader: Reader, task: Task, fetch: PagedFetch, before: Before): Promise<Outcome> {
  const { clock, database, scope, signal } = reader;
  const pager = pagerOf(task.resource, fetch, clock);
  const { readWith } = before;
  let loop = await beginLoop(reader, task, before);
  for (let restarts = 0; ;) {
    try {
      const { last, end, complete } = await readLoop(reader, task, { fetch, pager }, loop);
      const isCompared = task.compare === true && loop.from === null && before.stored !== null;
      const since =
        isCompared && fetch.kind === "cursor"
          ? { since: await changedSince(reader, task.resource, { fetch, pager }, before.stored ?? "") }
          : {};
      const pages = [...loop.pages, last];
      return {
        task,
        // What a reading lacks is gone only where Plaid says that it has all of the history.
        read: { resource: task.resource, pages, ...pager.gone(end, loop.from === null && complete) },
        partial: loop.from === null && !complete,
        cursor: pager.stored(end),
        complete,
        root: null,
        readWith,
        ...since,
      };
    } catch (error) {
      if (loop.pages.length > 0 && passes(error)) return pause(task, loop, readWith, error);
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

/** What ends by itself: the page that failed is asked for again. */
const passes = (error: unknown): boolean =>
  error instanceof Limited || (error instanceof PlaidError && error.retryClass === "backoff");

function pause(task: Task, { from, cursor, pages, begunAt, resumed }: Loop, readWith: string, error: unknown): Outcome {
  const fullFor = (task.fullFor ?? []).filter((reason) => reason !== ON_REQUEST);
  const paused = { firstCursor: from, nextCursor: cursor, pages, readWith, fullFor, begunAt };
  return { task, failure: failureOf(error, task.resource), paused, progressed: pages.length > resumed };
}

/**
 * Where the loop begins: where an earlier one had to wait, as long as its pages are there and it is still what is asked
 * for; otherwise at its first cursor.
 */
async function beginLoop(reader: Reader, task: Task, { stored, kept, readWith }: Before): Promise<Loop> {
  const { database, scope } = reader;
  const { resource, full, fullFor = [] } = task;
  // A loop that began at the start has to end as such, even if its pages are lost.
  const from = full || kept?.firstCursor === null ? null : stored;
  if (kept) {
    const { firstCursor, nextCursor, begunAt, pages } = kept;
    const isAskedFor =
      kept.fresh &&
      kept.readWith === readWith &&
      firstCursor === from &&
      fullFor.every((reason) => kept.fullFor.includes(reason));
    if (isAskedFor && (await adoptLoop(database, scope, resource.name, kept)))
      return { from, cursor: nextCursor, pages: [...pages], begunAt, resumed: pages.length };
    if (!isAskedFor) await dropPages(database, scope, resource.name, kept);
  }
  if (from === null && (await areTooMany(database, scope.integrationId))) throw new Limited(crowdedMs());
  return newLoop(from);
}

/** Reads to the end of the loop, which it moves on with each page. While a page is staged the next one is asked for. */
async function readLoop(
  reader: Reader,
  { resource }: Task,
  paged: { fetch: PagedFetch; pager: Pager },
  loop: Loop,
): Promise<{ last: Page; end: string; complete: boolean }> {
  const { database, scope } = reader;
  let staging: Promise<void> = Promise.resolve();
  try {
    for (;;) {
      const { text, body } = await askPage(reader, paged, loop);
      await staging;
      const { cursor: next, more, complete } = paged.pager.next(body, loop.cursor);
      if (more && next === loop.cursor) throw unreadable();
      const page = { text, rows: holdsRows(body, resource), removals: holdsRemovals(body, resource) };
      if (!more) return { last: page, end: next, complete };
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

/** Asks for the page that comes next. Where a few pages are at stake, a failure that passes is tried again at once. */
async function askPage(
  reader: Reader,
  { fetch, pager }: { fetch: PagedFetch; pager: Pager },
  { cursor, pages }: Loop,
): ReturnType<typeof ask> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask(reader, fetch, pager.fields(cursor));
    } catch (error) {
      const again = error instanceof PlaidError && error.retryClass === "backoff" && !error.rateLimited;
      if (!again || pages.length === 0 || tries === PAGE_TRIES) throw error;
      await reader.clock.sleep(growing(PAGE_PAUSE_MS, PAGE_PAUSE_MS * PAGE_TRIES, tries), reader.signal);
    }
  }
}
