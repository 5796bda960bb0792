/**
 * A Postgres that answers and does not store: read-only as after a failover, full, or without a connection left. Webhooks are
 * answered 503 with Retry-After, the process says that it is not ready and why, and all is well again without a restart.
 */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { maintain, testDatabase } from "../support/database.ts";
import { startWorld, type World } from "../support/world/index.ts";

const endSessions =
  "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

async function sender(world: World<"api">): Promise<() => Promise<Response>> {
  const { url, webhook_secret: secret } = await world.api.integrate();
  const body = JSON.stringify({
    webhook_type: "TRANSACTIONS",
    webhook_code: "SYNC_UPDATES_AVAILABLE",
    item_id: "item",
  });
  return () =>
    fetch(new URL(new URL(url).pathname, world.api.url), {
      method: "POST",
      headers: { "Tartan-Webhook-Secret": secret, "content-type": "application/json" },
      body,
    });
}

const statusOf = async (send: () => Promise<Response>): Promise<number> => (await send()).status;

const readiness = async (world: World<"api">): Promise<string> => {
  const { status, body } = await world.api.call("GET /readyz");
  return `${status} ${(body as { reasons: string[] }).reasons.join()}`;
};

test("a read-only database stores nothing and is reported, and is used again afterwards", async () => {
  await using world = await startWorld({ api: {} });
  const send = await sender(world);
  expect(await statusOf(send)).toBe(200);
  const { rows } = await world.database.query<{ name: string }>("select current_database() as name");
  const name = rows[0]?.name ?? "";
  await maintain(`alter database ${name} set default_transaction_read_only = on`);
  await world.database.query(endSessions);
  // By its own writing, before a webhook has failed.
  await expect.poll(() => readiness(world)).toMatch(/^503 .*read-only/);
  const refused = await send();
  expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([503, 5]);
  expect((await world.api.call("GET /livez")).status).toBe(200);
  await maintain(`alter database ${name} reset default_transaction_read_only`);
  // Read-only sessions are dropped as they are found, so nobody has to end them.
  await expect.poll(() => statusOf(send)).toBe(200);
  await expect.poll(() => readiness(world)).toMatch(/^200/);
});

test("a full disk is named by the probe and loses no acknowledged webhook", async () => {
  await using world = await startWorld({ api: {} });
  const send = await sender(world);
  await world.database.query(
    `create function full_disk() returns trigger language plpgsql as
     $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`,
  );
  await world.database.query("create trigger full_disk before insert on journal.webhooks execute function full_disk()");
  const refused = await send();
  expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([503, 5]);
  expect(await readiness(world)).toMatch(/^503 .*disk is full/);
  expect((await world.database.query("select from journal.webhooks")).rowCount).toBe(0);
  await world.database.query("drop trigger full_disk on journal.webhooks");
  expect(await statusOf(send)).toBe(200);
  await expect.poll(() => readiness(world)).toMatch(/^200/);
});

test("a server without a free connection is distinguished from one that is down", async () => {
  await using it = await testDatabase({ empty: true });
  const role = `tartan_test_${randomBytes(6).toString("hex")}`;
  await maintain(`create role ${role} login password 'x' connection limit 1`);
  try {
    const url = new URL(it.url);
    [url.username, url.password] = [role, "x"];
    await using database = await openDatabase({ url: url.href, poolSize: 4, applicationName: "full", logger });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => database.query("select pg_sleep(0.5)")));
    const refused = outcomes.find((outcome) => outcome.status === "rejected");
    expect(refused).toMatchObject({ reason: { code: "database_unavailable", retryAfterSeconds: 5 } });
    expect(String(refused?.reason)).toContain("no connection left");
  } finally {
    await maintain(`drop role ${role}`);
  }
});

test("a wait for a lock ends with an error that names it", async () => {
  await using it = await testDatabase({ empty: true });
  await it.database.query("create table t (id int)");
  await it.database.transaction(async (tx) => {
    await tx.query("lock table t in access exclusive mode");
    const { urgent } = await import("../../src/database/pool.ts");
    await expect(urgent(it.database).query("select from t")).rejects.toMatchObject({ code: "overloaded" });
  });
});
