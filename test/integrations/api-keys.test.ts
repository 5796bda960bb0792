/** API keys: hashes at rest, one administrator, resettable. */
import { expect, test, vi } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import { authenticate, ensureAdminKey, resetAdminKey } from "../../src/integrations/api-keys.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";

test("without a configured key one is generated once, and only its hash is stored", async () => {
  await using db = await testDatabase();
  const first = await ensureAdminKey(db.database);
  expect(first.generated).toBe(true);
  const key = first.key ?? "";
  expect(key.length).toBeGreaterThan(40);
  expect(await ensureAdminKey(db.database)).toEqual({ generated: false });
  expect(await authenticate(db.database, key)).toMatchObject({ name: "admin" });
  const { rows } = await db.database.query("select k::text as row from tartan.api_keys k");
  expect(JSON.stringify(rows)).not.toContain(key);
});

test("processes that start at once generate one key", async () => {
  await using db = await testDatabase();
  const all = await Promise.all(Array.from({ length: 8 }, () => ensureAdminKey(db.database)));
  expect(all.filter(({ generated }) => generated)).toHaveLength(1);
  const key = all.find(({ generated }) => generated)?.key ?? "";
  expect(await authenticate(db.database, key)).not.toBeNull();
});

test("a configured key is used, and replaces another one", async () => {
  await using db = await testDatabase();
  expect(await ensureAdminKey(db.database, "the-first-configured-key")).toMatchObject({ generated: false });
  expect(await ensureAdminKey(db.database, "the-other-configured-key")).toMatchObject({ generated: false });
  expect(await authenticate(db.database, "the-other-configured-key")).toMatchObject({ name: "admin" });
  expect(await authenticate(db.database, "the-first-configured-key")).toBeNull();
  expect(await ensureAdminKey(db.database)).toEqual({ generated: false });
});

test("after a reset the old API key is refused", async () => {
  await using db = await testDatabase();
  const { key: old = "" } = await ensureAdminKey(db.database);
  expect(await authenticate(db.database, old)).not.toBeNull();
  const { key } = await resetAdminKey(db.database);
  expect(await authenticate(db.database, old)).toBeNull();
  expect(await authenticate(db.database, key)).toMatchObject({ name: "admin" });
});

test("an unknown API key has no owner", async () => {
  await using db = await testDatabase();
  await ensureAdminKey(db.database, "the-configured-admin-key");
  for (const presented of ["", " ", "x", "tak_", "\0", "\ud800", "the-configured-admin-key ", "x".repeat(100_000)]) {
    expect(await authenticate(db.database, presented)).toBeNull();
  }
});

test("an API key that was reset through one process is refused by another some seconds later", async () => {
  await using db = await testDatabase();
  await using other = await openDatabase({ url: db.url, poolSize: 2, applicationName: "other", logger });
  const { key: old = "" } = await ensureAdminKey(db.database);
  expect(await authenticate(other, old)).not.toBeNull();
  await resetAdminKey(db.database);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6000 });
  try {
    expect(await authenticate(other, old)).toBeNull();
  } finally {
    vi.useRealTimers();
  }
});
