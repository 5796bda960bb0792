/** Readings of a window of days: rows that move between pages and over its edges, rows that are older, and other tables' rows. */
import * as fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ITEM } from "../../src/resources/subjects.ts";
import { date, numeric, text, type Resource } from "../../src/resources/types.ts";
import type { Reader } from "../../src/sync/ask.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { NOW, openPlaid, type Body, type Plaid } from "./shape-support.ts";

let world: World;
let plaid: Plaid;
beforeAll(async () => {
  world = await startWorld();
  plaid = await openPlaid(world, {
    test_trades:
      "item_id text, trade_id text, date date, amount numeric, primary key (integration_id, item_id, trade_id)",
    test_sales: "item_id text, trade_id text, date date, paper text, primary key (integration_id, item_id, trade_id)",
    test_papers: "item_id text, paper text, primary key (integration_id, item_id, paper)",
  });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => plaid.asked.splice(0));

describe("a window of days", () => {
  const trades: Resource = {
    name: "test_trades",
    touchedBy: [],
    subject: ITEM,
    fetch: {
      kind: "window",
      endpoint: "/investments/transactions/get",
      none: ["NO_INVESTMENT_ACCOUNTS"],
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
        end_date: "2026-03-14",
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

  it("a reading of a window removes no row of its first days, whatever Plaid takes for its first day", async () => {
    const reader = await plaid.open();
    bank = [trade(1), trade(27), trade(28), trade(30)];
    plaid.answer = serve();
    await plaid.sync(reader, trades);
    bank = [];
    expect((await plaid.sync(reader, trades)).changes).toEqual({ test_trades: { added: 0, modified: 0, removed: 2 } });
    expect(await ids(reader)).toEqual(["t28", "t30"]);
  });

  it("a row of a window that settles within the next days is read, and stays when its day moves there", async () => {
    const reader = await plaid.open();
    bank = [trade(1), trade(2)];
    plaid.answer = serve();
    await plaid.sync(reader, trades);
    bank = [trade(1, -3), trade(2), trade(3, -7)];
    expect((await plaid.sync(reader, trades)).changes).toEqual({ test_trades: { added: 1, modified: 1, removed: 0 } });
  });

  it("every row goes, also one that is older than the window, when Plaid says that no account can have rows", async () => {
    const reader = await plaid.open();
    bank = [trade(1), trade(2)];
    plaid.answer = serve();
    await plaid.sync(reader, trades);
    await world.database.query(
      "update plaid.test_trades set date = date - 900 where item_id = $1 and trade_id = 't02'",
      [reader.scope.subjectId],
    );
    plaid.answer = () => ({ status: 400, error: { error_type: "ITEM_ERROR", error_code: "NO_INVESTMENT_ACCOUNTS" } });
    expect((await plaid.sync(reader, trades)).changes).toEqual({ test_trades: { added: 0, modified: 0, removed: 2 } });
    plaid.answer = (_path, { options }) => {
      if ((options as { offset: number }).offset === 0) return { trades: bank.concat(trade(5)), total: 9 };
      return { status: 400, error: { error_type: "ITEM_ERROR", error_code: "NO_INVESTMENT_ACCOUNTS" } };
    };
    expect((await plaid.sync(reader, trades)).changes).toEqual({ test_trades: { added: 0, modified: 0, removed: 0 } });
  });

  it("a row of a window's other table goes when no row names it any more, and stays while an older row does", async () => {
    const reader = await plaid.open();
    const named: Resource = {
      ...trades,
      tables: [
        { ...trades.tables[0], name: "test_sales", columns: [date("date"), text("paper")] },
        { name: "test_papers", row: "", rows: [{ at: "papers" }], key: ["paper"], columns: [] },
      ],
    };
    const answer = (...list: [number, string][]) => ({
      trades: list.map(([n, paper]) => ({ ...trade(n), paper })),
      papers: [...new Set(list.map(([, paper]) => paper))].map((paper) => ({ paper })),
      total: list.length,
    });
    const papers = async () => (await plaid.current(reader, "test_papers", "paper")).map((row) => row["paper"]);
    plaid.answer = () => answer([1, "a"], [2, "b"], [3, "c"]);
    await plaid.sync(reader, named);
    await world.database.query("update plaid.test_sales set date = date - 900 where item_id = $1 and paper = 'b'", [
      reader.scope.subjectId,
    ]);
    plaid.answer = () => answer([1, "a"]);
    await plaid.sync(reader, named);
    expect(await papers()).toEqual(["a", "b"]);
  });

  it.each<[string, Body]>([
    ["a list of rows", { total: 0 }],
    ["rows that are objects", { trades: [null], total: 1 }],
    ["the number of rows", { trades: [] }],
  ])("the answer of a window without %s is unreadable", async (_what, body) => {
    const reader = await plaid.open();
    plaid.answer = () => body;
    expect(await plaid.attempt(reader, trades)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
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
    const move = fc.record({ add: fc.nat({ max: 26 }), drop: fc.nat({ max: 30 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 26 }), { maxLength: 14 }),
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
