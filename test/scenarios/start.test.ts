/** What a process that starts does not wait for. */
import { expect, test } from "vitest";
import { startWorld } from "../support/world/index.ts";
import { until } from "../support/until.ts";

test("neither a start nor a stop waits for the journal's housekeeping", async () => {
  await using world = await startWorld({ integration: {}, processes: {} });
  const { database } = world;
  // Deleting the one old run takes for ever.
  await database.query(
    `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
     select tartan.least_id_at(at), 'svi', 'item', 'i', at, at, 'synced', 0, '{}' from (select now() - interval '60 days') t (at)`,
  );
  await database.query(
    "create function hang() returns trigger language plpgsql as $$ begin perform pg_sleep(600); return old; end $$",
  );
  await database.query("create trigger hang before delete on sync.runs for each row execute function hang()");
  const hangs = async (): Promise<boolean> =>
    (
      await database.query(
        "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query ~ 'sync.runs'",
      )
    ).rowCount > 0;

  const tartan = await world.processes.start();
  await until("the housekeeping hangs", hangs);
  expect((await fetch(`${tartan.url}/livez`)).status).toBe(200);
  const [item] = world.integration.makeItemsFor(tartan, 1);
  if (!item) throw new Error("no item was made");
  expect((await world.integration.linkAt(tartan, item)).status).toBe(200);
  expect(await hangs()).toBe(true);
  expect(await tartan.stop()).toBe(0);
  expect(await hangs()).toBe(false);
});
