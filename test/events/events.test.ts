/** Events and the outbox: recorded together, in order, whole or not at all; and a batch of webhooks costs one row. */
import * as fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { appendQuietly } from "../../src/journal/append.ts";
import { EVENT_TYPES, isOperatorEvent } from "../../src/events/event-types.ts";
import { recordEvents, type NewEvent, type PartedEvent } from "../../src/events/events.ts";
import { fromEventId, toEventId } from "../../src/model/ids.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { INTEGRATION, proof, webhook } from "../support/webhook.ts";
import { linkItem } from "../journal/support.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());
beforeEach(() => db.database.query("truncate events.outbox, events.events, journal.webhooks, journal.accepted_tokens"));

const event = (data: Record<string, unknown> = {}, more: Partial<NewEvent> = {}): NewEvent => ({
  type: "item.linked",
  integrationId: INTEGRATION,
  itemId: "item-1",
  userId: null,
  environment: "sandbox",
  data,
  ...more,
});
const outbox = async () =>
  (await db.database.query<{ webhooks: string[]; events: string[] }>("select * from events.outbox order by id")).rows;
const payloads = async (ids: readonly string[]): Promise<string[]> => {
  const { rows } = await db.database.query<{ id: string; payload: Buffer }>("select id, payload from events.events");
  const byId = new Map(rows.map(({ id, payload }) => [id, payload.toString()]));
  return ids.map((id) => byId.get(id) ?? "none");
};

/** An event whose parts Postgres makes. */
const parted = (parts: number): PartedEvent => ({
  type: "transactions.changed",
  integrationId: INTEGRATION,
  itemId: "item-1",
  userId: null,
  environment: "sandbox",
  history: true,
  select: {
    name: `test_parts_${parts}`,
    text: `select part::int, concat('{"part":', part, ',"amount":12345678901234567.89}') as data from generate_series(1, $1::int) part`,
  },
  values: [parts],
});

describe("events", () => {
  it("events are recorded as they are sent, with one row of the outbox that names all in their order", async () => {
    const ids = await db.database.transaction((tx) =>
      recordEvents(tx, [event({ n: 0 }), parted(3), event({ n: 4 }, { type: "sync.completed", userId: "u" })]),
    );
    expect(ids).toHaveLength(5);
    expect(ids).toEqual(ids.toSorted());
    expect(await outbox()).toMatchObject([{ events: ids, webhooks: [], position: null }]);
    const texts = await payloads(ids);
    expect(texts[0]).toMatch(
      /^\{"id":"evt_[0-9a-f]{32}","type":"item.linked","version":1,"occurred_at":"[^"]{24}","integration_id":"svi_test","environment":"sandbox","item_id":"item-1","user_id":null,"history":false,"data":\{"n":0\}\}$/,
    );
    expect(texts.slice(1, 4).map((text) => text.replace(/.*"history"/, ""))).toEqual(
      [1, 2, 3].map((part) => `:true,"data":{"part":${part},"amount":12345678901234567.89}}`),
    );
    expect(JSON.parse(texts[4] ?? "")).toMatchObject({ type: "sync.completed", user_id: "u", data: { n: 4 } });
    expect(texts.map((text) => (JSON.parse(text) as { id: string }).id)).toEqual(ids.map(toEventId));
  });

  it("events keep every text that their data holds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 }), async (strings) => {
        const storable = strings.map((text) => Buffer.from(text.replaceAll("\0", "")).toString());
        const ids = await recordEvents(
          db.database,
          storable.map((text) => event({ text })),
        );
        const found = (await payloads(ids)).map((text) => (JSON.parse(text) as { data: { text: string } }).data.text);
        expect(found).toEqual(storable);
      }),
      { numRuns: 50 },
    );
  });

  it("recording no events leaves no row in the outbox", async () => {
    expect(await recordEvents(db.database, [])).toEqual([]);
    expect(await recordEvents(db.database, [parted(0)])).toEqual([]);
    expect(await outbox()).toEqual([]);
  });

  it("events are gone, and so is their row of the outbox, when the transaction is rolled back", async () => {
    const failed = db.database.transaction(async (tx) => {
      await recordEvents(tx, [event(), parted(2)]);
      throw new Error("after all");
    });
    await expect(failed).rejects.toThrow("after all");
    expect(await outbox()).toEqual([]);
    expect((await db.database.query("select from events.events")).rowCount).toBe(0);
  });

  it("events get the item's user and the integration's environment when the caller does not name them", async () => {
    await linkItem(db.database, "item-9", "u9");
    const [id = ""] = await recordEvents(db.database, [event({}, { itemId: "item-9", environment: null })]);
    expect(JSON.parse((await payloads([id]))[0] ?? "")).toMatchObject({ environment: "sandbox", user_id: "u9" });
  });

  it("recording events sends a notification", async () => {
    const payloads: string[] = [];
    const until = async (count: number) => {
      while (payloads.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await using _ = await db.database.listen("tartan_outbox", (payload) => payloads.push(payload));
    await recordEvents(db.database, [event()]);
    await until(1);
    expect(payloads).toEqual([""]);
  });

  it("the id of an event has the digits of its UUID, and no other text is an id", () => {
    const uuid = "0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a";
    expect(toEventId(uuid)).toBe("evt_0192f0c12b3c7d4e8f5a6b7c8d9e0f1a");
    expect(fromEventId(toEventId(uuid))).toBe(uuid);
    for (const wrong of ["", "evt_", uuid, `whk_${uuid.replaceAll("-", "")}`, `${toEventId(uuid)}0`])
      expect(fromEventId(wrong)).toBeNull();
  });
});

describe("a batch of webhooks", () => {
  it("a batch of webhooks is one row of the outbox, which names those that are new in the order of their ids", async () => {
    const first = webhook();
    const [again, second] = [webhook({ proof: first.proof }), webhook()];
    await appendQuietly(db.database, [second, first, again]);
    expect(await outbox()).toMatchObject([{ webhooks: [first.id, second.id].toSorted(), events: [] }]);
  });

  it("a batch that holds only duplicates leaves no row in the outbox", async () => {
    const same = proof();
    await appendQuietly(db.database, [webhook({ proof: same })]);
    await appendQuietly(db.database, [webhook({ proof: same }), webhook({ proof: same })]);
    expect(await outbox()).toHaveLength(1);
  });

  it("a batch of webhooks is not in the outbox when its transaction is rolled back", async () => {
    await db.database
      .transaction(async (tx) => {
        await appendQuietly(tx, [webhook()]);
        throw new Error("no");
      })
      .catch(() => undefined);
    expect(await outbox()).toEqual([]);
  });
});

describe("event types", () => {
  it("every event type has a sentence, and operator events are distinguished", () => {
    for (const sentence of Object.values(EVENT_TYPES)) expect(sentence).toMatch(/^[A-Z].*\.$/);
    expect(Object.keys(EVENT_TYPES).filter(isOperatorEvent)).toEqual(
      Object.keys(EVENT_TYPES).filter((type) => /^(delivery|destination|relay)\./.test(type)),
    );
    expect(isOperatorEvent("toString")).toBe(false);
  });
});
