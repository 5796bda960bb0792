import { setImmediate as nextTurn } from "node:timers/promises";
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { openAccept } from "../../src/journal/accept.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { journaled, proof, webhook } from "./support.ts";

/** `database`, counting the batches that are appended and letting `before` see each. */
function watched(database: Database, before: (batch: number) => Promise<void> | void = () => undefined) {
  const batches: number[] = [];
  const query: Queryable["query"] = async (statement, values) => {
    if (typeof statement === "object" && statement.name === "journal_append") {
      batches.push((values as readonly Buffer[])[0]?.readInt32BE(12) ?? 0);
      await before(batches.length);
    }
    return await database.query(statement, values);
  };
  const proxy: Database = {
    query,
    transaction: (work) => database.transaction(work),
    listen: (channel, hear) => database.listen(channel, hear),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { database: proxy, batches };
}

describe("group commit", () => {
  test("those who come while a commit is under way share the next ones, and each is answered with its own id", async () => {
    await using db = await testDatabase();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { database, batches } = watched(db.database, (batch) => (batch === 1 ? held : undefined));
    await using accept = openAccept({ database, queueMax: 5000, logger });
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

  test("nobody is answered before the commit that holds their webhook", async () => {
    await using db = await testDatabase();
    const { database } = watched(db.database);
    await using accept = openAccept({ database, queueMax: 5000, logger });
    await Promise.all(
      Array.from({ length: 300 }, async () => {
        const { id } = await accept.accept(webhook());
        const { rows } = await db.database.query("select 1 from journal.webhooks where id = $1", [id]);
        expect(rows).toHaveLength(1);
      }),
    );
  });

  test("the same JWT many times at once is one webhook", async () => {
    await using db = await testDatabase();
    await using accept = openAccept({ database: db.database, queueMax: 5000, logger });
    const shared = proof();
    const answers = await Promise.all(Array.from({ length: 100 }, () => accept.accept(webhook({ proof: shared }))));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(await journaled(db.database)).toBe(1);
  });

  test("a webhook that Postgres cannot hold fails alone", async () => {
    await using db = await testDatabase();
    await using accept = openAccept({ database: db.database, queueMax: 5000, logger });
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

  test("beyond the queue's bound the answer is overloaded, at once, and those who wait are still served", async () => {
    await using db = await testDatabase();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { database } = watched(db.database, () => held);
    await using accept = openAccept({ database, queueMax: 5, logger });
    const waiting = [accept.accept(webhook())];
    await nextTurn();
    waiting.push(...Array.from({ length: 5 }, () => accept.accept(webhook())));
    await expect(accept.accept(webhook())).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 5 });
    letGo();
    expect(await Promise.all(waiting)).toHaveLength(6);
  });

  test("Postgres away is told to each who waits, with when to come again, and it goes on when it is back", async () => {
    await using db = await testDatabase();
    let away = true;
    const { database } = watched(db.database, () => {
      if (away) throw new TartanError("database_unavailable", "Postgres cannot be reached");
    });
    await using accept = openAccept({ database, queueMax: 100, logger });
    const refused = await Promise.allSettled(Array.from({ length: 20 }, () => accept.accept(webhook())));
    for (const answer of refused)
      expect(answer).toMatchObject({ reason: { code: "database_unavailable", retryAfterSeconds: 5 } });
    away = false;
    const given = webhook();
    expect(await accept.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(await journaled(db.database)).toBe(1);
  });

  test("a deadlock is not the sender's business: the batch is sent again", async () => {
    await using db = await testDatabase();
    const { database, batches } = watched(db.database, (batch) => {
      if (batch < 3) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
    });
    await using accept = openAccept({ database, queueMax: 100, logger });
    const given = webhook();
    expect(await accept.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(batches).toEqual([1, 1, 1]);
  });

  test("closing answers everyone who waits, and refuses those who come after", async () => {
    await using db = await testDatabase();
    const accept = openAccept({ database: db.database, queueMax: 5000, logger });
    const waiting = Array.from({ length: 250 }, () => accept.accept(webhook()));
    const closing = accept[Symbol.asyncDispose]();
    await expect(accept.accept(webhook())).rejects.toMatchObject({ code: "overloaded" });
    await closing;
    expect(await Promise.all(waiting)).toHaveLength(250);
    expect(await journaled(db.database)).toBe(250);
  });

  test("listeners hear of it, many webhooks costing few hints", async () => {
    await using db = await testDatabase();
    const { database, batches } = watched(db.database);
    const hints: number[] = [];
    await using _listening = await db.database.listen("tartan_due", () => hints.push(batches.length));
    {
      await using accept = openAccept({ database, queueMax: 5000, logger });
      for (let index = 0; index < 50; index += 1) await accept.accept(webhook());
    }
    // Every commit is followed by a hint that began after it.
    while (hints.at(-1) !== 50) await db.database.query("select pg_sleep(0.01)");
    expect(hints.length).toBeLessThanOrEqual(50);
  });
});
