/**
 * Counts how fresh the resources of each integration are. With a million items that is ten million rows, so it is not done when somebody
 * asks: one process at a time makes a pass, in pages of some thousand rows, and then waits for 20 times as long as it took, and for a
 * minute at least. A pass whose process died is begun anew when its lease ends.
 */
import type { Clock } from "../clock.ts";
import type { Database, Queryable, Statement } from "../database/types.ts";
import {
  CLAIM_PASS,
  COUNT_CURSORS,
  COUNT_ITEMS,
  END_PASS,
  FORGET_COUNTS,
  FORGET_ITEM_COUNTS,
  KEEP_PASS,
  PAGE_ROWS,
  STORE_COUNTS,
  STORE_ITEM_COUNTS,
} from "./freshness-queries.ts";

export interface FreshnessOptions {
  database: Database;
  clock: Clock;
  /** what was read within it is fresh */
  windowSeconds: number;
}

const LEASE_SECONDS = 120;
const LEAST_SECONDS = 60;
const TIMES_AS_LONG = 20;

type Counts = Record<string, unknown>;

interface PageOfCounts {
  counts: Counts[] | null;
  last: string[] | null;
  rows: number;
}

/** Makes a pass if one is due. @returns false: there is no more to do now */
export async function countFreshness(options: FreshnessOptions, signal: AbortSignal): Promise<boolean> {
  const { database, clock, windowSeconds } = options;
  const [claim] = (await database.query<{ lease: string; began_at: string }>(CLAIM_PASS, [LEASE_SECONDS])).rows;
  if (claim === undefined) return false;
  const began = clock.now();
  const { lease } = claim;
  const cursors = await pages(options, lease, COUNT_CURSORS, ["", "", "", ""], [windowSeconds], signal);
  const items = cursors && (await pages(options, lease, COUNT_ITEMS, ["", ""], [], signal));
  if (cursors === null || items === null) return false;
  const took = (clock.now() - began) / 1000;
  const next = Math.max(LEAST_SECONDS, took * TIMES_AS_LONG);
  await database.transaction((tx) => store(tx, [lease, windowSeconds, claim.began_at, took, next], cursors, items));
  return false;
}

async function store(tx: Queryable, end: unknown[], cursors: Counts[], items: Counts[]): Promise<void> {
  if ((await tx.query(END_PASS, end)).rowCount === 0) return;
  await tx.query(FORGET_COUNTS);
  await tx.query(STORE_COUNTS, [JSON.stringify(cursors)]);
  await tx.query(FORGET_ITEM_COUNTS);
  await tx.query(STORE_ITEM_COUNTS, [JSON.stringify(items)]);
}

/** The counts of all pages; null where the process stops, or another makes the pass. */
async function pages(
  { database, clock }: FreshnessOptions,
  lease: string,
  statement: Statement,
  first: string[],
  values: unknown[],
  signal: AbortSignal,
): Promise<Counts[] | null> {
  const sums = new Map<string, Counts>();
  for (let behind: string[] | null = first; behind !== null;) {
    if (signal.aborted || (await database.query(KEEP_PASS, [lease, LEASE_SECONDS])).rowCount === 0) return null;
    const began = clock.now();
    const page: PageOfCounts | undefined = (await database.query<PageOfCounts>(statement, [...behind, ...values]))
      .rows[0];
    for (const counts of page?.counts ?? []) add(sums, counts);
    behind = page && page.rows === PAGE_ROWS ? page.last : null;
    // Half of a connection's time at most.
    if (behind !== null) await clock.sleep(clock.now() - began, signal);
  }
  return [...sums.values()];
}

const NAMES = ["integration_id", "kind", "resource"];
const OLDEST = "oldest_verified_at";

/** Adds the counts of a page to those of the same resource. A few hundred sums are held, however many pages there are. */
function add(sums: Map<string, Counts>, counts: Counts): void {
  const name = JSON.stringify(NAMES.map((each) => counts[each]));
  const sum = sums.get(name);
  if (sum === undefined) return void sums.set(name, counts);
  for (const [field, value] of Object.entries(counts)) {
    if (typeof value === "number") sum[field] = Number(sum[field]) + value;
  }
  const [one, other] = [sum[OLDEST], counts[OLDEST]];
  if (typeof other === "string" && (typeof one !== "string" || Date.parse(other) < Date.parse(one)))
    sum[OLDEST] = other;
}
