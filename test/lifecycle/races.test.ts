/** Linking and erasing while others seal, dispatch and replay. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { take } from "../../src/database/locks.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
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
import { dispatchAll, settle } from "../relay/past.ts";
import { INTEGRATION, webhook } from "../support/webhook.ts";
import { linkItem } from "../journal/support.ts";
import { startWorld } from "../support/world/index.ts";
import { SECRETS, integrate } from "../integrations/support.ts";

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
  await using world = await startWorld();
  const vault = openVault([randomBytes(32).toString("base64"), world.masterKey]);
  // Its own secrets are under the new key already: else the rotation would wait for linking, which shares its row.
  const integration_id = await integrate({ ...world, vault });
  // The database still seals under the old key.
  await world.database.query("update tartan.sealing_key set key_id = $1", [world.vault.activeKeyId]);
  // The same item, not committed: linking waits for it after it has sealed.
  const held = await hold(world.database, (tx) =>
    tx.query("insert into tartan.items (integration_id, item_id) values ($1, 'i1')", [integration_id]),
  );
  const linking = introduceItem(world, { integration_id, item_id: "i1", access_token: SECRETS.token });
  await untilStuckOrDone(world.database, linking, 1);
  const rotation = rotateVault(world.database, vault);
  await untilStuckOrDone(world.database, rotation, 2);
  await held.release();
  await Promise.all([linking, rotation]);
  const { rows } = await world.database.query<{ sealed: Buffer }>(
    "select access_token_sealed as sealed from tartan.items",
  );
  expect(rows.map(({ sealed }) => vault.keyIdOf(sealed))).toEqual([vault.activeKeyId]);
  expect(await getItemSecret(world.database, vault, integration_id, "i1")).toMatchObject({
    access_token: SECRETS.token,
  });
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
    await using world = await startWorld({ relay: {} });
    await linkItem(world.database, "item-1", "user-1");
    const { id } = await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-1", "item-2");
    await world.relay.event({ itemId: "item-1" });
    await eraseDuring(world.database, id, () => new Dispatcher(world.database, "test").dispatch());
    expect(await rowsOf(world.database)).toEqual([{ what: "event", type: "item.removed" }]);
  });

  test("an item that is erased while a new route sends its past events leaves nothing", async () => {
    await using world = await startWorld({ relay: {} });
    await linkItem(world.database, "item-1", "user-1");
    const { id } = await world.relay.destination(NOWHERE, {}, { filter: { types: ["sync.completed"] } });
    await world.relay.webhooks("item-1", "item-2");
    await world.relay.event({ itemId: "item-1" });
    await dispatchAll(world.database);
    const route = await createRoute(world.database, { destination_id: id });
    await createRoutePast(world.database, { route_id: route.id, from: new Date(Date.now() - 60_000).toISOString() });
    await eraseDuring(world.database, id, () => workOnce(world.database));
    expect(await rowsOf(world.database)).toEqual([{ what: "event", type: "item.removed" }]);
  });

  test.each(["redrive", "replay"] as const)(
    "an item that is erased while a %s reschedules its deliveries leaves nothing",
    async (kind) => {
      await using world = await startWorld({ relay: {} });
      await linkItem(world.database, "item-1", "user-1");
      const { id } = await world.relay.destination(NOWHERE);
      await world.relay.webhooks("item-1", "item-2");
      await dispatchAll(world.database);
      await settle(world.database, "dead", { cause: "status_500" });
      if (kind === "redrive") await createRedrive(world.database, {});
      else
        await createReplay(world.database, { destination_id: id, from: new Date(Date.now() - 60_000).toISOString() });
      await eraseDuring(world.database, id, () => workOnce(world.database));
      expect(await rowsOf(world.database)).toEqual([{ what: "event", type: "item.removed" }]);
    },
  );
});

test("an erasure that waits for the relay delays no webhook of its item", async () => {
  await using world = await startWorld({ relay: {} });
  await linkItem(world.database, "item-1", "user-1");
  await world.relay.webhooks("item-1");
  await using accept = openWebhookIntake({ database: world.database, queueMax: 10, logger: silentLogger });
  const held = await hold(world.database, (tx) => tx.query(take("dispatch")));
  const erasing = eraseItem(world.database, INTEGRATION, "item-1");
  await untilStuckOrDone(world.database, erasing, 1);
  await accept.accept(webhook({ integrationId: INTEGRATION, itemId: "item-1" }));
  await held.release();
  await erasing;
  const { rows } = await world.database.query<object>("select from journal.webhooks where item_id = 'item-1'");
  expect(rows).toEqual([]);
});

test("an item with only webhooks can be unlinked and erased, and an unknown item cannot", async () => {
  await using world = await startWorld();
  const integration = await integrate(world);
  await append(world.database, [webhook({ integrationId: integration, itemId: "never-linked" })]);
  await append(world.database, [webhook({ integrationId: integration, itemId: "other" })]);
  await markAll(world.database);
  await unlinkItem(world.database, integration, "never-linked");
  await eraseItem(world.database, integration, "never-linked");
  const { rows } = await world.database.query<object>(
    "select item_id from journal.webhooks union all select id from sync.subjects",
  );
  expect(rows).toEqual([{ item_id: "other" }, { item_id: "other" }]);
  for (const gone of [unlinkItem, eraseItem])
    await expect(gone(world.database, integration, "never-linked")).rejects.toMatchObject({ code: "not_found" });
});

test("unlinking an item settles its waiting webhooks and deletes its cursors", async () => {
  await using world = await startWorld();
  const integration = await integrate(world);
  for (const item_id of ["i1", "i2"]) {
    await introduceItem(world, { integration_id: integration, item_id, access_token: SECRETS.token });
  }
  for (const id of ["i1", "i2"])
    await world.database.query(
      "insert into sync.cursors (integration_id, kind, id, resource, cursor, rows) values ($1, 'item', $2, 'transactions', 'c', 1)",
      [integration, id],
    );
  await unlinkItem(world.database, integration, "i1");
  const { rows } = await world.database.query<object>(
    "select item_id, update_info from journal.webhooks order by item_id",
  );
  expect(rows).toEqual([
    { item_id: "i1", update_info: { outcome: "item_unknown" } },
    { item_id: "i2", update_info: null },
  ]);
  const cursors = await world.database.query<{ id: string }>("select id from sync.cursors");
  expect(cursors.rows).toEqual([{ id: "i2" }]);
});
