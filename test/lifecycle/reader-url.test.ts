/** Connection strings for readers: stable, rotatable, one database's only; and what happens without the right to make roles. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { migrate } from "../../src/database/migrate.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { readerUrl } from "../../src/lifecycle/reader.ts";
import type { Database } from "../../src/database/types.ts";
import { silentLogger } from "../../src/logger.ts";
import { maintain, testDatabase, type TestDatabase } from "../support/database.ts";
import { reader, roles, rowsOf, twoTenants } from "../mirror/reader-support.ts";
import { startWorld } from "../support/world/index.ts";

describe("connection strings", () => {
  test("a reader's connection string stays the same until it is rotated, and then only the new one works", async () => {
    await using world = await startWorld();
    const [first, again] = [await reader(world), await reader(world)];
    expect(again).toBe(first);
    const rotated = await reader(world, { rotate: true });
    expect(new URL(rotated).username).toBe(new URL(first).username);
    expect(await rowsOf(rotated, "select 1 as one")).toEqual([{ one: 1 }]);
    if (await passwordsMatter(world.databaseUrl)) {
      await expect(rowsOf(first, "select 1")).rejects.toMatchObject({ code: "28P01" });
    }
  });

  /** A server may trust every login from its own machine. */
  async function passwordsMatter(url: string): Promise<boolean> {
    const wrong = new URL(url);
    wrong.password = "surely-wrong";
    return await rowsOf(wrong.href, "select 1").then(
      () => false,
      () => true,
    );
  }

  test("a reader's connection string keeps host, port, database and transport, and holds nothing of Tartan's own login", async () => {
    await using world = await startWorld();
    const own = new URL(world.databaseUrl);
    own.search = "?sslmode=require&sslcert=/tartan.crt&options=-c%20role%3Downer";
    const url = new URL(await readerUrl(world.database, own.href));
    roles.add(url.username);
    expect([url.host, url.pathname, url.search]).toEqual([own.host, own.pathname, "?sslmode=require"]);
    expect(url.password).not.toBe(own.password);
  });

  test("two databases of one server have readers of different names; the original's readers lose access to a copy", async () => {
    await using world = await startWorld();
    await twoTenants(world);
    const original = await reader(world);
    const name = `tartan_copy_${randomBytes(6).toString("hex")}`;
    const source = new URL(world.databaseUrl).pathname.slice(1);
    await world.database[Symbol.asyncDispose]();
    await maintain(`create database ${name} template ${source}`);
    const copyUrl = new URL(world.databaseUrl);
    copyUrl.pathname = `/${name}`;
    const database = await openDatabase({ url: copyUrl.href, poolSize: 2, applicationName: "t", logger: silentLogger });
    try {
      const copied = await readerUrl(database, copyUrl.href);
      roles.add(new URL(copied).username);
      expect(new URL(copied).username).not.toBe(new URL(original).username);
      expect(await rowsOf(copied, "select item_id from current_items order by 1")).toHaveLength(2);
      expect(await rowsOf(original, "select item_id from current_items order by 1")).toHaveLength(2);
      const inCopy = new URL(original);
      inCopy.pathname = `/${name}`;
      await expect(rowsOf(inCopy.href, "select * from plaid.items")).rejects.toMatchObject({ code: "42501" });
    } finally {
      await database[Symbol.asyncDispose]();
      await maintain(`drop database ${name} with (force)`);
    }
  });

  test("concurrent requests for a connection string make one role", async () => {
    await using world = await startWorld();
    const urls = await Promise.all(Array.from({ length: 8 }, () => reader(world)));
    expect(new Set(urls)).toHaveLength(1);
  });
});

describe("a Tartan whose own role may not make roles", () => {
  /** An ordinary role that owns its database and no more, as careful DBAs give. */
  async function asOrdinaryRole(work: (database: Database, url: string, admin: TestDatabase) => Promise<void>) {
    const db = await testDatabase({ empty: true });
    const role = `tartan_owner_${randomBytes(6).toString("hex")}`;
    roles.add(role);
    const url = new URL(db.url);
    Object.assign(url, { username: role, password: "x" });
    try {
      await db.database.query(`create role ${role} login password 'x'`);
      await db.database.query(`alter database ${url.pathname.slice(1)} owner to ${role}`);
      await migrate(url.href, { logger: silentLogger });
      await using database = await openDatabase({
        url: url.href,
        poolSize: 2,
        applicationName: "t",
        logger: silentLogger,
      });
      await work(database, url.href, db);
    } finally {
      await db[Symbol.asyncDispose]();
    }
  }

  test("a Tartan that may not make roles names the statements for a DBA, after which the command works", async () => {
    await asOrdinaryRole(async (database, url, admin) => {
      const error = await readerUrl(database, url).catch((thrown: unknown) => thrown as Error);
      expect(error).toMatchObject({ code: "invalid_request" });
      const statements = String(error)
        .split("\n")
        .filter((line) => line.startsWith("  "));
      expect(statements.length).toBeGreaterThan(2);
      for (const statement of statements) await admin.database.query(statement);
      const opened = await readerUrl(database, url);
      roles.add(new URL(opened).username);
      expect(await rowsOf(opened, "select * from current_items")).toEqual([]);
      expect(String(error)).not.toContain(new URL(opened).password);
    });
  });

  test("row security does not slow Tartan: its own plans have no filter", async () => {
    await asOrdinaryRole(async (database) => {
      const { rows } = await database.query<Record<string, string>>(
        "explain select * from plaid.transactions where integration_id = 'a' and item_id = 'b' and transaction_id = 'c'",
      );
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      expect(plan).not.toContain("tenant");
      expect(plan).not.toContain("Filter");
    });
  });
});
