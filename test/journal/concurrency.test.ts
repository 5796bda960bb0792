import { describe, expect, test } from "vitest";
import { append } from "../../src/journal/append.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { journaled, proof, subject, webhook } from "./support.ts";

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

  test("the same JWT at two processes at once is one webhook, and both name it", async () => {
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

describe("a run that finishes while a webhook arrives", () => {
  /** What a run does at its end: done when nothing newer than what it claimed has come, else due again. */
  const FINISH = `
    update sync.subjects set lease_token = null, oldest_unserved = case when generation = $1 then null else oldest_unserved end,
      due_at = case when generation = $1 then null else now() end
    where id = 'item-1'`;

  test("the mark waits for the run's commit, and makes the subject due again", async () => {
    await using db = await testDatabase();
    await append(db.database, [webhook()]);
    await db.database.query("update sync.subjects set lease_token = gen_random_uuid(), due_at = '2099-01-01'");
    let marking: Promise<unknown> = Promise.resolve();
    await db.database.transaction(async (tx) => {
      await tx.query(FINISH, [1]);
      marking = append(db.database, [webhook()]);
      await untilBlocked(db.database);
    });
    await marking;
    const row = await subject(db.database);
    expect(row?.generation).toBe(2);
    expect(row?.due_at?.getTime()).toBeLessThan(Date.now() + 60_000);
    expect(row?.oldest_unserved).not.toBeNull();
  });

  test("the run waits for the mark's commit, and leaves the subject due", async () => {
    await using db = await testDatabase();
    await append(db.database, [webhook()]);
    await db.database.query("update sync.subjects set lease_token = gen_random_uuid(), due_at = '2099-01-01'");
    let finishing: Promise<unknown> = Promise.resolve();
    await db.database.transaction(async (tx) => {
      await append(tx, [webhook()]);
      finishing = db.database.query(FINISH, [1]);
      await untilBlocked(db.database);
    });
    await finishing;
    const row = await subject(db.database);
    expect(row?.generation).toBe(2);
    expect(row?.due_at?.getTime()).toBeLessThan(Date.now() + 60_000);
    expect(row?.oldest_unserved).not.toBeNull();
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
