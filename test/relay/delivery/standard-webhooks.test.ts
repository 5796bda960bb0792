/**
 * What Standard Webhooks (https://www.standardwebhooks.com, version 1.0.0) asks of a sender, a row each: packed, signed, sent
 * and classified by the relay's own parts, received by a real server, and verified by the specification's own library.
 */
import { createPublicKey, randomUUID, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import type { PrefetchedDelivery } from "../../../src/relay/delivery/prefetcher.ts";
import { checkNewDestination } from "../../../src/relay/destinations/destination.schema.ts";
import { PayloadMemory } from "../../../src/relay/delivery/payloads.ts";
import { RequestBuilder } from "../../../src/relay/delivery/request-builder.ts";
import { newSecret } from "../../../src/relay/senders/signing.ts";
import type { Exchange, LoadedDestination } from "../../../src/relay/model/types.ts";
import { classify, type Classification } from "../../../src/relay/delivery/classification.ts";
import { testDatabase } from "../../support/database.ts";
import { answering, bare, sender, urlOf, type Received } from "../receivers.ts";
import { loadedDestination, NO_DATABASE, NO_TRANSFORMS, prefetchedDelivery } from "./parts.ts";

const BODY = Buffer.from('{ "amount":\t12345678901234567.10, "name": "Müller \\u00e9 💸", "z":1, "a":2 }\n');
const SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 36000];

type Keys = LoadedDestination["keys"];

const v1 = () => ({ scheme: "v1" as const, expiresAt: null, ...newSecret("v1") });
const v1a = () => ({ scheme: "v1a" as const, expiresAt: null, ...newSecret("v1a") });

/** One delivery, to a receiver that takes it. */
async function received(
  keys: Keys,
  fields: Partial<PrefetchedDelivery> = {},
  headers: Record<string, string> = {},
): Promise<Received> {
  await using r = await answering(200);
  await using s = sender(urlOf(r));
  const builder = new RequestBuilder(
    loadedDestination({ headers, schedule: SCHEDULE, keys }),
    NO_TRANSFORMS,
    new PayloadMemory(),
  );
  const sent = prefetchedDelivery(BODY, fields);
  const prepared = await builder.buildBody(NO_DATABASE, sent, 1, new AbortController().signal);
  if (prepared === null || "cause" in prepared) throw new Error(prepared?.cause);
  const { body } = prepared;
  expect(await s.send({ body, headers: builder.buildHeaders(sent, body, Date.now()) })).toMatchObject({ cause: null });
  return r.received[0] as Received;
}

/** What follows from an answer. */
async function answered(
  status: number,
  headers: Record<string, string> = {},
): Promise<Classification & { exchange: Exchange }> {
  await using r = await answering(status, headers);
  await using s = sender(urlOf(r));
  const exchange = await s.send({ headers: {}, body: BODY });
  return { exchange, ...classify(exchange, { schedule: SCHEDULE, tries: 0 }, () => 0.5) };
}

const check = ({ headers, body }: Received, { secret }: { secret: string }): unknown =>
  new Webhook(secret).verify(body.toString(), headers as Record<string, string>);

const header = ({ headers }: Received, name: string): string => String(headers[name]);

const REQUIREMENTS: Record<string, () => Promise<void>> = {
  "the payload is the body of a POST": async () => {
    const got = await received([v1()]);
    expect(got.method).toBe("POST");
    expect(got.body).toEqual(BODY);
  },

  "the payload is JSON, and says so": async () => {
    expect(header(await received([v1()]), "content-type")).toBe("application/json");
  },

  "webhook-id, webhook-timestamp and webhook-signature are sent": async () => {
    const { headers } = await received([v1()]);
    expect(Object.keys(headers)).toEqual(
      expect.arrayContaining(["webhook-id", "webhook-timestamp", "webhook-signature"]),
    );
  },

  "the id and the timestamp hold no full stop": async () => {
    const got = await received([v1()]);
    expect(header(got, "webhook-id")).toMatch(/^evt_[0-9a-f]{32}$/);
    expect(header(got, "webhook-timestamp")).toMatch(/^\d{10}$/);
  },

  "the id is the event's: the same at each attempt and each replay, another for another event": async () => {
    const eventId = randomUUID();
    const ids = [];
    for (const fields of [
      { eventId },
      { eventId, attempts: 3, tries: 3 },
      { eventId, jobId: "job_1", id: randomUUID() },
      {},
    ])
      ids.push(header(await received([v1()], fields), "webhook-id"));
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(new Set(ids).size).toBe(2);
  },

  "the timestamp is that of the attempt, in whole seconds, not that of the event": async () => {
    const from = Math.floor(Date.now() / 1000);
    const got = await received([v1()], { occurredAt: new Date(0) });
    const timestamp = Number(header(got, "webhook-timestamp"));
    expect(timestamp).toBeGreaterThanOrEqual(from);
    expect(timestamp).toBeLessThanOrEqual(Math.floor(Date.now() / 1000));
  },

  "id, timestamp and the exact bytes are what is signed": async () => {
    const key = v1();
    const got = await received([key]);
    check(got, key);
    const without = (name: string, value: string) => ({ ...got, headers: { ...got.headers, [name]: value } });
    expect(() => check(without("webhook-id", "evt_other"), key)).toThrow();
    expect(() =>
      check(without("webhook-timestamp", String(Number(header(got, "webhook-timestamp")) + 1)), key),
    ).toThrow();
    expect(() => check({ ...got, body: Buffer.from(JSON.stringify(JSON.parse(got.body.toString()))) }, key)).toThrow();
  },

  "a v1 signature is HMAC-SHA256 in base64, after v1 and a comma": async () => {
    expect(header(await received([v1()]), "webhook-signature")).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/);
  },

  "a v1 secret is whsec_ and the base64 of 24 to 64 bytes": async () => {
    const secret = (length: number): Keys => [
      { scheme: "v1", expiresAt: null, secret: `whsec_${Buffer.alloc(length, 7).toString("base64")}` },
    ];
    for (const length of [24, 64]) await received(secret(length));
    for (const length of [23, 65]) await expect(received(secret(length))).rejects.toThrow(/24 to 64/);
    expect(v1().secret).toMatch(/^whsec_/);
  },

  "a v1a signature is Ed25519, by a whsk_ key, verified by its whpk_": async () => {
    const key = v1a();
    const got = await received([key]);
    const [scheme, signature = ""] = header(got, "webhook-signature").split(",");
    expect(scheme).toBe("v1a");
    expect(key.publicKey).toMatch(/^whpk_/);
    const spki = Buffer.from(
      `302a300506032b6570032100${Buffer.from(String(key.publicKey).slice(5), "base64").toString("hex")}`,
      "hex",
    );
    const signed = Buffer.from(`${header(got, "webhook-id")}.${header(got, "webhook-timestamp")}.${BODY.toString()}`);
    const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
    expect(verify(null, signed, publicKey, Buffer.from(signature, "base64"))).toBe(true);
  },

  "several keys sign, with a space between, so that none fails while keys are changed": async () => {
    const keys = [v1(), v1(), v1a()];
    const got = await received(keys);
    expect(
      header(got, "webhook-signature")
        .split(" ")
        .map((one) => one.split(",")[0]),
    ).toEqual(["v1", "v1", "v1a"]);
    for (const key of keys.slice(0, 2)) check(got, key);
    expect(() => check(got, v1())).toThrow();
  },

  "each destination has secrets of its own": async () => {
    expect(new Set([v1(), v1(), v1a(), v1a()].map(({ secret }) => secret)).size).toBe(4);
  },

  "custom headers cannot stand in for those that are signed": async () => {
    const key = v1();
    const forged = {
      "webhook-id": "evt_forged",
      "webhook-timestamp": "1",
      "webhook-signature": "v1,x",
      "x-own": "kept",
    };
    const got = await received([key], {}, forged);
    check(got, key);
    expect(got.headers["x-own"]).toBe("kept");
  },

  "a replay carries a mark, a new timestamp and a new signature, over the same bytes": async () => {
    const key = v1();
    const got = await received([key], { jobId: "job_1", attempts: 9 });
    check(got, key);
    expect(header(got, "webhook-replay")).toBe("job_1");
    expect((await received([key])).headers["webhook-replay"]).toBeUndefined();
  },

  "2xx is success": async () => {
    for (const status of [200, 201, 202, 204, 299])
      expect(await answered(status)).toMatchObject({ outcome: "delivered" });
  },

  "3xx is failure, and is not followed": async () => {
    await using elsewhere = await answering(200);
    for (const status of [301, 302, 303, 307, 308])
      expect(await answered(status, { location: urlOf(elsewhere) })).toMatchObject({
        outcome: "retry",
        cause: "redirect",
      });
    expect(elsewhere.connections).toHaveLength(0);
  },

  "410 disables the destination": async () => {
    expect(await answered(410)).toMatchObject({ outcome: "retry", disable: "gone" });
  },

  "429, 502 and 504 are left alone for a while": async () => {
    for (const status of [429, 502, 504]) expect((await answered(status)).dueInMs).toBeGreaterThanOrEqual(60_000);
    expect((await answered(500)).dueInMs).toBe(5000);
  },

  "429 with Retry-After holds the whole destination": async () => {
    expect(await answered(429, { "retry-after": "7" })).toMatchObject({ holdMs: 7000 });
  },

  "Retry-After is kept to, in seconds and as a date, also of a 503": async () => {
    expect(await answered(503, { "retry-after": "3600" })).toMatchObject({ dueInMs: 3_600_000 });
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
    const { dueInMs } = await answered(503, { "retry-after": inAnHour });
    expect(dueInMs).toBeGreaterThan(3_500_000);
    expect(dueInMs).toBeLessThanOrEqual(3_600_000);
  },

  "every other status is failure": async () => {
    for (const status of [400, 401, 403, 404, 409, 418, 500, 501, 503])
      expect(await answered(status)).toMatchObject({ outcome: "retry", cause: `status_${status}`, disable: null });
  },

  "a reset connection and a timeout are failures": async () => {
    for (const [act, cause] of [
      ["reset", "connection_reset"],
      ["silence", "timeout"],
    ]) {
      await using r = await bare((socket) => act === "reset" && socket.resetAndDestroy());
      await using s = sender(urlOf(r), { timeoutMs: 100 });
      const exchange = await s.send({ headers: {}, body: BODY });
      expect(classify(exchange, { schedule: SCHEDULE, tries: 0 })).toMatchObject({ outcome: "retry", cause });
    }
  },

  "a request may take 15 s by default, and never longer than 30 s": async () => {
    await using db = await testDatabase();
    const insert = "insert into relay.destinations (id, url) values ('dst_1', 'https://receiver.test/') returning *";
    const { rows } = await db.database.query<{ timeout_ms: number }>(insert);
    expect(rows[0]?.timeout_ms).toBe(15_000);
    await expect(db.database.query("update relay.destinations set timeout_ms = 30001")).rejects.toThrow();
    const rules = { allowHttp: false, checkUrl: () => undefined };
    const given = (timeout_ms: number) => () =>
      checkNewDestination({ url: "https://receiver.test/", timeout_ms }, rules);
    expect(given(15_000)).not.toThrow();
    expect(given(30_000)).not.toThrow();
    expect(given(30_001)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  },

  "retries go on for more than a day, with growing pauses and some randomness": async () => {
    await using db = await testDatabase();
    const insert = "insert into relay.destinations (id, url) values ('dst_1', 'https://receiver.test/') returning *";
    const { rows } = await db.database.query<{ schedule: number[] }>(insert);
    const schedule = rows[0]?.schedule ?? [];
    expect(schedule).toEqual(SCHEDULE);
    expect(schedule.reduce((sum, seconds) => sum + seconds, 0)).toBeGreaterThan(24 * 3600);
    expect(schedule.toSorted((a, b) => a - b)).toEqual(schedule);
    const { exchange } = await answered(500);
    const delays = Array.from({ length: 20 }, () => classify(exchange, { schedule, tries: 3 }).dueInMs);
    expect(new Set(delays).size).toBeGreaterThan(1);
  },

  "https is wanted unless the operator allows http": async () => {
    const given = (allowHttp: boolean) => () =>
      checkNewDestination({ url: "http://receiver.test/" }, { allowHttp, checkUrl: () => undefined });
    expect(given(false)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(given(true)).not.toThrow();
  },
};

describe("Standard Webhooks", () => {
  test.each(Object.keys(REQUIREMENTS))("%s", async (requirement) => {
    await REQUIREMENTS[requirement]?.();
  });
});
