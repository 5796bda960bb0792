/** Readings in pages that no resource has yet: a ledger of events of a subject that is no item, and a window of days. */
import * as fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { INSTITUTION, ITEM } from "../../src/resources/subjects.ts";
import { date, numeric, text, timestamptz, type Resource } from "../../src/resources/types.ts";
import type { Reader } from "../../src/sync/ask.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { NOW, openPlaid, type Body, type Plaid } from "./shape-support.ts";

let world: World;
let plaid: Plaid;
beforeAll(async () => {
  world = await startWorld();
  plaid = await openPlaid(world, {
    test_events:
      "ledger_id text, event_id text, event_type text, timestamp timestamptz, primary key (integration_id, ledger_id, event_id)",
    test_hits: "screening_id text, id text, status text, primary key (integration_id, screening_id, id)",
    test_trades:
      "item_id text, trade_id text, date date, amount numeric, primary key (integration_id, item_id, trade_id)",
  });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => plaid.asked.splice(0));

describe("a ledger of events, of a subject that is no item", () => {
  const events: Resource = {
    name: "test_events",
    touchedBy: [],
    subject: { ...INSTITUTION, kind: "ledger", column: "ledger_id" },
    fetch: {
      kind: "ledger",
      endpoint: "/transfer/event/sync",
      body: ({ subjectId }) => ({ ledger_id: subjectId, count: 3 }),
      after: { sentAs: "after_id", idAt: "event_id", moreAt: "has_more" },
    },
    tables: [
      {
        name: "test_events",
        row: "a step of a transfer",
        rows: [{ at: "transfer_events" }],
        key: ["event_id"],
        columns: [text("event_type"), timestamptz("timestamp")],
      },
    ],
  };
  const ledger =
    (length: number) =>
    (_path: string, { after_id, count }: Body) => {
      const all = Array.from({ length }, (_, n) => ({
        event_id: n + 1,
        event_type: "posted",
        timestamp: "2026-01-01T00:00:00Z",
      }));
      const behind = all.filter(({ event_id }) => event_id > Number(after_id));
      return { transfer_events: behind.slice(0, Number(count)), has_more: behind.length > Number(count) };
    };

  it("a ledger is read with the client's credentials from the event where the last reading ended", async () => {
    const reader = await plaid.open(events.subject);
    plaid.answer = ledger(7);
    const { outcome } = await plaid.sync(reader, events);
    expect(outcome).toMatchObject({ cursor: "7", complete: true });
    expect(plaid.asked.map(({ body }) => [body["after_id"], body["access_token"]])).toEqual([
      [0, undefined],
      [3, undefined],
      [6, undefined],
    ]);
    plaid.answer = ledger(9);
    expect(await plaid.sync(reader, events, outcome.cursor)).toMatchObject({
      outcome: { cursor: "9" },
      changes: { test_events: { added: 2, modified: 0, removed: 0 } },
    });
    expect(await plaid.current(reader, "test_events", "event_id", "ledger_id")).toHaveLength(9);
    expect(await plaid.sync(reader, events, "9")).toMatchObject({ outcome: { cursor: "9" } });
  });

  it("a reading of a ledger from the start removes no event that it does not find", async () => {
    const reader = await plaid.open(events.subject);
    plaid.answer = ledger(5);
    await plaid.sync(reader, events);
    plaid.answer = ledger(2);
    expect((await plaid.sync(reader, events, "5", true)).changes).toEqual({
      test_events: { added: 0, modified: 0, removed: 0 },
    });
    expect(await plaid.current(reader, "test_events", "event_id", "ledger_id")).toHaveLength(5);
  });

  it.each<[string, Body]>([
    ["an id that is no whole number", { transfer_events: [{ event_id: "x" }], has_more: false }],
    ["an id that JavaScript cannot hold", { transfer_events: [{ event_id: 2 ** 60 }], has_more: false }],
    ["more to come, and no event", { transfer_events: [], has_more: true }],
    ["no word of more", { transfer_events: [] }],
  ])("the answer of a ledger with %s is unreadable", async (_what, body) => {
    plaid.answer = () => body;
    expect(await plaid.attempt(await plaid.open(events.subject), events)).toMatchObject({
      failure: { errorCode: "UNREADABLE_ANSWER" },
    });
  });
});

describe("a list in pages", () => {
  const hits: Resource = {
    name: "test_hits",
    touchedBy: [],
    subject: { ...INSTITUTION, kind: "screening", column: "screening_id" },
    fetch: { kind: "list", endpoint: "/hit/list", next: { sentAs: "cursor", at: "next_cursor" } },
    tables: [{ name: "test_hits", row: "a hit", rows: [{ at: "hits" }], key: ["id"], columns: [text("status")] }],
  };
  const pages =
    (...all: string[][]) =>
    (_path: string, { cursor = "0" }: Body) => {
      const at = Number(cursor);
      return { hits: all[at]?.map((id) => ({ id })), next_cursor: at + 1 < all.length ? String(at + 1) : null };
    };

  it("every reading of a list reads all of its pages, and what none of them has is removed", async () => {
    const reader = await plaid.open(hits.subject);
    plaid.answer = pages(["a", "b"], ["c"]);
    const { outcome, changes } = await plaid.sync(reader, hits);
    expect([outcome.cursor, changes]).toEqual([null, { test_hits: { added: 3, modified: 0, removed: 0 } }]);
    expect(plaid.asked.map(({ body }) => body["cursor"])).toEqual([undefined, "1"]);
    plaid.answer = pages(["b"], ["d"], []);
    expect((await plaid.sync(reader, hits, outcome.cursor)).changes).toEqual({
      test_hits: { added: 1, modified: 0, removed: 2 },
    });
    expect(await plaid.current(reader, "test_hits", "id", "screening_id")).toEqual([{ id: "b" }, { id: "d" }]);
  });

  it("a list whose next page cannot be named is unreadable and removes nothing", async () => {
    const reader = await plaid.open(hits.subject);
    plaid.answer = pages(["a"]);
    await plaid.sync(reader, hits);
    plaid.answer = () => ({ hits: [], next_cursor: 7 });
    expect(await plaid.attempt(reader, hits)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
    plaid.answer = () => ({ hits: [{ id: "b" }], next_cursor: "same" });
    expect(await plaid.attempt(reader, hits)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
    expect(await plaid.current(reader, "test_hits", "id", "screening_id")).toEqual([{ id: "a" }]);
  });
});

describe("a window of days", () => {
  const trades: Resource = {
    name: "test_trades",
    touchedBy: [],
    subject: ITEM,
    fetch: {
      kind: "window",
      endpoint: "/investments/transactions/get",
      window: {
        days: 30,
        fromAs: "start_date",
        toAs: "end_date",
        offsetAs: "options.offset",
        countAs: "options.count",
        count: 3,
        totalAt: "total",
        column: "date",
      },
    },
    tables: [
      {
        name: "test_trades",
        row: "a trade",
        rows: [{ at: "trades" }],
        key: ["trade_id"],
        columns: [date("date"), numeric("amount")],
      },
    ],
  };
  interface Trade {
    trade_id: string;
    date: string;
    amount: number;
  }
  const day = (ago: number): string => new Date(NOW - ago * 86_400_000).toISOString().slice(0, 10);
  const trade = (n: number, ago = n): Trade => ({
    trade_id: `t${String(n).padStart(2, "0")}`,
    date: day(ago),
    amount: n,
  });
  let bank: Trade[];
  /** newest first, as Plaid answers; `between` happens after each answer */
  const serve =
    (between: () => void = () => undefined) =>
    (_path: string, { start_date, end_date, options }: Body) => {
      const { offset, count } = options as { offset: number; count: number };
      const inside = bank
        .filter((one) => one.date >= String(start_date) && one.date <= String(end_date))
        .toSorted((a, b) => (a.date === b.date ? (a.trade_id < b.trade_id ? -1 : 1) : a.date > b.date ? -1 : 1));
      const body = { trades: inside.slice(offset, offset + count), total: inside.length };
      between();
      return body;
    };
  const ids = async (reader: Reader) =>
    (await plaid.current(reader, "test_trades", "trade_id")).map((row) => row["trade_id"]);

  it("each page of a window begins with the last row of the page before", async () => {
    const reader = await plaid.open();
    bank = Array.from({ length: 8 }, (_, n) => trade(n));
    plaid.answer = serve();
    const { outcome } = await plaid.sync(reader, trades);
    expect(outcome.cursor).toBeNull();
    expect(plaid.asked.map(({ body }) => body)).toEqual(
      [0, 2, 4, 6].map((offset) => ({
        access_token: "access-token",
        start_date: "2026-02-05",
        end_date: "2026-03-07",
        options: { offset, count: 3 },
      })),
    );
    expect(await ids(reader)).toEqual(bank.map(({ trade_id }) => trade_id));
  });

  it("a reading of a window removes missing rows of its days and no older row", async () => {
    const reader = await plaid.open();
    bank = [trade(1), trade(2), trade(29)];
    plaid.answer = serve();
    await plaid.sync(reader, trades);
    await world.database.query(
      "update plaid.test_trades set date = date - 10 where item_id = $1 and trade_id = 't29'",
      [reader.scope.subjectId],
    );
    bank = [trade(2)];
    expect((await plaid.sync(reader, trades)).changes).toEqual({ test_trades: { added: 0, modified: 0, removed: 1 } });
    expect(await ids(reader)).toEqual(["t02", "t29"]);
  });

  it("a reading of a window starts over when rows came or went in front of the next page, although their number is the same", async () => {
    const reader = await plaid.open();
    bank = Array.from({ length: 8 }, (_, n) => trade(n + 1));
    let moves = 0;
    // One goes in front of the page's end and one comes behind it: the number stays the same.
    plaid.answer = serve(() => {
      moves += 1;
      if (moves === 1) bank = [...bank.filter(({ trade_id }) => trade_id !== "t01"), trade(20, 20)];
    });
    await plaid.sync(reader, trades);
    expect(await ids(reader)).toEqual(["t02", "t03", "t04", "t05", "t06", "t07", "t08", "t20"]);
  });

  it("a reading of a window finds every row that was there all the time, whatever comes and goes meanwhile", async () => {
    const move = fc.record({ add: fc.nat({ max: 29 }), drop: fc.nat({ max: 30 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 29 }), { maxLength: 14 }),
        fc.array(move, { maxLength: 4 }),
        async (agos, moves) => {
          const reader = await plaid.open();
          bank = agos.map((ago, n) => trade(n, ago));
          plaid.answer = serve();
          await plaid.sync(reader, trades);
          const stayed = new Set(bank.map(({ trade_id }) => trade_id));
          const left = [...moves];
          let next = 50;
          plaid.answer = serve(() => {
            const now = left.shift();
            if (!now) return;
            const [gone] = bank.splice(now.drop, 1);
            if (gone) stayed.delete(gone.trade_id);
            bank.push(trade((next += 1), now.add));
          });
          await plaid.sync(reader, trades);
          const found = await ids(reader);
          expect(found).toEqual(expect.arrayContaining([...stayed]));
          plaid.answer = serve();
          await plaid.sync(reader, trades);
          expect(await ids(reader)).toEqual(bank.map(({ trade_id }) => trade_id).toSorted());
        },
      ),
      { numRuns: 60 },
    );
  });

  it("a reading of a window whose rows keep moving is retried later and removes nothing", async () => {
    const reader = await plaid.open();
    bank = Array.from({ length: 6 }, (_, n) => trade(n));
    plaid.answer = serve();
    await plaid.sync(reader, trades);
    let next = 50;
    plaid.answer = serve(() => bank.push(trade((next += 1), 0)));
    expect(await plaid.attempt(reader, trades)).toMatchObject({
      failure: { class: "restart", errorCode: "ROWS_MOVED" },
    });
    expect(await ids(reader)).toHaveLength(6);
  });
});
