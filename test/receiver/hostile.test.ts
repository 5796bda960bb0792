/** The refusal of a request with any content is recorded, and no other refusal is lost. */
import { connect } from "node:net";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock as clock } from "../../src/clock.ts";
import { listRefusals, openRefusals } from "../../src/journal/refusals.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import type { Refusal } from "../../src/model/refusal.ts";
import { testDatabase } from "../support/database.ts";
import { callerOf, startWorld } from "../support/world/index.ts";

/** Sends the bytes as they are and reads the status line of the answer. */
function sendRaw({ url }: { url: string }, bytes: Buffer): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let answer = "";
    const end = () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (answer.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("close", end);
    socket.on("error", (error) => (answer === "" ? reject(error) : end()));
  });
}

const request = (path: string | Buffer, headers: readonly (string | Buffer)[], body: string): Buffer =>
  Buffer.concat([
    Buffer.from("POST "),
    Buffer.from(path as string),
    Buffer.from(` HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`),
    ...headers.flatMap((header) => [Buffer.from(header as string), Buffer.from("\r\n")]),
    Buffer.from("\r\n"),
    Buffer.from(body),
  ]);

const id = fc.oneof(
  fc.constantFrom("%00", "%ED%A0%80", "%ZZ", "%", "%c3%28", "svi_%00", "99999999999999999999999999", "__proto__"),
  fc.constantFrom(301, 5_000, 100_000).map((length) => "x".repeat(length)),
  fc.string({ minLength: 1, maxLength: 20 }).map(encodeURIComponent),
  fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((bytes) => [...bytes].map((b) => `%${b.toString(16).padStart(2, "0")}`).join("")),
);
const header = fc.oneof(
  fc.constantFrom<string | Buffer>(
    "Plaid-Verification: x",
    "Plaid-Verification: ",
    "Authorization: Bearer 9007199254740993e999",
    "Whdb-Webhook-Secret: nul\0",
    "X-Forwarded-For: 10.0.0.1\0, \ud800",
    Buffer.from([0x58, 0x3a, 0x20, 0x01, 0x02, 0xff]),
    Buffer.from([0x58, 0x3a, 0x20, 0xed, 0xa0, 0x80]),
    `X-Long: ${"y".repeat(20_000)}`,
  ),
  fc
    .uint8Array({ maxLength: 40 })
    .map((bytes) => Buffer.concat([Buffer.from("X-Bytes: "), Buffer.from(bytes.filter((b) => b !== 10 && b !== 13))])),
);
const body = fc.oneof(
  fc.constantFrom(
    "",
    "\0",
    "{",
    '{"webhook_type":"ITEM","n":1e999999}',
    '{"iat":99999999999999999999}',
    '"\\ud800"',
    "x".repeat(1_100_000),
  ),
  fc.string(),
);

test("the refusal of a request with any content is recorded beside every other one", async () => {
  await using world = await startWorld({ api: { config: { trustedProxies: ["127.0.0.1"] } } });
  const { id: known } = await world.api.integrate();
  const counted = async () => {
    const rows = await world.database.query<{ n: number }>(
      "select coalesce(sum(count), 0)::int as n from journal.refusals",
    );
    return rows.rows[0]?.n ?? 0;
  };
  let expected = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(id, fc.constant(known)),
      fc.array(header, { maxLength: 3 }),
      body,
      async (to, headers, text) => {
        const status = await sendRaw(world.api, request(`/v1/integrations/${to}`, headers, text)).catch(() => -1);
        // A connection that is cut while the request is still being sent shows no status; it is refused all the same.
        if (status > 0) expect(status).toBeGreaterThanOrEqual(400);
        expect(status).not.toBe(500);
        expected += 1;
      },
    ),
    { numRuns: 150 },
  );
  await expect.poll(counted, { timeout: 15_000, interval: 100 }).toBe(expected);
  expect(
    world.api.logged.filter((line) => line.includes("not recorded") || line.includes("by its reason alone")),
  ).toEqual([]);
  const list = await callerOf(world.api.url)("GET /v1/refusals?limit=500");
  expect(list.status).toBe(200);
}, 60_000);

const refusal = (fields: Partial<Refusal> = {}): Refusal => ({
  integrationId: "svi_1",
  reason: "signature_invalid",
  detail: "its signature does not hold",
  remoteAddress: "10.0.0.1",
  bodyBytes: 12,
  ...fields,
});

test("a refusal with values that no column can hold is recorded with the others", async () => {
  await using db = await testDatabase();
  const values = fc.record({
    integrationId: fc.constantFrom(null, "\0", "\ud800", "x".repeat(100_000), "a\nb"),
    detail: fc.constantFrom(null, "\0\ud800", "😀".repeat(500)),
    remoteAddress: fc.constantFrom(null, "\0", "not an address", "2001:db8::1", "x".repeat(1000)),
    bodyBytes: fc.constantFrom(null, -1, Number.NaN, 1e300, Number.POSITIVE_INFINITY, 1.5, 2 ** 31),
  });
  const times = [Number.NaN, -1, 8.64e15, 1e300, Date.UTC(2400, 0), 0];
  let [turn, expected] = [0, 0];
  const now = () => times[turn++ % times.length] ?? 0;
  await using refusals = openRefusals({ database: db.database, logger, clock: { ...clock, now } });
  for (const one of fc.sample(values, 300)) {
    refusals.record(refusal(one));
    expected += 1;
    if (expected % 10 === 0) await refusals.flush();
  }
  await refusals.flush();
  const { data } = await listRefusals(db.database, { limit: 500 });
  expect(data.reduce((sum, { count }) => sum + count, 0)).toBe(expected);
  expect(data.filter(({ detail }) => detail?.startsWith("what the request held"))).toEqual([]);
});

test("a refusal that Postgres rejects is recorded by its reason, and those beside it whole", async () => {
  await using db = await testDatabase();
  await db.database.query("alter table journal.refusals add check (detail <> 'poison')");
  await using refusals = openRefusals({ database: db.database, logger, clock });
  for (const detail of ["one", "poison", "two"]) refusals.record(refusal({ detail, reason: detail }));
  await refusals.flush();
  const { data } = await listRefusals(db.database, {});
  expect(data.map(({ reason, detail, count }) => [reason, detail, count])).toEqual([
    ["two", "two", 1],
    ["poison", "the request's content could not be stored", 1],
    ["one", "one", 1],
  ]);
});

test("refusals that come while Postgres is down are written afterwards", async () => {
  await using db = await testDatabase();
  let isAway = true;
  const database = new Proxy(db.database, {
    get: (target, name) => {
      if (name === "query" && isAway) return () => Promise.reject(Object.assign(new Error("away"), { code: "57P01" }));
      return Reflect.get(target, name).bind(target);
    },
  });
  await using refusals = openRefusals({ database, logger, clock });
  refusals.record(refusal());
  await refusals.flush();
  refusals.record(refusal({ reason: "body_mismatch" }));
  refusals.record(refusal());
  await refusals.flush();
  isAway = false;
  await refusals.flush();
  const { data } = await listRefusals(db.database, {});
  expect(data.map(({ reason, count }) => [reason, count])).toEqual([
    ["body_mismatch", 1],
    ["signature_invalid", 2],
  ]);
});
