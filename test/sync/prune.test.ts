import { expect, test } from "vitest";
import { pruneSubjects } from "../../src/sync/prune.ts";
import { testDatabase } from "../support/database.ts";
import { INTEGRATION } from "../support/webhook.ts";
import { linkItem } from "../journal/support.ts";

test("subjects that nobody linked are deleted after a month, unless they wait, run, are younger, are linked or were read", async () => {
  await using db = await testDatabase();
  const { database } = db;
  await linkItem(database, "linked", "user-1");
  const insert = (id: string, columns = "") =>
    database.query(
      `insert into sync.subjects (integration_id, kind, id, status, created_at) values ($1, 'item', $2, 'unlinked', now() - interval '31 days')
       ${columns && `on conflict do nothing`}`,
      [INTEGRATION, id],
    );
  for (const id of ["foreign", "linked", "waits", "works", "unserved", "young", "healthy", "read", "added"])
    await insert(id);
  const set = (id: string, what: string) => database.query(`update sync.subjects set ${what} where id = $1`, [id]);
  await set("waits", "due_at = now() + interval '1 hour'");
  await set("works", "lease_token = gen_random_uuid()");
  await set("unserved", "oldest_unserved = gen_random_uuid()");
  await set("young", "created_at = now() - interval '29 days'");
  await set("healthy", "status = 'ok'");
  await set("read", "kind = 'payment'");
  await set("added", "kind = 'asset_report'");
  await database.query(
    "insert into sync.cursors (integration_id, kind, id, resource, rows) values ($1, 'payment', 'read', 'payments', 1)",
    [INTEGRATION],
  );
  await database.query(
    "insert into tartan.registered_subjects (integration_id, kind, id) values ($1, 'asset_report', 'added')",
    [INTEGRATION],
  );
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, status, created_at)
     select $1, 'item', 'many-' || n, 'unlinked', now() - interval '40 days' from generate_series(1, 5001) n`,
    [INTEGRATION],
  );
  expect(await pruneSubjects(database)).toBe(5002);
  const { rows } = await database.query<{ id: string }>("select id from sync.subjects order by id");
  expect(rows.map(({ id }) => id)).toEqual([
    "added",
    "healthy",
    "linked",
    "read",
    "unserved",
    "waits",
    "works",
    "young",
  ]);
});
