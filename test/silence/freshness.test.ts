/** How fresh the mirror is: the counts of each resource, and that a pass over many rows is made in pages. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { countFreshness } from "../../src/silence/freshness-pass.ts";
import { startWorld, type Json, type World } from "../support/world/index.ts";

let world: World<"sync" | "api">;
beforeAll(async () => {
  world = await startWorld({ sync: {}, api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

async function count(windowSeconds = 3600): Promise<void> {
  const { database } = world;
  await database.query("update silence.freshness_pass set next_at = now()");
  await countFreshness({ database, clock: systemClock, windowSeconds }, new AbortController().signal);
}

const freshnessOf = async (id: string): Promise<Json> =>
  (await world.api.call(`GET /v1/freshness?integration_id=${id}`)).body.data[0];

const resourceOf = async (id: string, name: string): Promise<Json> =>
  (await freshnessOf(id)).resources.find(({ resource }: Json) => resource === name);

it("freshness counts items by resource: read or checked within the window, never read, and the oldest reading", async () => {
  const { id } = world.integration;
  expect(await freshnessOf(id)).toMatchObject({ as_of: null, window_seconds: null, items: 0, resources: [] });
  const [fresh, old, checked, unread] = [
    await world.sync.synced(1),
    await world.sync.synced(1),
    await world.sync.synced(1),
    world.integration.makeItems(1, 1)[0],
  ];
  if (unread) await world.integration.link(unread);
  const { database } = world;
  for (const item of [old, checked])
    await database.query("update sync.cursors set verified_at = '2026-01-05T12:00:00Z' where id = $1", [item.item_id]);
  await database.query("update tartan.items set checked_at = now() where item_id = $1", [checked.item_id]);
  await database.query("update sync.cursors set verified_at = null where id = $1 and resource = 'accounts'", [
    fresh.item_id,
  ]);
  await count();
  const counted = await freshnessOf(id);
  expect(counted).toMatchObject({ window_seconds: 3600, items: 4, unread_items: 1, as_of: expect.any(String) });
  expect(await resourceOf(id, "transactions")).toEqual({
    resource: "transactions",
    kind: "item",
    subjects: 3,
    within_window: 2,
    never_read: 0,
    oldest_verified_at: "2026-01-05T12:00:00.000Z",
  });
  expect(await resourceOf(id, "accounts")).toMatchObject({ subjects: 3, within_window: 1, never_read: 1 });
  await world.api.call(`DELETE /v1/items/${old.item_id}`);
  await count();
  expect(await resourceOf(id, "transactions")).toMatchObject({ subjects: 2, within_window: 2 });
});

it("a pass over more rows than a page holds counts each once, and two processes make one pass", async () => {
  const { database } = world;
  const id = await world.integration.another();
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, status, ready) select $1, 'item', 'item-' || n, 'ok', false from generate_series(1, 12000) n`,
    [id],
  );
  await database.query(
    `insert into sync.cursors (integration_id, kind, id, resource, rows, verified_at)
    select $1, 'item', 'item-' || n, 'transactions', 0, case when n % 4 = 0 then '2026-01-05T12:00:00Z'::timestamptz + n * interval '1 second' else now() end
    from generate_series(1, 12000) n`,
    [id],
  );
  await Promise.all([count(), count()]);
  expect(await resourceOf(id, "transactions")).toMatchObject({
    subjects: 12_000,
    within_window: 9000,
    oldest_verified_at: "2026-01-05T12:00:04.000Z",
  });
});

it("integrations are listed in pages, by id", async () => {
  const seen: string[] = [];
  let cursor = "";
  do {
    const { body } = await world.api.call(`GET /v1/freshness?limit=1${cursor}`);
    seen.push(...body.data.map((each: Json) => each.integration_id));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor);
  expect(seen).toHaveLength(2);
  expect(seen).toEqual(seen.toSorted());
});
