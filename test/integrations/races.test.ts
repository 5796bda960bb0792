/** Linking and erasing while others seal, dispatch and replay. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { take } from "../../src/database/locks.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { introduceItem } from "../support/link.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { rotateVault } from "../../src/lifecycle/rotation.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { markAll } from "../support/mark.ts";
import { append } from "../../src/journal/append.ts";
import { Dispatcher } from "../../src/relay/dispatch/dispatcher.ts";
import { workOnce } from "../../src/relay/jobs/job-runner.ts";
import { createRedrive, createReplay, createRoutePast } from "../../src/relay/jobs/jobs.ts";
import { createRoute } from "../../src/relay/routing/routes.ts";
import { silentLogger } from "../../src/logger.ts";
import { linkItem, webhook } from "../journal/support.ts";
import { dispatchAll, settle } from "../relay/past.ts";
import { INTEGRATION, openScene } from "../relay/scene.ts";
import { scene, SECRETS } from "./support.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** How many sessions of this database wait for a lock. */
async function waiting(database: Database): Promise<number> {
  const { rows } = await database.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows[0]?.n ?? 0;
}

/** Holds what `take` locks until `release` is called; then it is as if nothing had been done. */
async function hold(
  database: Database,
  take: (tx: Queryable) => Promise<unknown>,
): Promise<{ release(): Promise<void> }> {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const undone = new Error("rolled back");
  let taken: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (taken = resolve));
  const held = database
    .transaction(async (tx) => {
      await take(tx);
      taken();
      await released;
      throw undone;
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error;
    });
  await Promise.race([ready, held]);
  return { release: () => (release(), held) };
}

/** Waits until the work has ended or waits for a lock as the last of `count`. */
async function untilStuckOrDone(database: Database, work: Promise<unknown>, count: number): Promise<void> {
  let done = false;
  void work.then(
    () => (done = true),
    () => (done = true),
  );
  await expect
    .poll(async () => done || (await waiting(database)) >= count, { timeout: 10_000, interval: 20 })
    .toBe(true);
}

test("an item whose linking has sealed its token and not committed when the master key is rotated ends under the new key", async () => {
  await using it = await scene();
  const vault = openVault([randomBytes(32).toString("base64"), it.masterKey]);
  // Its own secrets are under the new key already: else the rotation would wait for linking, which shares its row.
  const { id: integration_id } = await createIntegration(it.database, vault, {
    client_id: "client-1",
    secret: SECRETS.client,
    environment: "sandbox",
  });
  // The database still seals under the old key.
  await it.database.query("update tartan.sealing_key set key_id = $1", [it.vault.activeKeyId]);
  // The same item, not committed: linking waits for it after it has sealed.
  const held = await hold(it.database, (tx) =>
    tx.query("insert into tartan.items (integration_id, item_id) values ($1, 'i1')", [integration_id]),
  );
  const linking = introduceItem(it, { integration_id, item_id: "i1", access_token: SECRETS.token });
  await untilStuckOrDone(it.database, linking, 1);
  const rotation = rotateVault(it.database, vault);
  await untilStuckOrDone(it.database, rotation, 2);
  await held.release();
  await Promise.all([linking, rotation]);
  const { rows } = await it.database.query<{ sealed: Buffer }>(
    "select access_token_sealed as sealed from tartan.items",
  );
  expect(rows.map(({ sealed }) => vault.keyIdOf(sealed))).toEqual([vault.activeKeyId]);
  expect(await getItemSecret(it.database, vault, integration_id, "i1")).toMatchObject({ access_token: SECRETS.token });
});

describe("an item that is erased while the relay works on its events", () => {
  const rowsOf = async (database: Database): Promise<object[]> =>
    (
      await database.query<object>(
        `select 'delivery' as what, event_type as type from relay.deliveries where item_id = 'item-1'
         union all select 'webhook', webhook_type from journal.webhooks where item_id = 'item-1'
         union all select 'event', type from events.events where item_id = 'item-1'
         union all select 'subject', status from sync.subjects where id = 'item-1'
         union all select 'item', '' from tartan.items where item_id = 'item-1'`,
      )
    ).rows;

  /** Erases while `work` has read the item's events and waits before it writes deliveries to the destination. */
  async function eraseDuring(database: Database, destination: string, work: () => Promise<unknown>): Promise<void> {
    const held = await hold(database, (tx) =>
      tx.query("select from relay.destinations where id = $1 for update", [destination]),
    );
    const working = work();
    await untilStuckOrDone(database, working, 1);
    const erasing = eraseItem(database, INTEGRATION, "item-1");
    await untilStuckOrDone(database, erasing, 2);
    await held.release();
    await Promise.all([working, erasing]);
  }

  test("an item that is erased during the fan-out of its webhooks and events leaves only the event item.removed", async () => {
    await using it = await openScene();
    await linkItem(it.database, "item-1", "user-1");
    const { id } = await it.destination(NOWHERE);
    await it.webhooks("item-1", "item-1", "item-2");
    await it.event({ itemId: "item-1" });
    await eraseDuring(it.database, id, () => new Dispatcher(it.database, "test").dispatch());
    expect(await rowsOf(it.database)).toEqual([{ what: "event", type: "item.removed" }]);
  });

  test("an item that is erased while a new route sends its past events leaves nothing", async () => {
    await using it = await openScene();
    await linkItem(it.database, "item-1", "user-1");
    const { id } = await it.destination(NOWHERE, {}, { filter: { types: ["sync.completed"] } });
    await it.webhooks("item-1", "item-2");
    await it.event({ itemId: "item-1" });
    await dispatchAll(it.database);
    const route = await createRoute(it.database, { destination_id: id });
    await createRoutePast(it.database, { route_id: route.id, from: new Date(Date.now() - 60_000).toISOString() });
    await eraseDuring(it.database, id, () => workOnce(it.database));
    expect(await rowsOf(it.database)).toEqual([{ what: "event", type: "item.removed" }]);
  });

  test.each(["redrive", "replay"] as const)(
    "an item that is erased while a %s reschedules its deliveries leaves nothing",
    async (kind) => {
      await using it = await openScene();
      await linkItem(it.database, "item-1", "user-1");
      const { id } = await it.destination(NOWHERE);
      await it.webhooks("item-1", "item-2");
      await dispatchAll(it.database);
      await settle(it.database, "dead", { cause: "status_500" });
      if (kind === "redrive") await createRedrive(it.database, {});
      else await createReplay(it.database, { destination_id: id, from: new Date(Date.now() - 60_000).toISOString() });
      await eraseDuring(it.database, id, () => workOnce(it.database));
      expect(await rowsOf(it.database)).toEqual([{ what: "event", type: "item.removed" }]);
    },
  );
});

test("an erasure that waits for the relay delays no webhook of its item", async () => {
  await using it = await openScene();
  await linkItem(it.database, "item-1", "user-1");
  await it.webhooks("item-1");
  await using accept = openWebhookIntake({ database: it.database, queueMax: 10, logger: silentLogger });
  const held = await hold(it.database, (tx) => tx.query(take("dispatch")));
  const erasing = eraseItem(it.database, INTEGRATION, "item-1");
  await untilStuckOrDone(it.database, erasing, 1);
  await accept.accept(webhook({ integrationId: INTEGRATION, itemId: "item-1" }));
  await held.release();
  await erasing;
  const { rows } = await it.database.query<object>("select from journal.webhooks where item_id = 'item-1'");
  expect(rows).toEqual([]);
});

test("an item with only webhooks can be unlinked and erased, and an unknown item cannot", async () => {
  await using it = await scene();
  const integration = await it.integrate();
  await append(it.database, [webhook({ integrationId: integration, itemId: "never-linked" })]);
  await append(it.database, [webhook({ integrationId: integration, itemId: "other" })]);
  await markAll(it.database);
  await unlinkItem(it.database, integration, "never-linked");
  await eraseItem(it.database, integration, "never-linked");
  const { rows } = await it.database.query<object>(
    "select item_id from journal.webhooks union all select id from sync.subjects",
  );
  expect(rows).toEqual([{ item_id: "other" }, { item_id: "other" }]);
  for (const gone of [unlinkItem, eraseItem])
    await expect(gone(it.database, integration, "never-linked")).rejects.toMatchObject({ code: "not_found" });
});

test("unlinking an item settles its waiting webhooks and deletes its cursors", async () => {
  await using it = await scene();
  const integration = await it.integrate();
  for (const item_id of ["i1", "i2"]) {
    await introduceItem(it, { integration_id: integration, item_id, access_token: SECRETS.token });
  }
  for (const id of ["i1", "i2"])
    await it.database.query(
      "insert into sync.cursors (integration_id, kind, id, resource, cursor, rows) values ($1, 'item', $2, 'transactions', 'c', 1)",
      [integration, id],
    );
  await unlinkItem(it.database, integration, "i1");
  const { rows } = await it.database.query<object>(
    "select item_id, update_info from journal.webhooks order by item_id",
  );
  expect(rows).toEqual([
    { item_id: "i1", update_info: { outcome: "item_unknown" } },
    { item_id: "i2", update_info: null },
  ]);
  const cursors = await it.database.query<{ id: string }>("select id from sync.cursors");
  expect(cursors.rows).toEqual([{ id: "i2" }]);
});
