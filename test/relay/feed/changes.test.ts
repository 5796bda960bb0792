/** The change feed: rows out of events, in their order, for every size of a page. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordEvents } from "../../../src/events/events.ts";
import { FED_TABLES } from "../../../src/relay/feed/change-tables.ts";
import { findChanges, readChanges, waitForChanges, type ChangeQuery } from "../../../src/relay/feed/changes.ts";
import { forget } from "../../../src/relay/retention.ts";
import { RESOURCES } from "../../../src/resources/index.ts";
import { INTEGRATION } from "../../support/webhook.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { dispatchAll } from "../past.ts";
import { refusalOf } from "../support.ts";
import { readBy } from "./plans.ts";

interface Shown {
  change: string;
  resource: string | null;
  key: Record<string, string> | null;
  row: Record<string, unknown> | null;
  item_id: string | null;
  history: boolean;
}

let world: World<"relay">;
beforeAll(async () => {
  world = await startWorld({ relay: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const rows = (prefix: string, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => ({ transaction_id: `${prefix}${n}`, ...more }));

interface Lists {
  added?: object[];
  modified?: object[];
  removed?: object[];
}

/** An event of changed transactions, or of another table. */
const changed = (
  lists: Lists,
  { table = "transactions", ...more }: { table?: string; [field: string]: unknown } = {},
) =>
  world.relay.event({
    type: `${table}.changed`,
    data: { run_id: "run_1", part: 1, parts: 1, counts: {}, added: [], modified: [], removed: [], ...lists },
    ...more,
  });

const now = async (): Promise<string> => (await readChanges(world.database, { cursor: "now" })).next_cursor;

/** All changes after the cursor, page by page until one is empty and nothing is behind it. */
async function readAll(query: ChangeQuery): Promise<Shown[]> {
  const read: Shown[] = [];
  for (let cursor = query.cursor; ;) {
    const page = await readChanges(world.database, { ...query, cursor });
    expect(page.changes.length).toBeLessThanOrEqual(query.limit ?? 50);
    read.push(...page.changes.map((text) => JSON.parse(text) as Shown));
    if (page.changes.length === 0 && !page.more) return read;
    cursor = page.next_cursor;
  }
}

const short = ({ change, row }: Shown): string => `${change} ${String(row?.["transaction_id"])}`;

describe("the change feed", () => {
  it("the change feed yields each row of each event once in order, with every page size, also in the middle of an event", async () => {
    const cursor = await now();
    await changed({ added: rows("a", 7), modified: rows("m", 2), removed: rows("r", 1) });
    await world.relay.event({ type: "item.updated" });
    await changed({ modified: rows("a", 3) });
    await dispatchAll(world.database);
    const expected = [
      ...rows("a", 7).map(({ transaction_id }) => `added ${transaction_id}`),
      "modified m0",
      "modified m1",
      "removed r0",
      "modified a0",
      "modified a1",
      "modified a2",
    ];
    for (const limit of [1, 2, 3, 5, 10, 13, 500]) {
      expect((await readAll({ cursor, limit })).map(short)).toEqual(expected);
    }
  });

  it("a change has the row as the event has it, its key, and where it belongs", async () => {
    const cursor = await now();
    const row = {
      transaction_id: "t",
      name: 'a "quoted" } ] { [ name',
      nested: { added: [{ removed: 1 }] },
      amount: 28.34,
    };
    await changed({ added: [row] }, { userId: "user-1", history: true });
    await dispatchAll(world.database);
    const [change] = await readAll({ cursor });
    expect(change).toEqual({
      event_id: expect.stringMatching(/^evt_[0-9a-f]{32}$/),
      occurred_at: expect.any(String),
      integration_id: INTEGRATION,
      item_id: "item-1",
      user_id: "user-1",
      history: true,
      run_id: "run_1",
      change: "added",
      resource: "transactions",
      key: { item_id: "item-1", transaction_id: "t" },
      row,
    });
  });

  it("a change keeps every digit of Plaid's numbers", async () => {
    const cursor = await now();
    const amount = "12345678901234567.890";
    const made = `select 1 as part, '{"run_id":"run_1","added":[{"transaction_id":"t","amount":${amount}}],"modified":[],"removed":[]}' as data`;
    const event = {
      type: "transactions.changed",
      integrationId: INTEGRATION,
      itemId: "i",
      userId: null,
      environment: null,
    };
    await world.database.transaction((tx) =>
      recordEvents(tx, [{ ...event, select: { name: "digits", text: made }, values: [] }]),
    );
    await dispatchAll(world.database);
    expect((await readChanges(world.database, { cursor })).changes[0]).toContain(`"amount":${amount}}`);
  });

  it("the change feed takes only what its filters take, and its cursor moves past the rest", async () => {
    const cursor = await now();
    await changed({ added: [{ account_id: "acc", n: 1 }] }, { table: "accounts" });
    await changed({ added: rows("x", 1) }, { itemId: "item-2", userId: "user-2" });
    await changed({ added: rows("y", 1) }, { integrationId: "svi_other" });
    await dispatchAll(world.database);
    const found = async (query: ChangeQuery) =>
      (await readAll({ cursor, ...query })).map(({ resource, item_id }) => `${resource} ${item_id}`);
    expect(await found({})).toEqual(["accounts item-1", "transactions item-2", "transactions item-1"]);
    expect(await found({ resources: ["accounts"] })).toEqual(["accounts item-1"]);
    expect(await found({ resources: ["holdings"] })).toEqual([]);
    expect(await found({ resources: ["accounts", "transactions"], item_id: "item-1" })).toEqual([
      "accounts item-1",
      "transactions item-1",
    ]);
    expect(await found({ user_id: "user-2" })).toEqual(["transactions item-2"]);
    expect(await found({ integration_id: "svi_other" })).toEqual(["transactions item-1"]);
  });

  it("a cursor in the middle of an event that another filter leaves out skips no row of the next event", async () => {
    const cursor = await now();
    await changed({ added: rows("p", 3) });
    await changed({ added: [{ account_id: "one" }, { account_id: "two" }] }, { table: "accounts" });
    await dispatchAll(world.database);
    const { next_cursor } = await readChanges(world.database, { cursor, limit: 2 });
    const rest = await readAll({ cursor: next_cursor, resources: ["accounts"] });
    expect(rest.map(({ row }) => row?.["account_id"])).toEqual(["one", "two"]);
  });

  it("the change feed says once that an item, an account or another subject was erased, with every filter of tables, and nothing of an item that was unlinked", async () => {
    const cursor = await now();
    await world.relay.event({ type: "item.removed", itemId: "kept", data: { reason: "unlinked", error_code: null } });
    await world.relay.event({ type: "item.removed", itemId: "gone", data: { reason: "erased", error_code: null } });
    const subject = { kind: "payment", id: "pay-1" };
    await world.relay.event({ type: "subject.erased", itemId: null, subject, data: { reason: "erased" } });
    const withdrawn = { reason: "account_revoked", account_id: "acc-1" };
    await world.relay.event({ type: "item.data_erased", itemId: "fewer", data: withdrawn });
    await dispatchAll(world.database);
    const changes = await readAll({ cursor, resources: ["holdings"] });
    const erased = { change: "erased", resource: null, key: null, row: null, account_id: null };
    expect(changes).toMatchObject([
      { ...erased, item_id: "gone" },
      { ...erased, item_id: null, subject },
      { ...erased, item_id: "fewer", account_id: "acc-1" },
    ]);
  });

  it("a cursor in the middle of an event out of which rows were cut reads the rest of the event again and misses none", async () => {
    const cursor = await now();
    const id = await changed({ added: rows("cut", 6) });
    await changed({ added: rows("after", 1) });
    await dispatchAll(world.database);
    const { next_cursor } = await readChanges(world.database, { cursor, limit: 3 });
    await world.database.query(
      `update events.events set payload = convert_to(regexp_replace(convert_from(payload, 'UTF8'), '\\{[^{}]*cut[01]"\\},', '', 'g'), 'UTF8') where id = $1`,
      [id],
    );
    const rest = (await readAll({ cursor: next_cursor })).map(short);
    expect(rest).toEqual(["added cut2", "added cut3", "added cut4", "added cut5", "added after0"]);
  });

  it("a page of large rows ends at eight megabytes, and a row that is larger has a page of its own", async () => {
    const cursor = await now();
    const large = (megabytes: number) => ({ text: "x".repeat(megabytes * 1024 * 1024) });
    await changed({ added: rows("l", 3, large(3)) });
    await changed({ added: rows("huge", 1, large(9)) });
    await changed({ added: rows("s", 1) });
    await dispatchAll(world.database);
    const sizes: number[] = [];
    for (let place = cursor; ;) {
      const page = await readChanges(world.database, { cursor: place });
      if (page.changes.length === 0 && !page.more) break;
      sizes.push(page.changes.length);
      place = page.next_cursor;
    }
    expect(sizes).toEqual([2, 1, 1, 1]);
  });

  it("the change feed refuses tables without changes and says what to use instead", async () => {
    const fed = new Set(FED_TABLES.map(({ name }) => name));
    const others = RESOURCES.flatMap(({ tables }) => tables.map(({ name }) => name)).filter((name) => !fed.has(name));
    expect(others).toContain("items");
    for (const name of others) {
      const refusal = await refusalOf(readChanges(world.database, { resources: [name] }));
      expect([name, refusal]).toEqual([
        name,
        {
          code: "invalid_request",
          message: expect.stringMatching(/^The table \w+ has no changes: .{30,}\.$/),
          fields: { resource: expect.stringContaining("changed_at") },
        },
      ]);
    }
    expect(await refusalOf(readChanges(world.database, { resources: ["transaction"] }))).toMatchObject({
      code: "invalid_request",
      fields: { resource: expect.stringContaining("did you mean transactions?") },
    });
    expect(await refusalOf(readChanges(world.database, { cursor: "W10" }))).toMatchObject({
      fields: { cursor: expect.any(String) },
    });
  });

  it("the search of a page reads as much of the outbox as it examines, however long the outbox is", async () => {
    const cursor = await now();
    await world.database.query(
      `insert into events.outbox (events, position) select array[gen_random_uuid()], nextval('events.positions') from generate_series(1, 5000)`,
    );
    await world.database.query("analyze events.outbox");
    expect(await readBy(world.database, cursor, "transactions.changed")).toEqual({ rows: 100, events: 100 });
    await world.database.query(
      "delete from events.outbox where not exists (select from events.events e where e.id = events[1])",
    );
  });

  it("a search for the changes of one table passes over the commits that changed others without reading their events, and finds those of before types were noted", async () => {
    const cursor = await now();
    for (let n = 0; n < 5; n += 1) await changed({ added: rows(`other${n}`, 1) });
    await changed({ added: [{ account_id: "rare" }] }, { table: "accounts" });
    await dispatchAll(world.database);
    expect(await readBy(world.database, cursor, "accounts.changed")).toEqual({ rows: 6, events: 1 });
    expect(await readBy(world.database, cursor, "transactions.changed")).toEqual({ rows: 6, events: 5 });
    await world.database.query("update events.outbox set types = null");
    expect(await readAll({ cursor, resources: ["accounts"] })).toMatchObject([{ row: { account_id: "rare" } }]);
  });

  it("a request that waits for changes, and a search for the first one, read on at once where a page ended early", async () => {
    const cursor = await now();
    await world.database.query(
      `insert into events.outbox (events, position) select array[gen_random_uuid()], nextval('events.positions') from generate_series(1, 60000)`,
    );
    await changed({ added: rows("behind", 1) });
    await dispatchAll(world.database);
    const first = await readChanges(world.database, { cursor });
    expect(first).toMatchObject({ changes: [], more: true });
    const pages = [
      await waitForChanges(world.database, { cursor }, 30_000),
      await findChanges(world.database, { cursor, limit: 1 }),
    ];
    const behind = await findChanges(world.database, { cursor: pages[1]?.next_cursor });
    await world.database.query(
      "delete from events.outbox where not exists (select from events.events e where e.id = events[1])",
    );
    for (const page of pages)
      expect(page.changes.map((text) => short(JSON.parse(text) as Shown))).toEqual(["added behind0"]);
    expect(behind).toMatchObject({ changes: [], more: false });
  });
});

describe("retention", () => {
  it("a cursor behind which changes were deleted is refused with a cursor to begin a new copy with", async () => {
    const { database } = world;
    const begin = await now();
    await changed({ added: rows("old", 2) });
    await dispatchAll(database);
    const inside = (await readChanges(database, { cursor: begin, limit: 1 })).next_cursor;
    const end = (await readChanges(database, { cursor: begin, limit: 2 })).next_cursor;
    await database.query("update events.outbox set written_at = now() - interval '91 days'");
    await forget({ database, retentionDays: 90 });
    await changed({ added: rows("new", 1) });
    await dispatchAll(database);
    for (const cursor of [begin, inside]) {
      const refusal = await refusalOf(readChanges(database, { cursor }));
      expect(refusal).toMatchObject({ code: "cursor_expired", fields: { cursor: expect.any(String) } });
      const given = /keep the cursor (\S+), which is that of now/.exec(refusal.message)?.[1];
      expect(given).toBe(await now());
    }
    for (const cursor of [end, "start"]) expect((await readAll({ cursor })).map(short)).toEqual(["added new0"]);
  });

  it("a reader whose changes are deleted while it reads is refused and misses none unnoticed", async () => {
    const { database } = world;
    const begin = await now();
    await changed({ added: rows("lost", 1) });
    await dispatchAll(database);
    await database.query("update events.outbox set written_at = now() - interval '91 days'");
    let looks = 0;
    const racing = {
      query: async (...given: Parameters<typeof database.query>) => {
        const answer = await database.query(...given);
        // After the first look at the cursor, before the search.
        if ((looks += 1) === 1) await forget({ database, retentionDays: 90 });
        return answer;
      },
    } as typeof database;
    expect(await refusalOf(readChanges(racing, { cursor: begin }))).toMatchObject({ code: "cursor_expired" });
  });
});
