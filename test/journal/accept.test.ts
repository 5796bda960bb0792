import { setImmediate as nextTurn } from "node:timers/promises";
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import { urgent } from "../../src/database/pool.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { markDue } from "../../src/sync/marks.ts";
import { INTEGRATION, proof, webhook } from "../support/webhook.ts";
import { journaled } from "./support.ts";

/** The UUIDs of a binary array. */
const uuidsIn = (array: Buffer): string[] =>
  Array.from({ length: array.readInt32BE(12) }, (_, index) => {
    const hex = array.subarray(20 + index * 20 + 4, 20 + (index + 1) * 20).toString("hex");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  });

/** `database`, counting the batches that are appended and letting `before` see each. */
function watched(
  database: Database,
  before: (batch: number, ids: readonly string[]) => Promise<void> | void = () => undefined,
  q: Queryable = database,
) {
  const batches: number[] = [];
  const query: Queryable["query"] = async (statement, values) => {
    if (typeof statement === "object" && statement.name === "journal_append") {
      const ids = (values as readonly Buffer[])[0] ?? Buffer.alloc(0);
      batches.push(ids.readInt32BE(12));
      await before(batches.length, uuidsIn(ids));
    }
    return await q.query(statement, values);
  };
  const proxy: Database = {
    query,
    transaction: (work) => database.transaction(work),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { database: proxy, batches };
}

describe("group commit", () => {
  test("webhooks that come during a commit share the next commits, and each is answered with its own id", async () => {
    await using db = await testDatabase();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { database, batches } = watched(db.database, (batch) => (batch === 1 ? held : undefined));
    await using accept = openWebhookIntake({ database, queueMax: 5000, logger });
    const first = webhook();
    const firstDone = accept.accept(first);
    await nextTurn();
    const others = Array.from({ length: 450 }, (_, index) => webhook({ itemId: `item-${index}` }));
    const othersDone = others.map((other) => accept.accept(other));
    letGo();
    expect(await firstDone).toEqual({ id: first.id, duplicate: false });
    expect(await Promise.all(othersDone)).toEqual(others.map(({ id }) => ({ id, duplicate: false })));
    expect(batches[0]).toBe(1);
    expect(Math.max(...batches)).toBeLessThanOrEqual(200);
    expect(batches.length).toBeLessThan(8);
    expect(await journaled(database)).toBe(451);
  });

  test("no webhook is answered before the commit that holds it", async () => {
    await using db = await testDatabase();
    const { database } = watched(db.database);
    await using accept = openWebhookIntake({ database, queueMax: 5000, logger });
    await Promise.all(
      Array.from({ length: 300 }, async () => {
        const { id } = await accept.accept(webhook());
        const { rows } = await db.database.query("select 1 from journal.webhooks where id = $1", [id]);
        expect(rows).toHaveLength(1);
      }),
    );
  });

  test("many simultaneous requests with the same JWT are one webhook", async () => {
    await using db = await testDatabase();
    await using accept = openWebhookIntake({ database: db.database, queueMax: 5000, logger });
    const shared = proof();
    const answers = await Promise.all(Array.from({ length: 100 }, () => accept.accept(webhook({ proof: shared }))));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(await journaled(db.database)).toBe(1);
  });

  test("a webhook that Postgres cannot hold fails alone", async () => {
    await using db = await testDatabase();
    await using accept = openWebhookIntake({ database: db.database, queueMax: 5000, logger });
    const poison = [
      webhook({ webhookType: "a\0b" }),
      // Beyond what an index entry can be.
      webhook({ itemId: randomBytes(6000).toString("base64") }),
      webhook({ id: "not a uuid" }),
      webhook({ source: "NOBODY" as "PLAID" }),
    ];
    const good = Array.from({ length: 60 }, () => webhook());
    const all = [...good.slice(0, 20), ...poison.slice(0, 3), ...good.slice(20), ...poison.slice(3)];
    const settled = await Promise.allSettled(all.map((one) => accept.accept(one)));
    const failed = all.filter((_, index) => settled[index]?.status === "rejected");
    expect(new Set(failed)).toEqual(new Set(poison));
    expect(await journaled(db.database)).toBe(good.length);
  });

  test("webhooks about a locked subject are not delayed", async () => {
    await using db = await testDatabase();
    // As short of patience with locks as the real one.
    const { database, batches } = watched(db.database, undefined, urgent(db.database));
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    await markDue(db.database, [{ integrationId: INTEGRATION, kind: "item", id: "item-7" }]);
    await db.database.transaction(async (tx) => {
      await tx.query("select from sync.subjects where id = 'item-7' for update");
      const batch = Array.from({ length: 20 }, (_, index) => webhook({ itemId: `item-${index}` }));
      await Promise.all(batch.map((each) => accept.accept(each)));
    });
    expect(batches).toEqual([20]);
  });

  test("a batch that waits for a lock is halved until only the webhook that waits fails", async () => {
    await using db = await testDatabase();
    const locked = webhook({ itemId: "item-7" });
    const { database, batches } = watched(db.database, (_, ids) => {
      if (ids.includes(locked.id)) throw Object.assign(new Error("lock timeout"), { code: "55P03" });
    });
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    const all = [locked, ...Array.from({ length: 7 }, () => webhook())];
    const settled = await Promise.allSettled(all.map((each) => accept.accept(each)));
    expect(settled.map(({ status }) => status)).toEqual(["rejected", ...all.slice(1).map(() => "fulfilled")]);
    expect(batches).toEqual([8, 4, 2, 1, 1, 2, 4]);
  });

  test("a batch is bounded in bytes, and holds one webhook at least", async () => {
    await using db = await testDatabase();
    const { database, batches } = watched(db.database);
    await using accept = openWebhookIntake({ database, queueMax: 1000, logger });
    const MiB = 1024 * 1024;
    const sizes = [...Array.from({ length: 20 }, () => MiB - 100), 9 * MiB, ...Array.from({ length: 150 }, () => 100)];
    const stored = sizes.map((size) => accept.accept(webhook({ body: Buffer.alloc(size) })));
    await Promise.all(stored);
    expect(batches).toEqual([8, 8, 4, 1, 150]);
    expect(await journaled(db.database)).toBe(sizes.length);
  });

  test("the queue is bounded in bytes: when it is full large webhooks are refused, small ones accepted, and afterwards both", async () => {
    await using db = await testDatabase();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { database, batches } = watched(db.database, (batch) => (batch === 1 ? held : undefined));
    await using accept = openWebhookIntake({ database, queueMax: 1000, logger });
    const first = accept.accept(webhook());
    await nextTurn();
    const large = () => accept.accept(webhook({ body: Buffer.alloc(1024 * 1024) }));
    const settled = Promise.allSettled(Array.from({ length: 200 }, large));
    const small = Array.from({ length: 10 }, () => accept.accept(webhook()));
    letGo();
    await Promise.all([first, ...small]);
    const stored = (await settled).filter(({ status }) => status === "fulfilled").length;
    const refused = (await settled).filter((each) => each.status === "rejected" && each.reason.code === "overloaded");
    expect([stored, refused.length]).toEqual([63, 137]);
    expect(Math.max(...batches.slice(0, -2))).toBeLessThanOrEqual(8);
    const again = Promise.allSettled(Array.from({ length: 60 }, large));
    expect((await again).every(({ status }) => status === "fulfilled")).toBe(true);
  });

  test("when the queue is full a webhook is refused with overloaded at once, and those that wait are still stored", async () => {
    await using db = await testDatabase();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { database } = watched(db.database, () => held);
    await using accept = openWebhookIntake({ database, queueMax: 5, logger });
    const waiting = [accept.accept(webhook())];
    await nextTurn();
    waiting.push(...Array.from({ length: 5 }, () => accept.accept(webhook())));
    await expect(accept.accept(webhook())).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 5 });
    letGo();
    expect(await Promise.all(waiting)).toHaveLength(6);
  });

  test("while Postgres is down every waiting webhook is refused with Retry-After, and webhooks are stored again afterwards", async () => {
    await using db = await testDatabase();
    let away = true;
    const { database } = watched(db.database, () => {
      if (away) throw new TartanError("database_unavailable", "Postgres cannot be reached");
    });
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    const refused = await Promise.allSettled(Array.from({ length: 20 }, () => accept.accept(webhook())));
    for (const answer of refused)
      expect(answer).toMatchObject({ reason: { code: "database_unavailable", retryAfterSeconds: 5 } });
    away = false;
    const given = webhook();
    expect(await accept.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(await journaled(db.database)).toBe(1);
  });

  test("a batch is repeated after a deadlock, and its senders do not notice", async () => {
    await using db = await testDatabase();
    const { database, batches } = watched(db.database, (batch) => {
      if (batch < 3) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
    });
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    const given = webhook();
    expect(await accept.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(batches).toEqual([1, 1, 1]);
  });

  test("closing the group commit answers every waiting webhook and refuses later ones", async () => {
    await using db = await testDatabase();
    const accept = openWebhookIntake({ database: db.database, queueMax: 5000, logger });
    const waiting = Array.from({ length: 250 }, () => accept.accept(webhook()));
    const closing = accept[Symbol.asyncDispose]();
    await expect(accept.accept(webhook())).rejects.toMatchObject({ code: "overloaded" });
    await closing;
    expect(await Promise.all(waiting)).toHaveLength(250);
    expect(await journaled(db.database)).toBe(250);
  });

  test("sync is notified of webhooks, with fewer notifications than webhooks", async () => {
    await using db = await testDatabase();
    const { database, batches } = watched(db.database);
    const hints: number[] = [];
    await using _listening = await db.database.listen("tartan_arrived", () => hints.push(batches.length));
    {
      await using accept = openWebhookIntake({ database, queueMax: 5000, logger });
      for (let index = 0; index < 50; index += 1) await accept.accept(webhook());
    }
    // Every commit is followed by a hint that began after it.
    while (hints.at(-1) !== 50) await db.database.query("select pg_sleep(0.01)");
    expect(hints.length).toBeLessThanOrEqual(50);
  });
});
