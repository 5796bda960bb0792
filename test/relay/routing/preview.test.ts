/** Preview: a route tried against past events shows what it would have matched and what would fail. */
import { afterAll, expect, test } from "vitest";
import type { Database } from "../../../src/database/types.ts";
import { append } from "../../../src/journal/append.ts";
import { recordEvents, type NewEvent } from "../../../src/events/events.ts";
import { toEventId } from "../../../src/model/ids.ts";
import type { NewWebhook } from "../../../src/model/webhook.ts";
import { previewRoute, type Preview, type PreviewRange } from "../../../src/relay/routing/preview.ts";
import type { NewRouteDefinition } from "../../../src/relay/routing/routes.ts";
import { openTransforms } from "../../../src/relay/content/transform.ts";
import { testDatabase } from "../../support/database.ts";
import { refusalOf } from "../support.ts";
import { webhook } from "../../support/webhook.ts";

const transforms = openTransforms();
afterAll(() => transforms[Symbol.asyncDispose]());

const HOUR = 3_600_000;

const preview = (q: Database, definition: NewRouteDefinition, range: Partial<PreviewRange> = {}): Promise<Preview> =>
  previewRoute(q, transforms, definition, {
    since: new Date(Date.now() - 24 * HOUR),
    until: new Date(),
    limit: 1000,
    ...range,
  });

async function journal(database: Database, ...webhooks: Partial<NewWebhook>[]): Promise<string[]> {
  const all = webhooks.map((fields) => webhook(fields));
  for (let at = 0; at < all.length; at += 200) {
    await database.transaction(async (tx) => void (await append(tx, all.slice(at, at + 200))));
  }
  return all.map(({ id }) => id);
}

const event = (database: Database, fields: Partial<NewEvent>): Promise<string[]> =>
  database.transaction((tx) =>
    recordEvents(tx, [
      {
        type: "item.error",
        integrationId: "svi_test",
        itemId: "item-1",
        userId: null,
        environment: "sandbox",
        data: {},
        ...fields,
      },
    ]),
  );

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

test("a preview counts the events that a route takes and shows the newest bodies", async () => {
  await using db = await testDatabase();
  const { database } = db;
  const bodies = [1, 2, 3, 4, 5, 6, 7].map((n) => ({ body: Buffer.from(`{ "new_transactions":\t${n} }`) }));
  const ids = await journal(database, ...bodies);
  await event(database, { data: { error: null } });
  const match = { new_transactions: { $gt: 1 } };
  expect(await preview(database, { match, form: "original" })).toEqual({
    examined: 7,
    matched: 6,
    failed: 0,
    truncated: false,
    samples: [6, 5, 4, 3, 2].map((at) => ({
      event_id: toEventId(ids[at] ?? ""),
      type: "webhook.received",
      occurred_at: expect.stringMatching(/Z$/),
      body: `{ "new_transactions":\t${at + 1} }`,
      error: null,
    })),
  });
  const both = await preview(database, {});
  expect(both).toMatchObject({ examined: 8, matched: 8 });
  expect(both.samples[0]).toMatchObject({
    type: "item.error",
    body: expect.stringContaining('"data":{"error":null}'),
  });
});

test("a preview shows which transforms fail and why, without the event's data", async () => {
  await using db = await testDatabase();
  const { database } = db;
  await journal(database, ...[1, "secret", 3].map((n) => ({ body: json({ n }) })));
  const made = await preview(database, { transform: "{'twice': data.webhook.n * 2}" });
  expect(made).toMatchObject({ examined: 3, matched: 3, failed: 1 });
  expect(made.samples.map(({ body, error }) => body ?? error)).toEqual([
    '{"twice":6}',
    "transform_error: the left side of an operator must be a number (T2001), at character 26",
    '{"twice":2}',
  ]);
});

test("a preview examines the given range and at most the given number of events", async () => {
  await using db = await testDatabase();
  const { database } = db;
  const now = Date.now();
  const at = (hours: number) => ({ receivedAt: new Date(now - hours * HOUR), body: json({ hours }) });
  await journal(database, at(30), at(20), at(10), at(5), at(0));
  const hours = ({ samples }: Preview) =>
    samples.map(({ body }) => (JSON.parse(body ?? "") as { hours: number }).hours);
  const original: NewRouteDefinition = { form: "original" };
  const range = { since: new Date(now - 20 * HOUR), until: new Date(now - 5 * HOUR) };
  expect(hours(await preview(database, original, range))).toEqual([5, 10, 20]);
  const cut = await preview(database, original, { ...range, limit: 2 });
  expect([hours(cut), cut.examined, cut.truncated]).toEqual([[5, 10], 2, true]);
  const whole = await preview(database, original, { ...range, limit: 3 });
  expect([whole.examined, whole.truncated]).toEqual([3, false]);
});

test("a preview reads thousands of events in pages, webhooks and others in their order", async () => {
  await using db = await testDatabase();
  const { database } = db;
  const start = Date.now() - 10_000;
  const kinds = Array.from({ length: 1300 }, (_, n) => ({
    receivedAt: new Date(start + n),
    body: json({ n }),
    itemId: `item-${n % 10}`,
  }));
  await journal(database, ...kinds);
  for (let n = 0; n < 3; n += 1) await event(database, { itemId: "item-3", data: { n } });
  const filter = { item_ids: ["item-3"] };
  expect(await preview(database, { filter }, { limit: 5000 })).toMatchObject({
    examined: 1303,
    matched: 133,
    truncated: false,
    samples: [
      { type: "item.error" },
      { type: "item.error" },
      { type: "item.error" },
      { type: "webhook.received" },
      { type: "webhook.received" },
    ],
  });
  expect(await preview(database, { filter: { ...filter, types: ["item.*"] } })).toMatchObject({
    examined: 3,
    matched: 3,
  });
  expect(await preview(database, { filter, match: { n: { $lt: 100 } } }, { limit: 5000 })).toMatchObject({
    matched: 13,
  });
  expect(await preview(database, { filter }, { limit: 1100 })).toMatchObject({ examined: 1100, truncated: true });
});

test("a preview shows 4 kB of a long body, without half a character at its end", async () => {
  await using db = await testDatabase();
  await journal(db.database, { body: Buffer.from(`"${"é".repeat(5000)}"`) });
  const { samples } = await preview(db.database, { form: "original" });
  expect(samples[0]?.body).toBe(`"${"é".repeat(2047)}`);
});

test("a preview refuses an invalid route and an invalid range", async () => {
  const untouched = { query: () => Promise.reject(new Error("reached the database")) } as never;
  const [now, later] = [new Date(), new Date(Date.now() + 1)];
  for (const [definition, range, fields] of [
    [{ match: { $a: 1 }, form: "raw" as never }, {}, ["form", "match.$a"]],
    [{}, { limit: 5001 }, ["limit"]],
    [{}, { limit: 0, since: later, until: now }, ["until", "limit"]],
    [{}, { since: new Date("x") }, ["since"]],
  ] as const) {
    const refusal = await refusalOf(preview(untouched, definition, range));
    expect([refusal.code, Object.keys(refusal.fields)]).toEqual(["invalid_request", fields]);
  }
});
