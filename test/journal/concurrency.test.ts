import { describe, expect, test } from "vitest";
import { append } from "../../src/journal/append.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { proof, webhook } from "../support/webhook.ts";
import { journaled } from "./support.ts";

const open = (url: string) =>
  openDatabase({ url, poolSize: 4, applicationName: "other process", logger: silentLogger });

describe("batches of several processes", () => {
  test("batches over the same items and tokens in opposite order never deadlock, and nothing is lost or doubled", async () => {
    await using db = await testDatabase();
    await using other = await open(db.url);
    await using third = await open(db.url);
    const items = Array.from({ length: 40 }, (_, index) => `item-${index}`);
    const rounds = 15;
    let fresh = 0;
    for (let round = 0; round < rounds; round += 1) {
      const shared = items.map(() => proof());
      const batch = (reverse: boolean) => {
        const webhooks = items.map((itemId, index) =>
          webhook({ itemId, proof: index % 2 ? proof() : (shared[index] ?? null) }),
        );
        return reverse ? webhooks.toReversed() : webhooks;
      };
      const appended = await Promise.all([
        append(db.database, batch(false)),
        append(other, batch(true)),
        append(third, batch(round % 2 === 0)),
        append(db.database, batch(true)),
      ]);
      fresh += appended.flat().filter(({ duplicate }) => !duplicate).length;
    }
    // Of each round's four batches: 20 tokens shared by all, and 20 of their own.
    expect(fresh).toBe(rounds * (20 + 4 * 20));
    expect(await journaled(db.database)).toBe(fresh);
    const { rows } = await db.database.query<{ deadlocks: number }>(
      "select deadlocks::int from pg_stat_database where datname = current_database()",
    );
    expect(rows[0]?.deadlocks).toBe(0);
  });

  test("the same JWT at two processes at once is one webhook, and both answer its id", async () => {
    await using db = await testDatabase();
    await using other = await open(db.url);
    const shared = proof();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let inserted: () => void = () => undefined;
    const first = webhook({ proof: shared });
    const isInserted = new Promise<void>((resolve) => (inserted = resolve));
    const slow = db.database.transaction(async (tx) => {
      await append(tx, [first]);
      inserted();
      await held;
    });
    await isInserted;
    const waiting = append(other, [webhook({ proof: shared })]);
    await untilBlocked(db.database);
    letGo();
    await slow;
    expect(await waiting).toEqual([{ id: first.id, duplicate: true }]);
    expect(await journaled(db.database)).toBe(1);
  });

  test("when the first process fails before its commit, the second one's webhook is stored", async () => {
    await using db = await testDatabase();
    await using other = await open(db.url);
    const shared = proof();
    let fail: () => void = () => undefined;
    const failing = new Promise<void>((resolve) => (fail = resolve));
    let inserted: () => void = () => undefined;
    const isInserted = new Promise<void>((resolve) => (inserted = resolve));
    const first = db.database.transaction(async (tx) => {
      await append(tx, [webhook({ proof: shared })]);
      inserted();
      await failing;
      throw new Error("crashed");
    });
    const crashed = expect(first).rejects.toThrow("crashed");
    await isInserted;
    const second = webhook({ proof: shared });
    const waiting = append(other, [second]);
    await untilBlocked(db.database);
    fail();
    await crashed;
    expect(await waiting).toEqual([{ id: second.id, duplicate: false }]);
  });
});

/** Resolves when a session of this database waits for another's lock. */
async function untilBlocked(q: Awaited<ReturnType<typeof testDatabase>>["database"]): Promise<void> {
  for (;;) {
    const { rows } = await q.query<{ blocked: boolean }>(
      `select exists (select 1 from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock') as blocked`,
    );
    if (rows[0]?.blocked) return;
  }
}
