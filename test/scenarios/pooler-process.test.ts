/** A whole Tartan behind a real transaction-mode pooler: webhooks in, mirror filled, events delivered, and a clean stop. */
import { expect, test } from "vitest";
import { startSimulator } from "../../src/simulator/index.ts";
import { maintain, testDatabase } from "../support/database.ts";
import { hasPgBouncer, orSkipped, startPgBouncer } from "../support/pgbouncer.ts";
import { startTartan } from "../support/process.ts";

const KEY = "an-api-key-for-tests-only";

test.skipIf(!hasPgBouncer).each([
  ["with a direct URL", true],
  ["by polling alone", false],
])(`a server through a pooler syncs and dispatches %s${orSkipped}`, { timeout: 90_000 }, async (_, direct) => {
  await using db = await testDatabase({ empty: true });
  await using pooler = await startPgBouncer(db.url, { default_pool_size: "20" });
  await using simulator = await startSimulator({ rateLimits: false });
  const name = new URL(db.url).pathname.slice(1);
  await maintain(
    `alter database ${name} set datestyle = 'German'`,
    `alter database ${name} set timezone = 'Asia/Kolkata'`,
  );
  await using tartan = await startTartan({
    TARTAN_DATABASE_URL: pooler.url,
    ...(direct ? { TARTAN_DATABASE_DIRECT_URL: db.url } : {}),
    TARTAN_ADMIN_KEY: KEY,
    TARTAN_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
  });
  const call = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
    const answer = await fetch(`${tartan.url}${path}`, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  expect((await call("GET", "/readyz")).body).toMatchObject({ status: "ready" });
  const { clientId: client_id, secret, url: plaid_url } = simulator;
  const made = await call("POST", "/v1/integrations", { client_id, secret, environment: "sandbox", plaid_url });
  const intake = new URL(String(made.body["url"])).pathname;
  const created = await fetch(new URL("/_simulator/items", plaid_url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ count: 1, transactions: 30, webhook: `${tartan.url}${intake}` }),
  });
  const { items } = (await created.json()) as { items: { item_id: string; access_token: string }[] };
  const linked = await fetch(`${tartan.url}${intake}`, {
    method: "POST",
    headers: { "Tartan-Webhook-Secret": String(made.body["webhook_secret"]), "content-type": "application/json" },
    body: JSON.stringify({ webhook_type: "ITEM", webhook_code: "CREATED", ...items[0] }),
  });
  expect(linked.status).toBe(200);
  const count = "select count(*) as n from plaid.transactions";
  await expect.poll(async () => (await db.database.query(count)).rows, { timeout: 30_000 }).toEqual([{ n: 30 }]);
  await expect
    .poll(async () => (await db.database.query("select from events.outbox where position is null")).rowCount, {
      timeout: 30_000,
    })
    .toBe(0);
  const warned = tartan.output.some((line) => line.includes("does not pass on notifications"));
  expect(warned).toBe(!direct);
  expect(tartan.output.filter((line) => line.includes('"level":50') && !line.includes("not set up safely"))).toEqual(
    [],
  );
  expect(await tartan.stop()).toBe(0);
});
