/**
 * changes: `GET /v1/changes` of a real process over ten million changes and, in the same run, over two hundred thousand. A reader takes every
 * page of 500, from the first to the last. Beside them is Postgres alone, which yields the same payloads in the order of their ids; then one table with a
 * change in four thousand, and the answer that nothing is new.
 *
 * `CHANGES_ROWS=1000000` gives a first idea. Its database, about 600 bytes a change, is removed at the end.
 */
import { execute } from "../test/support/execute.ts";
import type { TartanProcess } from "../test/support/process.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { cpuSeconds, openWorld, residentBytes, type World } from "./world.ts";

const SMALL = 200_000;
const LARGE = Number(process.env["CHANGES_ROWS"] ?? 10_000_000);
/** A reading ends then, with what it has measured so far. */
const LIMIT_MS = Number(process.env["CHANGES_MINUTES"] ?? 10) * 60_000;
const BATCH = 200_000;
const PAGE = 500;
const POLLS = 200;
const KEY = "a-key-of-this-bench-only-0123456789";

const transaction = (n: number): object => ({
  transaction_id: `lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzq${String(n).padStart(3, "0")}`,
  account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
  amount: 28.34,
  date: "2026-11-20",
  name: "Dunkin' Donuts",
  merchant_name: "Dunkin' Donuts",
  iso_currency_code: "USD",
  pending: false,
  payment_channel: "in store",
  personal_finance_category: { primary: "FOOD_AND_DRINK", detailed: "FOOD_AND_DRINK_FAST_FOOD" },
});

const dataOf = (rows: number): string =>
  JSON.stringify({
    run_id: "run_019a9ae07a4c7a00b8f1c2d3e4f50617",
    part: 1,
    parts: 1,
    counts: { added: rows, modified: 0, removed: 0 },
    added: Array.from({ length: rows }, (_, n) => transaction(n)),
    modified: [],
    removed: [],
  });

const envelope = (id: string, type: string, data: string): string =>
  `events.envelope(${id}, ${type}, now(), 'svi_bench', 'sandbox', 'item-' || n % 100000, null, null, null, false, ${data})`;

/**
 * Syncs, each a commit with its sync.completed, that change the rows from the $1st to the $2nd: of 200 rows one sync changes a hundred, and
 * twenty change five each. $3 and $4 are the rows.
 */
const FILL = `
with syncs as materialized (
  select n, tartan.new_id() as id, tartan.new_id() as completed, n % 200 = 0 as large,
    case when n % 20000 = 105 then 'holdings.changed' else 'transactions.changed' end as type
  from generate_series($1::bigint, $2::bigint) n where n % 200 = 0 or (n % 200 >= 100 and n % 5 = 0)
), changed as (
  insert into events.events (id, type, integration_id, item_id, payload)
  select id, type, 'svi_bench', 'item-' || n % 100000, ${envelope("id", "type", "case when large then $3::text else $4::text end")} from syncs
), completed as (
  insert into events.events (id, type, integration_id, item_id, payload)
  select completed, 'sync.completed', 'svi_bench', 'item-' || n % 100000, ${envelope("completed", "'sync.completed'", "'{}'")} from syncs
)
insert into events.outbox (events, types, position) select array[id, completed], array[type, 'sync.completed'], n + 1 from syncs order by n`;

interface Reading {
  changes: number;
  seconds: number;
  /** of each page, in milliseconds, sorted */
  pages: number[];
  resident: number;
  /** of the process that answers */
  cpu: number;
}

export async function benchChanges(): Promise<Row[]> {
  await using world = await openWorld({ synchronous_commit: "off" });
  await using api = await world.tartan(["up", "--only", "api"], { TARTAN_ADMIN_KEY: KEY });
  await fill(world, 0, SMALL);
  const small = await readAll(api);
  tell(`${SMALL.toLocaleString("en")} changes: ${rate(small.changes / small.seconds)}`);
  await fill(world, SMALL, LARGE);
  const large = await readAll(api);
  const plain = await readPlainly(world, large.seconds);
  const rare = await readAll(api, "&resource=holdings");
  return [...ofReadings(large, small), ...ofPeers(large, plain), ...(await ofFew(api, rare))];
}

async function fill({ database, databaseUrl }: World, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += BATCH) {
    await database.transaction(
      (tx) => tx.query(FILL, [first, Math.min(first + BATCH, to) - 1, dataOf(100), dataOf(5)]),
      "long",
    );
    if ((first / BATCH) % 10 === 0) tell(`${first.toLocaleString("en")} changes are written`);
  }
  await execute(
    databaseUrl,
    "select setval('events.positions', (select max(position) from events.outbox))",
    "vacuum analyze events.events",
    "vacuum analyze events.outbox",
    "checkpoint",
  );
}

async function ask({ url }: TartanProcess, query: string): Promise<{ text: string; cursor: string; took: number }> {
  const began = performance.now();
  const response = await fetch(`${url}/v1/changes?${query}`, { headers: { authorization: `Bearer ${KEY}` } });
  const text = await response.text();
  const cursor = /"next_cursor":"([^"]+)"}$/.exec(text.slice(-300))?.[1];
  if (cursor === undefined) throw new Error(`no page: ${text.slice(0, 300)}`);
  return { text, cursor, took: performance.now() - began };
}

/** Every page from the first to the end, or as many as the time allows. */
async function readAll(api: TartanProcess, more = ""): Promise<Reading> {
  const { cursor: end } = await ask(api, "cursor=now");
  const reading: Reading = { changes: 0, seconds: 0, pages: [], resident: 0, cpu: 0 };
  const began = performance.now();
  const used = cpuSeconds(api.pid);
  for (let cursor = "start"; cursor !== end && performance.now() - began < LIMIT_MS;) {
    const page = await ask(api, `limit=${PAGE}&cursor=${cursor}${more}`);
    if (page.cursor === cursor) break;
    ({ cursor } = page);
    reading.changes += page.text.split('"event_id"').length - 1;
    reading.pages.push(page.took);
    reading.resident = Math.max(reading.resident, residentBytes(api.pid));
  }
  reading.seconds = (performance.now() - began) / 1000;
  reading.cpu = cpuSeconds(api.pid) - used;
  reading.pages.sort((a, b) => a - b);
  return reading;
}

const PLAIN = `select id, payload from events.events where id > $1::uuid and type = 'transactions.changed' order by id limit 100`;

/** The payloads in the order of their ids, for as long. @returns changes a second */
async function readPlainly({ database }: World, seconds: number): Promise<number> {
  const perByte = 100 / dataOf(100).length;
  const until = performance.now() + Math.min(seconds, 60) * 1000;
  const began = performance.now();
  let bytes = 0;
  for (let last = "00000000-0000-0000-0000-000000000000"; performance.now() < until;) {
    const { rows } = await database.query<{ id: string; payload: Buffer }>(PLAIN, [last]);
    const end = rows.at(-1);
    if (!end) break;
    last = end.id;
    for (const { payload } of rows) bytes += payload.length;
  }
  return (bytes * perByte) / ((performance.now() - began) / 1000);
}

const at = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
const perSecond = ({ changes, seconds }: Reading): number => changes / seconds;

/** Milliseconds for 1000 changes. */
const cpuOf = ({ cpu, changes }: Reading): number => (cpu * 1e6) / changes;

function ofReadings(large: Reading, small: Reading): Row[] {
  const of = `of ${large.changes.toLocaleString("en")} changes`;
  const bench = "changes";
  return [
    {
      bench,
      what: `pages of 500 ${of}, one reader`,
      figure: rate(perSecond(large)),
      against: `${rate(perSecond(small))} of ${small.changes.toLocaleString("en")}`,
      ratio: perSecond(large) / perSecond(small),
      aim: { ratio: 0.8, better: "more" },
    },
    {
      bench,
      what: `a page ${of}, p50 / p99`,
      figure: `${ms(at(large.pages, 0.5))} / ${ms(at(large.pages, 0.99))}`,
      against: `${ms(at(small.pages, 0.5))} / ${ms(at(small.pages, 0.99))} of ${small.changes.toLocaleString("en")}`,
      ratio: at(large.pages, 0.99) / at(small.pages, 0.99),
      aim: { ratio: 1.5, better: "less" },
    },
    {
      bench,
      what: "processor time of the process for 1000 changes",
      figure: ms(cpuOf(large)),
      against: `${ms(cpuOf(small))} of ${small.changes.toLocaleString("en")}`,
      ratio: cpuOf(large) / cpuOf(small),
      aim: { ratio: 1.25, better: "less" },
    },
    {
      bench,
      what: `memory of the process, most while it answers ${of}`,
      figure: mib(large.resident),
      against: `${mib(small.resident)} of ${small.changes.toLocaleString("en")}`,
      ratio: large.resident / small.resident,
      aim: { ratio: 1.25, better: "less" },
    },
  ];
}

const ofPeers = (large: Reading, plain: number): Row[] => [
  {
    bench: "changes",
    what: "the same against Postgres alone, payloads by id",
    figure: rate(perSecond(large)),
    against: rate(plain),
    ratio: perSecond(large) / plain,
  },
];

/** A table with few changes, and no change at all. */
async function ofFew(api: TartanProcess, rare: Reading): Promise<Row[]> {
  const { cursor } = await ask(api, "cursor=now");
  const polls: number[] = [];
  for (let n = 0; n < POLLS; n += 1) polls.push((await ask(api, `cursor=${cursor}`)).took);
  polls.sort((a, b) => a - b);
  return [
    {
      bench: "changes",
      what: `a table with ${rare.changes.toLocaleString("en")} changes among all, from the first to the last`,
      figure: `${rare.seconds.toFixed(1)} s`,
      against: `${rare.pages.length} pages, p99 ${ms(at(rare.pages, 0.99))}`,
    },
    { bench: "changes", what: "nothing is new, p50 / p99", figure: `${ms(at(polls, 0.5))} / ${ms(at(polls, 0.99))}` },
  ];
}
