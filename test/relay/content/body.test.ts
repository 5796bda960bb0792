/** The sent bytes: a webhook is passed on as it came, also within the envelope. */
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { recordEvents } from "../../../src/events/events.ts";
import { payloadOf, render } from "../../../src/relay/content/body.ts";
import { SOURCES } from "../../../src/relay/content/queries.ts";
import type { EventSource } from "../../../src/relay/model/types.ts";
import { testDatabase } from "../../support/database.ts";
import { webhook } from "../../support/webhook.ts";

const ID = "01935c1e-0000-7000-8000-00000000abcd";

const received = (bytes: Buffer, more: Partial<EventSource> = {}): EventSource => ({
  id: ID,
  type: "webhook.received",
  integrationId: "svi_1",
  environment: "sandbox",
  itemId: "item-1",
  userId: 'user "1"\u2028',
  subjectKind: null,
  subjectId: null,
  history: false,
  webhookType: "ITEM",
  webhookCode: "ERROR",
  source: "PLAID",
  occurredAt: new Date("2026-11-20T17:03:29.005Z"),
  bytes,
  verification: "header.claims.signature",
  keyId: "kid-1",
  signedAt: new Date("2026-11-20T17:03:28Z"),
  ...more,
});

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

interface Envelope {
  id: string;
  data: { webhook: unknown; body_base64: string | null; verification: Record<string, unknown> | null };
}
const parsed = (bytes: Buffer): Envelope => JSON.parse(bytes.toString("utf8")) as Envelope;

/** JSON as nobody's serializer writes it: whitespace anywhere, digits beyond a double, escapes, characters of all planes. */
const space = fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t"), maxLength: 3 });
const odd = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      "true",
      "null",
      "1.10",
      "-0",
      "1E5",
      "12345678901234567890.123456789",
      "1e-400",
      '"\\u00e9\\/\\ud800"',
    ),
    fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    fc.tuple(space, tie("value"), space, tie("value")).map(([a, one, b, other]) => `[${a}${one}${b},${b}${other}${a}]`),
    fc
      .tuple(space, fc.string({ unit: "grapheme" }), tie("value"), space)
      .map(([a, name, value, b]) => `{${a}${JSON.stringify(name)}${b}:${a}${value}${b},"twice":1,"twice":${value}}`),
  ),
})).value;
const json = fc.tuple(space, odd, space).map(([a, value, b]) => Buffer.from(a + value + b));
const anything = fc.oneof(
  json,
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

test("the form original sends the received bytes unchanged", () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      expect(sha256(render(received(bytes), "original"))).toBe(sha256(bytes));
    }),
  );
});

test("a JSON webhook is byte for byte in its envelope, and the envelope is JSON", () => {
  fc.assert(
    fc.property(json, (bytes) => {
      const sent = render(received(bytes), "webhook");
      const at = sent.indexOf('"webhook":') + '"webhook":'.length;
      expect(sent.subarray(at, at + bytes.length).equals(bytes)).toBe(true);
      const { data } = parsed(sent);
      expect(data.webhook).toEqual(JSON.parse(bytes.toString("utf8")));
      expect(data.body_base64).toBeNull();
      expect(data.verification).toEqual({
        jwt: "header.claims.signature",
        key_id: "kid-1",
        signed_at: "2026-11-20T17:03:28.000Z",
        body_sha256: sha256(bytes),
      });
    }),
    { numRuns: 500 },
  );
});

test("a webhook that is not JSON is in the envelope as base64 and decodes to the same bytes", () => {
  const bodies = ["", "{", "\ufeff{}", "NaN", '{"a":1}{}'].map((text) => Buffer.from(text));
  bodies.push(Buffer.from([0x22, 0xff, 0x22]), Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), Buffer.from([0]));
  for (const bytes of bodies) {
    const { data } = parsed(render(received(bytes), "event"));
    expect(data.webhook).toBeNull();
    expect(Buffer.from(data.body_base64 ?? "", "base64").equals(bytes)).toBe(true);
    expect(payloadOf(received(bytes))).toBeUndefined();
  }
});

test("the envelope of a webhook that is not from Plaid has no verification", () => {
  const source = received(Buffer.from("{}"), { source: "BACKEND", verification: null, keyId: null, signedAt: null });
  expect(parsed(render(source, "event")).data.verification).toBeNull();
});

test("an event other than a webhook is its own bytes in every form", () => {
  const bytes = Buffer.from('{"id":"evt_1",  "data":{"n":12345678901234567890}}');
  const source = received(bytes, { type: "item.error" });
  for (const form of ["original", "webhook", "event"] as const) expect(render(source, form).equals(bytes)).toBe(true);
});

test("a matcher compares the body of a webhook and the data of any other event", () => {
  const bytes = Buffer.from('{"data":{"a":1}}');
  expect(payloadOf(received(bytes))).toEqual({ data: { a: 1 } });
  expect(payloadOf(received(bytes, { type: "item.error" }))).toEqual({ a: 1 });
  expect(payloadOf(received(Buffer.from("[1]"), { type: "item.error" }))).toBeUndefined();
});

test("the journaled bytes of a webhook are sent, in the same envelope that Postgres writes for other events", async () => {
  await using db = await testDatabase();
  const { database } = db;
  const body = Buffer.from('\n{ "amount": 12345678901234567890.10, "name":"caf\\u00e9 \u{1f4b6}" }\t');
  const head = {
    integrationId: 'svi_"\\\u0001\u007f\u2028é',
    itemId: "item/1",
    userId: "u\n\u{1f4b6}",
    environment: "sandbox",
  };
  const taken = webhook({ ...head, subject: null, body });
  await database.transaction(async (tx) => {
    await append(tx, [taken]);
  });
  const [event = ""] = await database.transaction((tx) =>
    recordEvents(tx, [{ type: "item.removed", ...head, data: { reason: "unlinked" } }]),
  );
  const { rows } = await database.query<EventSource>(SOURCES, [[taken.id], [event]]);
  const [wrapped, other] = rows as [EventSource, EventSource];
  expect(sha256(render(wrapped, "original"))).toBe(sha256(body));

  const { rows: made } = await database.query<{ envelope: Buffer }>(
    "select events.envelope($1, 'webhook.received', $2, $3, $4, $5, $6, null, null, false, $7) as envelope",
    [
      wrapped.id,
      wrapped.occurredAt,
      wrapped.integrationId,
      wrapped.environment,
      wrapped.itemId,
      wrapped.userId,
      "DATA",
    ],
  );
  const [before, after] = (made[0]?.envelope.toString("utf8") ?? "").split("DATA");
  const sent = render(wrapped, "event").toString("utf8");
  expect(sent.startsWith(before ?? "-")).toBe(true);
  expect(sent.endsWith(after ?? "-")).toBe(true);
  expect(Object.keys(parsed(render(other, "event")))).toEqual(Object.keys(JSON.parse(sent) as object));
});

test("version 1 of the envelope around a webhook has the same bytes for ever, since retries and replays render it anew", () => {
  const bytes = render(received(Buffer.from('{ "amount":\t1.10, "name": "Müller" }\n')), "webhook");
  expect(bytes.toString()).toBe(
    '{"id":"evt_01935c1e00007000800000000000abcd","type":"webhook.received","version":1,' +
      '"occurred_at":"2026-11-20T17:03:29.005Z","integration_id":"svi_1","environment":"sandbox","item_id":"item-1",' +
      '"user_id":"user \\"1\\"\u2028","history":false,"data":{"webhook_id":"whk_01935c1e00007000800000000000abcd",' +
      '"source":"PLAID","webhook_type":"ITEM","webhook_code":"ERROR","received_at":"2026-11-20T17:03:29.005Z",' +
      '"webhook":{ "amount":\t1.10, "name": "Müller" }\n,"body_base64":null,"tokens_cut":false,' +
      '"verification":{"jwt":"header.claims.signature","key_id":"kid-1","signed_at":"2026-11-20T17:03:28.000Z",' +
      '"body_sha256":"c7cd21d47c60608e22842a9e3026c1e43768e7251558b9bfa3c10680fee7d671"}}}',
  );
});
