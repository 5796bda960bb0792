import { describe, expect, test } from "vitest";
import { systemClock as clock } from "../../src/clock.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { listRefusals, openRefusals } from "../../src/journal/refusals.ts";
import type { Refusal } from "../../src/model/refusal.ts";
import { testDatabase } from "../support/database.ts";

const refusal = (fields: Partial<Refusal> = {}): Refusal => ({
  integrationId: "svi_1",
  reason: "signature_invalid",
  detail: "its signature does not hold",
  remoteAddress: "10.0.0.1",
  bodyBytes: 12,
  ...fields,
});

describe("refusals", () => {
  test("a refusal is listed with its reason and its sender", async () => {
    await using db = await testDatabase();
    await using refusals = openRefusals({ database: db.database, logger, clock });
    refusals.record(refusal());
    await refusals.flush();
    const { data, next_cursor } = await listRefusals(db.database, {});
    expect(next_cursor).toBeNull();
    expect(data).toEqual([
      {
        refused_at: expect.stringMatching(/^\d{4}-.*Z$/),
        integration_id: "svi_1",
        listener_id: null,
        reason: "signature_invalid",
        detail: "its signature does not hold",
        remote_address: "10.0.0.1",
        body_bytes: 12,
        count: 1,
      },
    ]);
  });

  test("similar refusals of the same second are one row with a count", async () => {
    await using db = await testDatabase();
    await using refusals = openRefusals({ database: db.database, logger, clock });
    for (let index = 0; index < 1000; index += 1) refusals.record(refusal());
    refusals.record(refusal({ reason: "body_mismatch" }));
    await refusals.flush();
    const { data } = await listRefusals(db.database, {});
    expect(data.map(({ reason, count }) => [reason, count])).toEqual([
      ["body_mismatch", 1],
      ["signature_invalid", 1000],
    ]);
  });

  test("a flood of refusals from many senders writes few rows and counts each refusal", async () => {
    await using db = await testDatabase();
    await using refusals = openRefusals({ database: db.database, logger, clock });
    for (let index = 0; index < 20_000; index += 1)
      refusals.record(refusal({ remoteAddress: `10.0.${index >> 8}.${index & 255}`, reason: index % 2 ? "a" : "b" }));
    await refusals.flush();
    const { data } = await listRefusals(db.database, { limit: 500 });
    expect(data.length).toBeLessThanOrEqual(60);
    expect(data.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
  });

  test("no content of a refused request can break the record of refusals", async () => {
    await using db = await testDatabase();
    await using refusals = openRefusals({ database: db.database, logger, clock });
    refusals.record(refusal({ detail: `\0\ud800${"x".repeat(10_000)}`, integrationId: null, bodyBytes: null }));
    await refusals.flush();
    const { data } = await listRefusals(db.database, {});
    expect(data[0]?.detail?.length).toBeLessThanOrEqual(300);
  });

  test("refusals are written every second, and at the latest when the process stops", async () => {
    await using db = await testDatabase();
    const refusals = openRefusals({ database: db.database, logger, clock });
    refusals.record(refusal());
    while ((await listRefusals(db.database, {})).data.length === 0) await clock.sleep(20);
    refusals.record(refusal());
    await refusals[Symbol.asyncDispose]();
    expect((await listRefusals(db.database, {})).data).toHaveLength(2);
  });

  test("the pages of refusals continue where they stopped, for one integration and for all", async () => {
    await using db = await testDatabase();
    await using refusals = openRefusals({ database: db.database, logger, clock });
    for (let index = 0; index < 9; index += 1) {
      refusals.record(refusal({ integrationId: index % 3 ? "svi_1" : "svi_2", bodyBytes: index }));
      await refusals.flush();
    }
    const seen: (number | null)[] = [];
    let cursor: string | null = null;
    do {
      const page = await listRefusals(db.database, { limit: 2, cursor, integration_id: "svi_1" });
      seen.push(...page.data.map(({ body_bytes }) => body_bytes));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual([8, 7, 5, 4, 2, 1]);
    expect((await listRefusals(db.database, { limit: 500 })).data).toHaveLength(9);
    await expect(listRefusals(db.database, { cursor: "x" })).rejects.toMatchObject({ code: "invalid_request" });
  });
});
