/** Rows that Plaid gives no id or no array, and rows of one of several subjects. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ITEM } from "../../src/resources/subjects.ts";
import { text, type Resource, type SubjectKind } from "../../src/resources/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { openPlaid, type Plaid } from "./shape-support.ts";

let world: World;
let plaid: Plaid;
beforeAll(async () => {
  world = await startWorld();
  plaid = await openPlaid(world, {
    test_streams:
      "item_id text, place text, direction text, name text, primary key (integration_id, item_id, direction, place)",
    test_payments: "payment_id text, status text, verified_at timestamptz, primary key (integration_id, payment_id)",
    test_stubs:
      "item_id text, login text, place text, account text, name text, primary key (integration_id, item_id, login, place)",
    test_clicks: "session_id text, click text, primary key (integration_id, session_id, click)",
    test_reports: "item_id text, report text, primary key (integration_id, item_id, report)",
    test_sessions: "session_id text, status text, verified_at timestamptz, primary key (integration_id, session_id)",
  });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => plaid.asked.splice(0));

describe("rows that Plaid gives no id or no array", () => {
  const PAYMENT: SubjectKind = {
    kind: "test_payment",
    column: "payment_id",
    access: { by: "id", as: "payment_id" },
    hasEvents: true,
  };
  const SESSION: SubjectKind = { ...PAYMENT, kind: "test_session", column: "session_id" };
  const streams: Resource = {
    name: "test_streams",
    touchedBy: [],
    subject: ITEM,
    fetch: { kind: "snapshot", endpoint: "/streams/get" },
    tables: [
      {
        name: "test_streams",
        row: "a stream",
        rows: [
          { at: "in", fixed: { direction: "in" }, numbered: "place" },
          { at: "accounts[].out", fixed: { direction: "out" }, numbered: "place", without: ["noise"], optional: true },
        ],
        key: ["direction", "place"],
        columns: [text("name")],
      },
    ],
  };
  const payments: Resource = {
    name: "test_payments",
    touchedBy: [],
    subject: PAYMENT,
    fetch: { kind: "snapshot", endpoint: "/payment/get" },
    tables: [{ name: "test_payments", row: "a payment", rows: [{ at: "" }], key: [], columns: [text("status")] }],
  };
  const sessions: Resource = {
    name: "test_sessions",
    touchedBy: [],
    subject: SESSION,
    fetch: { kind: "snapshot", endpoint: "/sessions/get" },
    tables: [
      {
        name: "test_sessions",
        row: "a session",
        rows: [{ at: "sessions", whose: "session_id", without: ["clicks"] }],
        key: [],
        columns: [text("status")],
      },
    ],
  };

  it("rows without an id are told apart by their place and by the list that they are from", async () => {
    const reader = await plaid.open();
    const row = (name: string) => ({ name, noise: 1 });
    plaid.answer = () => ({ in: [row("a"), row("b")], accounts: [{ out: [row("c")] }, {}, { out: null }] });
    expect((await plaid.sync(reader, streams)).changes).toEqual({
      test_streams: { added: 3, modified: 0, removed: 0 },
    });
    expect(await plaid.current(reader, "test_streams", "direction, place, name, raw")).toEqual([
      { direction: "in", place: "1", name: "a", raw: { ...row("a"), direction: "in", place: 1 } },
      { direction: "in", place: "2", name: "b", raw: { ...row("b"), direction: "in", place: 2 } },
      { direction: "out", place: "1", name: "c", raw: { name: "c", direction: "out", place: 1 } },
    ]);
    plaid.answer = () => ({ in: [row("b")] });
    expect((await plaid.sync(reader, streams)).changes).toEqual({
      test_streams: { added: 0, modified: 1, removed: 2 },
    });
  });

  it("an answer that is the row itself changes the row only if something else than its request_id changed", async () => {
    const reader = await plaid.open(PAYMENT);
    const answer = (status: string, request_id: string) => ({ payment_id: reader.scope.subjectId, status, request_id });
    plaid.answer = () => answer("sent", "r1");
    const first = await plaid.sync(reader, payments);
    expect(first.changes).toEqual({ test_payments: { added: 1, modified: 0, removed: 0 } });
    expect(first.outcome.root).toEqual({ payment_id: reader.scope.subjectId, status: "sent" });
    plaid.answer = () => answer("sent", "r2");
    expect((await plaid.sync(reader, payments)).changes).toEqual({
      test_payments: { added: 0, modified: 0, removed: 0 },
    });
    plaid.answer = () => answer("done", "r3");
    expect((await plaid.sync(reader, payments)).changes).toEqual({
      test_payments: { added: 0, modified: 1, removed: 0 },
    });
    expect(await plaid.current(reader, "test_payments", "status, raw ->> 'request_id' as id", "payment_id")).toEqual([
      { status: "done", id: null },
    ]);
  });

  it("of an answer about several subjects only the row of the subject itself is taken", async () => {
    const reader = await plaid.open(SESSION);
    const session = (session_id: string, status: string) => ({ session_id, status, clicks: [] });
    plaid.answer = () => ({ sessions: [session("other", "x"), session(reader.scope.subjectId, "open")] });
    const { changes, outcome } = await plaid.sync(reader, sessions);
    expect(changes).toEqual({ test_sessions: { added: 1, modified: 0, removed: 0 } });
    expect(outcome.root).toMatchObject({ session_id: reader.scope.subjectId, status: "open" });
    expect(await plaid.current(reader, "test_sessions", "status, raw", "session_id")).toEqual([
      { status: "open", raw: { session_id: reader.scope.subjectId, status: "open" } },
    ]);
  });

  it("rows deep inside arrays are numbered over all of an outer element, and have fields of each array around them", async () => {
    const stubs: Resource = {
      name: "test_stubs",
      touchedBy: [],
      subject: ITEM,
      fetch: { kind: "snapshot", endpoint: "/stubs/get" },
      tables: [
        {
          name: "test_stubs",
          row: "a stub",
          rows: [
            {
              at: "logins[].income[].stubs",
              with: ["account", "logins[].login"],
              numbered: "place",
              numberedWithin: "logins[]",
            },
          ],
          key: ["login", "place"],
          columns: [text("account"), text("name")],
        },
      ],
    };
    const reader = await plaid.open();
    const income = (account: string | null, ...names: string[]) => ({
      account,
      stubs: names.map((name) => ({ name })),
    });
    const logins = [
      { login: "x", income: [income(null, "a", "b"), income("k", "c")] },
      { login: "y", income: [income(null, "d")] },
    ];
    plaid.answer = () => ({ logins });
    await plaid.sync(reader, stubs);
    expect(await plaid.current(reader, "test_stubs", "login, place, account, name")).toEqual([
      { login: "x", place: "1", account: null, name: "a" },
      { login: "x", place: "2", account: null, name: "b" },
      { login: "x", place: "3", account: "k", name: "c" },
      { login: "y", place: "1", account: null, name: "d" },
    ]);
    plaid.answer = () => ({ logins: [{ login: "x", income: {} }] });
    expect(await plaid.attempt(reader, stubs)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
  });

  it("of rows inside the elements of an answer about several subjects only those of the subject are taken", async () => {
    const clicks: Resource = {
      ...sessions,
      name: "test_clicks",
      tables: [
        {
          name: "test_clicks",
          row: "a click",
          rows: [{ at: "sessions[].clicks", whose: "sessions[].session_id", optional: true }],
          key: ["click"],
          columns: [],
        },
      ],
    };
    const reader = await plaid.open(SESSION);
    const session = (session_id: string, ...all: string[]) => ({ session_id, clicks: all.map((click) => ({ click })) });
    plaid.answer = () => ({ sessions: [session("other", "a"), session(reader.scope.subjectId, "b", "c")] });
    await plaid.sync(reader, clicks);
    expect(await plaid.current(reader, "test_clicks", "click", "session_id")).toEqual([{ click: "b" }, { click: "c" }]);
    plaid.answer = () => ({});
    expect((await plaid.sync(reader, clicks)).changes).toEqual({ test_clicks: { added: 0, modified: 0, removed: 2 } });
  });

  it("one object with a key is a row, and the row of the object that replaces it is another", async () => {
    const reports: Resource = {
      ...streams,
      name: "test_reports",
      tables: [
        { name: "test_reports", row: "a report", rows: [{ at: "report", one: true }], key: ["report"], columns: [] },
      ],
    };
    const reader = await plaid.open();
    for (const report of ["first", "second"]) {
      plaid.answer = () => ({ report: { report } });
      await plaid.sync(reader, reports);
      expect(await plaid.current(reader, "test_reports", "report")).toEqual([{ report }]);
    }
    plaid.answer = () => ({ report: [] });
    expect(await plaid.attempt(reader, reports)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
  });
});
