/** Readings in pages: a ledger of events of a subject that is no item, and lists of pages that name the next one. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { INSTITUTION } from "../../src/resources/subjects.ts";
import { text, timestamptz, type Resource } from "../../src/resources/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { openPlaid, type Body, type Plaid } from "./shape-support.ts";

let world: World;
let plaid: Plaid;
beforeAll(async () => {
  world = await startWorld();
  plaid = await openPlaid(world, {
    test_events:
      "ledger_id text, event_id text, event_type text, timestamp timestamptz, primary key (integration_id, ledger_id, event_id)",
    test_hits: "screening_id text, id text, status text, primary key (integration_id, screening_id, id)",
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
