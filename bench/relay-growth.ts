/**
 * relay-growth: what the relay asks of its tables all the time, with ten million deliveries and with two hundred thousand, on
 * the same server in the same run. Each statement is asked as the relay asks it; the figure is the median.
 *
 * `RELAY_GROWTH_ROWS=1000000` gives a first idea. Its database is removed at the end.
 */
import { recordEvents } from "../src/events/events.ts";
import { Dispatcher } from "../src/relay/dispatch/dispatcher.ts";
import { createDestination } from "../src/relay/destinations/destinations.ts";
import { groups } from "../src/relay/ledger/dead-letters.ts";
import { listDeliveries } from "../src/relay/ledger/deliveries.ts";
import { CHECK_LEASES } from "../src/relay/delivery/lease-queries.ts";
import { FETCH_DUE, FETCH_DUE_KEYS } from "../src/relay/delivery/prefetch-queries.ts";
import { createRoute } from "../src/relay/routing/routes.ts";
import { findOverdue, relayDepth } from "../src/relay/ledger/overdue.ts";
import { ms, tell, type Row } from "./report.ts";
import { execute } from "../test/support/execute.ts";
import { openWorld, type World } from "./world.ts";

const SMALL = 200_000;
const LARGE = Number(process.env["RELAY_GROWTH_ROWS"] ?? 10_000_000);
const BATCH = 500_000;
const DESTINATIONS = 20;
const ROUNDS = 30;
const DISPATCHES = 7;
/** The whole run ends then, with what it has measured so far. */
const LIMIT_MS = Number(process.env["RELAY_GROWTH_MINUTES"] ?? 40) * 60_000;

/**
 * Of a hundred deliveries: 75 delivered, 10 dead, 15 that wait, 5 of them with an ordering key; two days old to new. What is counted up to a
 * limit reaches it at both sizes.
 */
const FILL = `
  insert into relay.deliveries (id, destination_id, event_id, event_type, item_id, ordering_key, route_id, route_version, form, status,
    due_at, attempts, tries, cause, finished_at)
  select tartan.new_id(at, n), ($1::text[])[1 + n % cardinality($1::text[])], tartan.new_id(at, n), 'item.updated', 'item-' || item,
    case when kind between 85 and 89 then 'item-' || item end, 'rte_bench', 1, 'event',
    case when kind < 75 then 'delivered' when kind < 85 then 'dead' else 'scheduled' end,
    case when kind >= 85 then at + interval '1 day' end, 1, 1,
    case when kind between 75 and 84 then 'status_500' end, case when kind < 85 then at end
  from generate_series($2::bigint, $3::bigint) n
  cross join lateral (
    select floor(random() * 100)::int as kind, floor(random() * $4::int)::int as item,
      now() - interval '2 days' * (1 - n::float8 / $5) as at) r`;

/** Triggers do not run for the rows above. */
const FILL_ORDERING_KEYS = `
  insert into relay.ordering_keys (destination_id, ordering_key, due_at)
  select distinct on (destination_id, ordering_key) destination_id, ordering_key, due_at from relay.deliveries
  where status = 'scheduled' and ordering_key is not null order by destination_id, ordering_key, seq
  on conflict (destination_id, ordering_key) do update set due_at = excluded.due_at`;

type Question = () => Promise<unknown>;

export async function benchRelayGrowth(): Promise<Row[]> {
  const until = performance.now() + LIMIT_MS;
  await using world = await openWorld({ synchronous_commit: "off" });
  const ids = await destinations(world);
  await fill(world, ids, 1, SMALL, until);
  const small = await measure(world, ids);
  tell(`measured with ${SMALL.toLocaleString("en")} deliveries`);
  const rows = await fill(world, ids, SMALL + 1, LARGE, until);
  const large = await measure(world, ids);
  return [...large].map(([what, figure]) => {
    const against = small.get(what) ?? 0;
    return {
      bench: "relay-growth",
      what: `${what} with ${rows.toLocaleString("en")} deliveries`,
      figure: ms(figure),
      against: `${ms(against)} with ${SMALL.toLocaleString("en")}`,
      ratio: figure / against,
      aim: { ratio: 1.25, better: "less" },
    };
  });
}

/** Nobody works here, so they keep what waits for them. */
async function destinations(world: World): Promise<string[]> {
  const urls = { allowHttp: true, checkUrl: () => undefined };
  const ids: string[] = [];
  for (let n = 0; n < DESTINATIONS; n += 1) {
    const { id } = await createDestination({ ...world, urls }, { url: "http://127.0.0.1:9/" });
    await createRoute(world.database, { destination_id: id });
    ids.push(id);
  }
  await world.database.query("update relay.destinations set updated_at = now() - interval '1 day'");
  return ids;
}

/** @returns how many there are */
async function fill(world: World, ids: string[], from: number, to: number, until: number): Promise<number> {
  const { database } = world;
  let there = from - 1;
  while (there < to && performance.now() < until) {
    const end = Math.min(to, there + BATCH);
    const values = [ids, there + 1, end, Math.ceil(to / 200), to];
    await database.transaction(async (tx) => {
      // Foreign keys of rows that name destinations which were just made need no look for each row.
      await tx.query("set local session_replication_role = replica");
      await tx.query(FILL, values);
    }, "long");
    there = end;
    tell(`${there.toLocaleString("en")} deliveries`);
  }
  await execute(
    world.databaseUrl,
    FILL_ORDERING_KEYS,
    "vacuum analyze relay.deliveries",
    "vacuum analyze relay.ordering_keys",
    "checkpoint",
  );
  return there;
}

/** Milliseconds by question. */
async function measure(world: World, ids: string[]): Promise<Map<string, number>> {
  const { database } = world;
  const [first = ""] = ids;
  const epochs = ids.map(() => 0);
  const nobody = "00000000-0000-0000-0000-000000000000";
  const questions: Record<string, Question> = {
    "depth (every 30 s)": () => relayDepth(database),
    "overdue (every 30 s)": () => findOverdue(database),
    "look after 20 destinations": () => database.query(CHECK_LEASES, [ids, nobody, epochs]),
    "fetch what is due": () => database.query(FETCH_DUE, [first, [], 16, false, 1_000_000]),
    "fetch what became due": () => database.query(FETCH_DUE, [first, [], 16, true, 1_000_000]),
    "fetch of ordering keys": () => database.query(FETCH_DUE_KEYS, [first, [], 8, 16, 1_000_000]),
    "groups of dead letters, page of 50": () => groups(database, {}),
    "dead letters, page of 50": () => listDeliveries(database, { status: "dead" }),
    "undelivered, page of 50": () => listDeliveries(database, { status: "undelivered", destination_id: first }),
  };
  const found = new Map<string, number>();
  for (const [what, question] of Object.entries(questions)) found.set(what, await medianOf(ROUNDS, question));
  found.set("dispatch of 100 events to 20 destinations", await dispatchMs(world));
  return found;
}

async function dispatchMs({ database }: World): Promise<number> {
  const dispatcher = new Dispatcher(database, "bench");
  const event = { type: "item.updated", integrationId: null, itemId: "item-1", userId: null, environment: "sandbox" };
  const record = () =>
    database.transaction((tx) =>
      recordEvents(
        tx,
        Array.from({ length: 100 }, () => ({ ...event, data: {} })),
      ),
    );
  return await medianOf(DISPATCHES, () => dispatcher.dispatch(), record);
}

async function medianOf(rounds: number, question: Question, before: Question = async () => undefined): Promise<number> {
  const took: number[] = [];
  for (let round = 0; round < rounds + 3; round += 1) {
    await before();
    const began = performance.now();
    await question();
    // The first ones plan the statement and warm the cache.
    if (round >= 3) took.push(performance.now() - began);
  }
  return took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
}
