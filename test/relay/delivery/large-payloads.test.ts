/** Events of a megabyte: they reach every destination, in bounded memory, and nothing else waits for them. */
import { setImmediate as nextRound } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Database, Queryable } from "../../../src/database/types.ts";
import { append } from "../../../src/journal/append.ts";
import { turnFor } from "../../../src/relay/content/large-work.ts";
import { readSources, slices } from "../../../src/relay/content/sources.ts";
import type { PrefetchedDelivery } from "../../../src/relay/delivery/prefetcher.ts";
import { PayloadMemory } from "../../../src/relay/delivery/payloads.ts";
import { Dispatcher } from "../../../src/relay/dispatch/dispatcher.ts";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { getDeliveryBody } from "../../../src/relay/ledger/deliveries.ts";
import { deliveries, dispatchAll } from "../past.ts";
import { webhook } from "../../support/webhook.ts";
import { linkItem } from "../../journal/support.ts";
import { until } from "../../support/until.ts";
import { count } from "../support.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const MB = 1024 * 1024;
const NOWHERE = { url: "http://127.0.0.1:9" };

/** Journals webhooks whose bodies are a megabyte of JSON, ten a commit. */
async function journalLarge({ database }: World, times: number): Promise<void> {
  const filler = "x".repeat(MB - 100);
  for (let n = 0; n < times; n += 10) {
    const ten = Array.from({ length: Math.min(10, times - n) }, (_, at) =>
      webhook({ itemId: `item-${n + at}`, body: Buffer.from(JSON.stringify({ n: n + at, filler })) }),
    );
    await append(database, ten);
  }
}

/** Counts the bytes of parameters and results, of statements and transactions alike. */
function counting(database: Database): Database & { largest: number; total: number } {
  const sizeOf = (value: unknown): number => {
    if (Buffer.isBuffer(value)) return value.length;
    if (typeof value === "string") return value.length;
    if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + sizeOf(each), 0);
    if (typeof value !== "object" || value === null) return 8;
    return Object.values(value).reduce((sum: number, each) => sum + sizeOf(each), 0);
  };
  const counted = {
    largest: 0,
    total: 0,
    query: watch(database),
    transaction: <T>(work: (tx: Queryable) => Promise<T>) =>
      database.transaction((tx) => work({ query: watch(tx) as Queryable["query"] })),
    listen: database.listen.bind(database),
    [Symbol.asyncDispose]: async () => undefined,
  };
  function watch(q: Queryable) {
    return async (...given: Parameters<Queryable["query"]>) => {
      const result = await q.query(...given);
      for (const bytes of [sizeOf(given[1]), sizeOf(result.rows)]) {
        counted.largest = Math.max(counted.largest, bytes);
        counted.total += bytes;
      }
      return result;
    };
  }
  return counted as Database & { largest: number; total: number };
}

describe("large events", () => {
  it("200 webhooks of a megabyte are dispatched to six destinations without a copy of their bytes", async () => {
    await using world = await startWorld({ relay: {} });
    for (let n = 0; n < 6; n += 1)
      await world.relay.destination(NOWHERE, {}, { form: n % 2 === 0 ? "webhook" : "event" });
    await journalLarge(world, 200);
    const database = counting(world.database);
    const dispatcher = new Dispatcher(database, "test");
    while ((await dispatcher.dispatch()).rows > 0);
    expect(await world.relay.statuses()).toEqual({ scheduled: 1200 });
    expect(database.total).toBeLessThan(5 * MB);
    const { rows } = await world.database.query<{ bytes: number }>(
      "select pg_total_relation_size('relay.deliveries')::int as bytes",
    );
    expect(rows[0]?.bytes).toBeLessThan(10 * MB);
  });

  it("payloads that matchers look into are read a bounded slice at a time, and a transaction reads a bounded amount", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE, {}, { match: { n: { $gte: 45 } } });
    await journalLarge(world, 50);
    await world.relay.event({});
    const database = counting(world.database);
    const dispatcher = new Dispatcher(database, "test");
    const rows: number[] = [];
    for (;;) {
      const dispatched = await dispatcher.dispatch();
      if (dispatched.rows === 0) break;
      rows.push(dispatched.rows);
    }
    expect(database.largest).toBeLessThan(2 * MB + 4096);
    expect(rows.length).toBeGreaterThan(1);
    expect((await deliveries(world.database)).map(({ item_id }) => item_id)).toEqual(
      [45, 46, 47, 48, 49].map((n) => `item-${n}`),
    );
  });

  it("deliveries of a megabyte arrive whole at every destination while the bytes in memory stay bounded", async () => {
    await using world = await startWorld({ relay: {} });
    const receivers = await Promise.all([1, 2, 3].map(() => world.relay.receiver()));
    for (const receiver of receivers) await world.relay.destination(receiver, {}, { form: "webhook" });
    await journalLarge(world, 40);
    await dispatchAll(world.database);
    const lengths = receivers.map(() => 0);
    for (const [index, receiver] of receivers.entries()) {
      receiver.answer = (request) => {
        lengths[index] = (lengths[index] ?? 0) + request.body.length;
        request.body = Buffer.alloc(0);
        return {};
      };
    }
    const relay = await world.relay.start();
    await relay.idle();
    expect(await world.relay.statuses()).toEqual({ delivered: 120 });
    for (const length of lengths) expect(length).toBeGreaterThan(40 * (MB - 200));
  });

  it("a delivery of a megabyte for one destination does not keep another destination's from being sent", async () => {
    await using world = await startWorld({ relay: {} });
    const [slow, quick] = [await world.relay.receiver(), await world.relay.receiver()];
    slow.answer = () => ({ hang: true });
    await world.relay.destination(slow, {}, { form: "original", filter: { types: ["webhook.received"] } });
    await world.relay.destination(quick, {}, { form: "event", filter: { types: ["item.updated"] } });
    await journalLarge(world, 100);
    await using _relay = await world.relay.start();
    await until("the large ones are under way", async () => slow.open >= 8);
    await world.relay.event({});
    await until("the small one has arrived", async () => quick.received.length === 1);
  });

  it("a wrapped webhook keeps the user that was known when it was dispatched", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE, {}, { form: "webhook" });
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const [delivery] = await deliveries(world.database);
    const id = toDeliveryId(delivery?.id ?? "");
    const before = await getDeliveryBody(world.database, id);
    await linkItem(world.database, "item-1", "user-1");
    await world.database.query("update journal.webhooks set user_id = 'user-1'");
    expect(before?.toString()).toContain('"user_id":null');
    expect(await getDeliveryBody(world.database, id)).toEqual(before);
    const receiver = await world.relay.receiver();
    await world.database.query("update relay.destinations set url = $1, version = version + 1", [receiver.url]);
    const relay = await world.relay.start();
    await relay.idle();
    expect(receiver.received[0]?.body).toEqual(before);
  });
});

describe("work on large payloads", () => {
  it("work on large payloads takes turns, one payload for each round of the event loop, and small payloads do not wait", async () => {
    const rounds: number[] = [];
    let round = 0;
    const stop = new AbortController();
    const counter = (async () => {
      while (!stop.signal.aborted) {
        await nextRound();
        round += 1;
      }
    })();
    await Promise.all(Array.from({ length: 5 }, () => turnFor(MB).then(() => rounds.push(round))));
    expect(new Set(rounds).size).toBe(5);
    const before = round;
    await turnFor(1000);
    expect(round).toBe(before);
    stop.abort();
    await counter;
  });

  it("work on large payloads reads events in slices that are bounded in bytes and rows, and one that is larger by itself alone", () => {
    const sized = (size: number) => ({ id: "", type: "", size });
    expect(slices([sized(MB), sized(MB), sized(1), sized(5 * MB), sized(1)]).map(({ length }) => length)).toEqual([
      2, 1, 1, 1,
    ]);
    expect(slices(Array.from({ length: 450 }, () => sized(1))).map(({ length }) => length)).toEqual([200, 200, 50]);
    expect(slices([])).toEqual([]);
  });

  it("work on large payloads passes over events that were erased meanwhile", async () => {
    await using world = await startWorld({ relay: {} });
    const [gone = "", kept = ""] = await world.relay.webhooks(...count(2));
    await world.database.query("delete from journal.webhooks where id = $1", [gone]);
    const read: string[] = [];
    const wanted = [gone, kept].map((id) => ({ id, type: "webhook.received", size: 100 }));
    for await (const { id } of readSources(world.database, wanted)) read.push(id);
    expect(read).toEqual([kept]);
  });
});

describe("the payloads in memory", () => {
  const none: Queryable = { query: async () => ({ rows: [], rowCount: 0 }) };
  const bounds = { aheadMax: 10, fetchMax: 6, loadedMax: 10 };
  const delivery = (id: string, size: number, bytes: Buffer | null = null) =>
    ({ id, size, body: null, bytes }) as PrefetchedDelivery;
  const never = new AbortController().signal;

  it("the payloads in memory are counted while they are fetched ahead, and a fetch brings along no more than there is room for", () => {
    const payloads = new PayloadMemory(bounds);
    expect(payloads.room).toBe(6);
    payloads.hold(delivery("a", 7, Buffer.alloc(7)));
    payloads.hold(delivery("a", 7, Buffer.alloc(7)));
    payloads.hold(delivery("b", 100));
    expect([payloads.room, payloads.bytes]).toEqual([3, 7]);
    payloads.release("a");
    payloads.release("a");
    expect([payloads.room, payloads.bytes]).toEqual([6, 0]);
  });

  it("the payloads in memory wait for room where they are large, and destinations take turns", async () => {
    const payloads = new PayloadMemory(bounds);
    const admitted: string[] = [];
    const load = async (id: string, size: number, destination: string, signal = never) => {
      if ((await payloads.load(none, delivery(id, size), destination, signal)) !== null) admitted.push(id);
    };
    await load("first", 8, "one");
    const waits = [load("a1", 4, "one"), load("a2", 4, "one"), load("b1", 4, "two")];
    const stop = new AbortController();
    const stopped = load("c1", 4, "three", stop.signal);
    await nextRound();
    expect(admitted).toEqual(["first"]);
    stop.abort();
    await stopped;
    payloads.release("first");
    await nextRound();
    expect(admitted).toEqual(["first", "a1", "b1"]);
    payloads.release("a1");
    await Promise.all(waits);
    expect(admitted).toEqual(["first", "a1", "b1", "a2"]);
    for (const id of ["b1", "a2"]) payloads.release(id);
    expect(payloads.bytes).toBe(0);
  });

  it("the payloads in memory are read alone where one is larger than all room there is", async () => {
    const payloads = new PayloadMemory(bounds);
    expect(await payloads.load(none, delivery("huge", 99), "one", never)).not.toBeNull();
    expect(payloads.bytes).toBe(99);
  });
});
