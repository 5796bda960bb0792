/** Statements that are sent at once on one connection: they travel together, run in their order, and fail together. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { onOneConnection, openDatabase } from "../../src/database/pool.ts";
import type { Database, Queryable, Result, Statement } from "../../src/database/types.ts";
import { silentLogger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";

/** With a direct URL the pool takes the other one for a pooler's. */
const WAYS = { "with sessions of its own": false, "behind a pooler": true };

async function openedOn(url: string, pooled: boolean): Promise<Database> {
  const direct = pooled ? { directUrl: url } : {};
  return await openDatabase({ url, ...direct, poolSize: 2, applicationName: "tartan test", logger: silentLogger });
}

const insert = (q: Queryable, id: number): Promise<Result<unknown>> => q.query("insert into t (id) values ($1)", [id]);
const idsIn = async (q: Queryable): Promise<number[]> =>
  (await q.query<{ id: number }>("select id from t order by at")).rows.map(({ id }) => id);
const TABLE = "create table t (id int primary key, at serial)";

describe.each(Object.entries(WAYS))("%s", (_way, pooled) => {
  it("statements of a transaction that are sent at once run in their order", async () => {
    await using db = await testDatabase({ empty: true });
    await using database = await openedOn(db.url, pooled);
    await db.database.query(TABLE);
    const seen = await database.transaction(async (tx) => {
      const [, , ids] = await Promise.all([insert(tx, 2), insert(tx, 1), idsIn(tx), insert(tx, 3)]);
      return ids;
    });
    expect(seen).toEqual([2, 1]);
    expect(await idsIn(db.database)).toEqual([2, 1, 3]);
  });

  it("when one of the statements that are sent at once fails, the caller learns why, and none of them is kept", async () => {
    await using db = await testDatabase({ empty: true });
    await using database = await openedOn(db.url, pooled);
    await db.database.query(TABLE);
    await insert(db.database, 1);
    const deep = async (q: Queryable): Promise<unknown> =>
      await (async () => await (async () => await insert(q, 1))())();
    const failed = database.transaction((tx) => Promise.all([insert(tx, 2), deep(tx), insert(tx, 3), idsIn(tx)]));
    await expect(failed).rejects.toMatchObject({ code: "23505" });
    expect(await idsIn(db.database)).toEqual([1]);
    expect(await database.transaction((tx) => idsIn(tx))).toEqual([1]);
  });

  it("statements on one connection without a transaction answer each by itself, and its next user finds it whole", async () => {
    await using db = await testDatabase({ empty: true });
    await using database = await openedOn(db.url, pooled);
    await db.database.query(TABLE);
    const numbers = await onOneConnection(database, (q) =>
      Promise.all([1, 2, 3].map(async (n) => (await q.query<{ n: number }>("select $1::int as n", [n])).rows[0]?.n)),
    );
    expect(numbers).toEqual([1, 2, 3]);
    const failing = onOneConnection(database, (q) =>
      Promise.all([q.query("select 1 / 0"), q.query("select pg_sleep(0.2)"), q.query("select 3")]),
    );
    await expect(failing).rejects.toMatchObject({ code: "22012" });
    expect((await database.query("select 4 as n")).rows).toEqual([{ n: 4 }]);
  });
});

it("what travels with BEGIN writes nothing, and what writes is sent once the transaction has begun", async () => {
  await using db = await testDatabase({ empty: true });
  await using database = await openedOn(db.url, false);
  await db.database.query(TABLE);
  const look: Statement = { name: "look", text: "select now() as now", writesNothing: true };
  const one = await database.transaction(async (tx) => {
    const [first] = await Promise.all([tx.query<{ now: Date }>(look), insert(tx, 1)]);
    await delay(5);
    const [again] = (await tx.query<{ now: Date }>(look)).rows;
    return [first.rows[0]?.now, again?.now];
  });
  // The instant of the transaction stands still, so the first statement was in it too.
  expect(one[0]).toEqual(one[1]);
  expect(await idsIn(db.database)).toEqual([1]);
});
