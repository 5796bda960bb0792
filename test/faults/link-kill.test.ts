/** kill -9 of a process that adopts an item, at each step at which it can strike. A lock of the test holds the step open. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { KEY, startWorld, type Json, type World } from "../support/world/index.ts";

let world: World<"api" | "processes">;
let integration: { id: string };
let dataDir: string;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "tartan-link-kill-"));
  world = await startWorld({ api: {}, processes: { env: { TARTAN_DATA_DIR: dataDir } } });
  integration = await world.api.integrate({ link_client_name: "Acme", adopt_items: true });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

const startSync = () => world.processes.start(["up", "--only", "sync"], { TARTAN_ADMIN_KEY: KEY });

/** A Link token of a hosted session of the user. */
async function linkTokenOf(user_id: string): Promise<string> {
  const body = { integration_id: integration.id, user_id, products: ["transactions"], hosted_link: {} };
  const { link_token } = (await world.api.call("POST /v1/link/tokens", { body })).body;
  return link_token;
}

const adoptionOf = async (user: string): Promise<Json> =>
  (await world.api.call(`GET /v1/link/adoptions?user_id=${user}`)).body.data[0];

/** Kills a process that adopts the user's item while a statement with these words waits for the lock of the table. */
async function killAt(table: string, words: string, user: string): Promise<string> {
  const link_token = await linkTokenOf(user);
  const client = new Client(world.databaseUrl);
  client.on("error", () => undefined);
  await client.connect();
  const tartan = await startSync();
  await client.query("begin");
  await client.query(`lock table ${table} in exclusive mode`);
  const { item_id: itemId } = world.simulator.control.completeLink({ link_token });
  await until("the step", async () => {
    const { rows } = await world.database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
         and query like '%' || $1 || '%' and pid <> pg_backend_pid()`,
      [words],
    );
    return rows.length > 0 && (await adoptionOf(user))?.status === "exchanging";
  });
  await tartan.kill9();
  // As when the connection fell with the process: its statement never ran.
  await world.database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'`,
    [words],
  );
  await client.query("rollback");
  await client.end();
  // The lease of the dead process ends.
  await world.database.query("update linking.public_tokens set next_at = now() where status = 'exchanging'");
  return itemId;
}

it("kill -9 before Plaid is asked leaves the public token to the next process, which adopts the item", async () => {
  const itemId = await killAt("sync.rate_limits", "sync.acquire", "asked-later");
  expect(world.simulator.asked("/item/public_token/exchange")).toBe(0);
  await using _tartan = await startSync();
  await until("the adoption", async () => (await adoptionOf("asked-later")).status === "linked");
  expect(await adoptionOf("asked-later")).toMatchObject({ item_id: itemId, attempts: 2 });
}, 120_000);

it("kill -9 between Plaid's answer and the commit leaves the access token in a file, and the next process links the item", async () => {
  const asked = world.simulator.asked("/item/public_token/exchange");
  const itemId = await killAt("tartan.items", "insert into tartan.items", "answered");
  expect(world.simulator.asked("/item/public_token/exchange")).toBe(asked + 1);
  const files = () => readdirSync(join(dataDir, "rescued-exchanges")).filter((name) => name.endsWith(".json"));
  expect(files()).toHaveLength(1);
  await using _tartan = await startSync();
  await until("the adoption", async () => (await adoptionOf("answered")).status === "linked");
  expect(await adoptionOf("answered")).toMatchObject({ reason: null, item_id: itemId });
  await until("the sync", async () => (await world.api.call(`GET /v1/items/${itemId}`)).body.status === "ok");
  expect(world.simulator.asked("/item/public_token/exchange")).toBe(asked + 1);
  expect(files()).toEqual([]);
  const { rows } = await world.database.query(
    "select type, user_id from events.events where type like 'link.%' and item_id = $1",
    [itemId],
  );
  expect(rows).toEqual([{ type: "link.adopted", user_id: "answered" }]);
}, 120_000);
