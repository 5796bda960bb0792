/**
 * growth: what costs as much with ten million journaled webhooks as with ten thousand. Both journals are spread over
 * the same ninety days, as a real one is. Each has a Postgres of its own, and they are measured in turn, so that neither has a
 * better minute of the machine than the other.
 */
import { load } from "./load.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { startSigner, type Signer } from "./webhooks.ts";
import { fillItems } from "./growth-items.ts";
import { fillJournal } from "./growth-journal.ts";
import { execute } from "../test/support/execute.ts";
import { openWorld, type World } from "./world.ts";
import { listWebhooks } from "../src/journal/records.ts";
import { relayDepth } from "../src/relay/ledger/overdue.ts";
import { dueDepth } from "../src/sync/depth.ts";
import { listItems } from "../src/sync/items.ts";
import { claimSubjects } from "./claims.ts";

const SMALL = 10_000;
/** Filling ten million takes over five minutes; `GROWTH_ROWS=1000000` gives a first idea. */
const LARGE = Number(process.env["GROWTH_ROWS"] ?? 10_000_000);
/** An absolute path: the large journal stays there, and a later run that finds it fills none. */
const KEPT = process.env["GROWTH_DIR"];
/** Of the other tables; a million takes minutes more. A journal that is kept keeps those that it has. */
const SMALL_ITEMS = 1000;
const LARGE_ITEMS = Number(process.env["GROWTH_ITEMS"] ?? 200_000);
const ROUNDS = 3;
const ACCEPTED = 30_000;
const CLAIMS = 200;
/** How many items a round asks for, and how often the same page is then asked for again. */
const ITEMS = 40;
const AGAIN = 5;

interface Journal {
  world: World;
  items: number;
  url: string;
  path: string;
  accepts: number[];
  claims: number[];
  /** a page that was read a moment before, and one that was not */
  warm: number[];
  cold: number[];
  asked: Record<string, number[]>;
}

export async function benchGrowth(): Promise<Row[]> {
  await using signer = await startSigner();
  await using few = await openWorld();
  await using many = await openWorld({}, KEPT);
  const small = await openJournal(few, signer, SMALL, SMALL_ITEMS);
  const large = await openJournal(many, signer, LARGE, LARGE_ITEMS);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const journal of [small, large]) await measure(journal, signer, round > 0);
    tell(`round ${round} of ${ROUNDS}`);
  }
  const aim = { ratio: 1.25, better: "less" } as const;
  const row = (what: string, figure: string, against: string, ratio: number): Row => ({
    bench: "growth",
    what: `${what} with ${LARGE.toLocaleString("en")} webhooks`,
    figure,
    against: `${against} with ${SMALL.toLocaleString("en")}`,
    ratio,
    aim,
  });
  const medians = (what: string, of: (journal: Journal) => number[]): Row => {
    const [a, b] = [median(of(large)), median(of(small))];
    return row(what, ms(a), ms(b), a / b);
  };
  const [accepted, before] = [median(large.accepts), median(small.accepts)];
  const { aim: _, ...first } = medians("the same page, asked for the first time,", ({ cold }) => cold);
  return [
    row("accept", rate(accepted), rate(before), before / accepted),
    medians("claim of 8 subjects", ({ claims }) => claims),
    medians("audit query, a page of 50 that is in memory,", ({ warm }) => warm),
    first,
    ...Object.keys(ASKED).map((what) => {
      const { aim: within, ...figure } = medians(`${what} beside many items,`, ({ asked }) => asked[what] ?? []);
      return BOUNDED.has(what) ? figure : { ...figure, aim: within };
    }),
  ];
}

/** Fills the journal and the other tables, unless they are full already, and starts a receiver. */
async function openJournal(world: World, signer: Signer, rows: number, others: number): Promise<Journal> {
  const items = await fillJournal(world, rows);
  await fillItems(world, others);
  const { id } = await world.integrate(signer.url);
  const { url } = await world.tartan(["up", "--only", "receiver"]);
  return { world, items, url, path: `/v1/integrations/${id}`, accepts: [], claims: [], warm: [], cold: [], asked: {} };
}

async function measure(journal: Journal, signer: Signer, counts: boolean): Promise<void> {
  const { world, url, path, items } = journal;
  const { perSecond } = await load({ url, requests: signer.requests(path, ACCEPTED), connections: 64 });
  // What accepting leaves to be written would otherwise be written while the queries are measured.
  await execute(world.databaseUrl, "checkpoint");
  const claimMs = await claimSubjects(world, CLAIMS);
  const { warm, cold } = await audit(world, items);
  const asked = counts ? journal.asked : {};
  await ask(world, asked);
  if (!counts) return;
  journal.accepts.push(perSecond);
  journal.claims.push(claimMs);
  journal.warm.push(...warm);
  journal.cold.push(...cold);
}

const RELAY = "the relay's part of a scrape";
/** What counts as far as a bound has no aim: it reads more where there is more, up to the bound. */
const BOUNDED: ReadonlySet<string> = new Set([RELAY]);

/** What probes and people ask for. */
const ASKED: Record<string, (world: World) => Promise<unknown>> = {
  "the queue's part of a scrape": ({ database }) => dueDepth(database),
  [RELAY]: ({ database }) => relayDepth(database),
  "a page of all items": ({ database }) => listItems(database, {}),
  "a page of the items that need their user": ({ database }) => listItems(database, { status: "needs_user" }),
  "a page of an integration without webhooks": ({ database }) => listWebhooks(database, { integration_id: "svi_none" }),
};

async function ask(world: World, took: Record<string, number[]>): Promise<void> {
  for (const [what, work] of Object.entries(ASKED)) {
    for (let turn = 0; turn < ITEMS; turn += 1) {
      const began = performance.now();
      await work(world);
      (took[what] ??= []).push(performance.now() - began);
    }
  }
}

/** The five audit patterns for random items, each page of 50: first as it is found, then again. */
async function audit({ database }: World, items: number): Promise<{ warm: number[]; cold: number[] }> {
  const warm: number[] = [];
  const cold: number[] = [];
  for (let turn = 0; turn < ITEMS; turn++) {
    const item_id = `item-${Math.floor(Math.random() * items)}`;
    const user_id = item_id.replace("item", "user");
    const patterns = [
      { item_id },
      { user_id },
      { item_id, type: "TRANSACTIONS" },
      { user_id, type: "TRANSACTIONS", code: "DEFAULT_UPDATE" },
      { item_id, source: "PLAID" },
    ] as const;
    const pattern = patterns[turn % patterns.length];
    for (let time = 0; time <= AGAIN; time += 1) {
      const began = performance.now();
      await listWebhooks(database, { ...pattern, limit: 50 });
      (time === 0 ? cold : warm).push(performance.now() - began);
    }
  }
  return { warm, cold };
}

const median = (took: readonly number[]): number => took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
