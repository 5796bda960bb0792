import { describe, expect, it } from "vitest";
import { take } from "../../../src/database/locks.ts";
import { append } from "../../../src/journal/append.ts";
import { recordEvents } from "../../../src/events/events.ts";
import {
  getEvent,
  readEvents,
  waitForEvents,
  type EventQuery,
  type FeedEvent,
} from "../../../src/relay/feed/event-feed.ts";
import { dispatchAll } from "../past.ts";
import { INTEGRATION, webhook } from "../../support/webhook.ts";
import { startWorld, type World } from "../../support/world/index.ts";

/** All that there is to be read from `cursor` on, page by page, until a page has nothing. */
async function readAll({ database }: World, query: EventQuery = {}): Promise<FeedEvent[]> {
  const read: FeedEvent[] = [];
  for (let cursor = query.cursor ?? "start"; ;) {
    const page = await readEvents(database, { history: true, ...query, cursor });
    read.push(...page.events);
    if (page.events.length === 0) return read;
    cursor = page.next_cursor;
  }
}

const idOf = (uuid: string): string => `evt_${uuid.replaceAll("-", "")}`;
const ids = (events: readonly FeedEvent[]): string[] => events.map(({ id }) => id);

describe("the feed", () => {
  it("the feed yields every event exactly once in its order, with every page size", async () => {
    await using world = await startWorld({ relay: {} });
    const made: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      made.push(...(await world.relay.webhooks("item-1", "item-2", "item-3")));
      made.push(await world.relay.event({ itemId: `item-${round}` }));
    }
    await dispatchAll(world.database);
    for (const limit of [1, 2, 3, 5, 500]) expect(ids(await readAll(world, { limit }))).toEqual(made.map(idOf));
  });

  it("the event feed continues after each event's own cursor", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.webhooks("item-1", "item-2", "item-3");
    await world.relay.event({});
    await dispatchAll(world.database);
    const all = await readAll(world);
    for (const [index, { cursor }] of all.entries()) {
      expect(ids(await readAll(world, { cursor }))).toEqual(ids(all.slice(index + 1)));
    }
  });

  it("the feed misses nothing and repeats nothing while events are written and dispatched, in any order of commits", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const written: string[] = [];
    const done = new AbortController();
    const waits = async (): Promise<boolean> =>
      (await database.query("select from events.outbox where position is null")).rowCount > 0;
    const write = async (writer: number): Promise<void> => {
      for (let n = 0; n < 25; n += 1) {
        await database.transaction(async (tx) => {
          const event = {
            type: "item.updated",
            integrationId: INTEGRATION,
            itemId: `item-${writer}`,
            userId: null,
            environment: null,
          };
          const ids = await recordEvents(tx, [
            { ...event, data: { n } },
            { ...event, data: { n, second: true } },
          ]);
          // The row of the outbox has its number by now; others may commit before it.
          await tx.query("select pg_sleep(random() * 0.01)");
          written.push(...ids.map(idOf));
        });
      }
    };
    // As the dispatcher does it, a few rows at a time.
    const dispatch = async (): Promise<void> => {
      while (!done.signal.aborted || (await waits())) {
        await database.transaction(async (tx) => {
          await tx.query(take("dispatch"));
          await tx.query(
            `with numbered as materialized (
               select id, nextval('events.positions') as position from (
                 select id from events.outbox where position is null order by id limit 3) w order by id
             ) update events.outbox o set position = n.position from numbered n where o.id = n.id`,
          );
          await tx.query("select pg_sleep(random() * 0.005)");
        });
      }
    };
    const read: FeedEvent[] = [];
    const follow = async (): Promise<void> => {
      let cursor = "start";
      for (let last = false; ;) {
        const page = await readEvents(database, { cursor, limit: 7 });
        read.push(...page.events);
        cursor = page.next_cursor;
        if (page.events.length > 0) continue;
        if (last) return;
        last = done.signal.aborted && !(await waits());
      }
    };
    const writing = Promise.all([0, 1, 2, 3].map(write)).then(() => done.abort());
    await Promise.all([writing, dispatch(), dispatch(), follow()]);
    expect(written).toHaveLength(200);
    expect(ids(read).toSorted()).toEqual(written.toSorted());
    expect(ids(await readAll(world))).toEqual(ids(read));
  });

  it("the feed holds nothing that waits for dispatch, and finds it behind the same cursor afterwards", async () => {
    await using world = await startWorld({ relay: {} });
    const first = await world.relay.event({});
    await dispatchAll(world.database);
    const second = await world.relay.event({});
    const page = await readEvents(world.database, {});
    expect(ids(page.events)).toEqual([idOf(first)]);
    await dispatchAll(world.database);
    expect(ids((await readEvents(world.database, { cursor: page.next_cursor })).events)).toEqual([idOf(second)]);
  });

  it("the feed begins with future events at `now`", async () => {
    await using world = await startWorld({ relay: {} });
    const empty = await readEvents(world.database, { cursor: "now" });
    const early = await world.relay.event({});
    await dispatchAll(world.database);
    expect(ids((await readEvents(world.database, { cursor: empty.next_cursor })).events)).toEqual([idOf(early)]);
    const { next_cursor: cursor, events } = await readEvents(world.database, { cursor: "now" });
    expect(events).toEqual([]);
    const late = await world.relay.event({});
    await dispatchAll(world.database);
    expect(ids((await readEvents(world.database, { cursor })).events)).toEqual([idOf(late)]);
  });

  it("the feed returns the events that its filters take, and its cursor moves past the others", async () => {
    await using world = await startWorld({ relay: {} });
    const [hook = ""] = await world.relay.webhooks("item-1");
    const mine = await world.relay.event({ itemId: "item-1", userId: "user-1" });
    const history = await world.relay.event({ itemId: "item-1", history: true });
    const others = await world.relay.event({ itemId: "item-2", type: "item.error" });
    await world.relay.event({ itemId: null, integrationId: null, type: "relay.overdue" });
    await dispatchAll(world.database);
    const read = async (query: EventQuery) => ids((await readEvents(world.database, query)).events);
    expect(await read({})).toEqual([hook, mine, others].map(idOf));
    expect(await read({ history: true })).toEqual([hook, mine, history, others].map(idOf));
    expect(await read({ item_id: "item-1" })).toEqual([hook, mine].map(idOf));
    expect(await read({ user_id: "user-1" })).toEqual([idOf(mine)]);
    expect(await read({ integration_id: "svi_other" })).toEqual([]);
    expect(await read({ types: ["item.*"] })).toEqual([mine, others].map(idOf));
    expect(await read({ types: ["relay.*"] })).toHaveLength(1);
    const nothing = await readEvents(world.database, { item_id: "item-9" });
    expect((await readEvents(world.database, { cursor: nothing.next_cursor, types: ["*", "relay.*"] })).events).toEqual(
      [],
    );
  });

  it("the feed finds rare events with more than one statement", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await database.query(
      `insert into events.events (id, type, item_id, payload)
       select tartan.new_id(now(), n), 'item.updated', case when n = 2500 then 'rare' else 'common' end, '{}' from generate_series(1, 2500) n`,
    );
    await database.query("insert into events.outbox (events) select array[id] from events.events order by id");
    await dispatchAll(database);
    expect((await readEvents(database, { item_id: "rare", limit: 5 })).events).toHaveLength(1);
    expect(await readAll(world, { limit: 500 })).toHaveLength(2500);
  });

  it("the feed returns a webhook in its envelope with its own bytes, and other events as they were stored", async () => {
    await using world = await startWorld({ relay: {} });
    const body = '{ "a" : 1.50,\n "b": 12345678901234567890 }';
    const hook = webhook({ body: Buffer.from(body) });
    await append(world.database, [hook]);
    const event = await world.relay.event({ data: { n: 1 } });
    await dispatchAll(world.database);
    const [first, second] = await readAll(world);
    expect(first?.text).toContain(`"webhook":${body}`);
    expect(JSON.parse(first?.text ?? "")).toMatchObject({ id: idOf(hook.id), type: "webhook.received" });
    expect(first?.type).toBe("webhook.received");
    const { rows } = await world.database.query<{ payload: Buffer }>(
      "select payload from events.events where id = $1",
      [event],
    );
    expect(second?.text).toBe(rows[0]?.payload.toString());
    expect(await getEvent(world.database, idOf(event))).toBe(second?.text);
    expect(await getEvent(world.database, idOf(hook.id))).toBe(first?.text);
    expect(await getEvent(world.database, "evt_nothing")).toBeNull();
  });

  it("the feed ends a page early when events are large, and continues there", async () => {
    await using world = await startWorld({ relay: {} });
    const large = "x".repeat(3 * 1024 * 1024);
    const made = [
      await world.relay.event({ data: { large } }),
      await world.relay.event({ data: { large } }),
      await world.relay.event({ data: { large } }),
    ];
    await dispatchAll(world.database);
    const page = await readEvents(world.database, {});
    expect(page.events).toHaveLength(2);
    expect(ids(await readAll(world))).toEqual(made.map(idOf));
  });

  it("the feed refuses cursors of other lists, unknown types and invalid limits", async () => {
    await using world = await startWorld({ relay: {} });
    for (const query of [{ cursor: "nonsense" }, { types: ["item.nothing"] }, { limit: 0 }, { item_id: "\0" }]) {
      await expect(readEvents(world.database, query)).rejects.toMatchObject({ code: "invalid_request" });
    }
  });
});

describe("waiting for events", () => {
  it("waiting for events answers when an event arrives", async () => {
    await using world = await startWorld({ relay: {} });
    const { next_cursor: cursor } = await readEvents(world.database, { cursor: "now" });
    const waiting = waitForEvents(world.database, { cursor }, 60_000);
    const event = await world.relay.event({});
    await dispatchAll(world.database);
    expect(ids((await waiting).events)).toEqual([idOf(event)]);
  });

  it("waiting for events keeps waiting when only events arrive that its filter leaves out", async () => {
    await using world = await startWorld({ relay: {} });
    const { next_cursor: cursor } = await readEvents(world.database, { cursor: "now" });
    const waiting = waitForEvents(world.database, { cursor, item_id: "item-2" }, 60_000);
    await world.relay.event({ itemId: "item-1" });
    await dispatchAll(world.database);
    const event = await world.relay.event({ itemId: "item-2" });
    await dispatchAll(world.database);
    expect(ids((await waiting).events)).toEqual([idOf(event)]);
  });

  it("waiting for events ends with an empty page and a cursor when its time is over or its client is gone", async () => {
    await using world = await startWorld({ relay: {} });
    const gone = new AbortController();
    const waiting = waitForEvents(world.database, {}, 60_000, gone.signal);
    gone.abort();
    expect((await waiting).events).toEqual([]);
    const { events, next_cursor: cursor } = await waitForEvents(world.database, {}, 20);
    expect(events).toEqual([]);
    const event = await world.relay.event({});
    await dispatchAll(world.database);
    expect(ids((await readEvents(world.database, { cursor })).events)).toEqual([idOf(event)]);
  });
});
