/** What the status, the metrics and the list of items read beside many items. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dueDepth, queueDepth } from "../../src/sync/depth.ts";
import { QUEUE_DEPTH } from "../../src/sync/depth-queries.ts";
import { LIST_ITEMS, LIST_ITEMS_IN, LIST_NOTICED } from "../../src/sync/item-queries.ts";
import { listItems } from "../../src/sync/items.ts";
import { toKeyCursor } from "../../src/model/cursors.ts";
import type { Queryable } from "../../src/database/types.ts";
import { countStatuses } from "../../src/sync/status-counts.ts";
import { until } from "../support/until.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { pagesOf } from "../support/pages.ts";

const MANY = 20_000;
/** A page of 51 items reads about ten pages of indexes and tables for each. */
const FEW_PAGES = 1000;

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

const insertSubjects = (count: number, id: string, status: string, due = "null::timestamptz"): Promise<unknown> =>
  db.database.query(
    `insert into sync.subjects (integration_id, kind, id, status, due_at)
     select 'svi_many', 'item', $2 || lpad(n::text, 6, '0'), $3, ${due} from generate_series(1, $1::int) n`,
    [count, id, status],
  );

describe("the list of items, beside 20,000 that are well and 20,000 that were unlinked", () => {
  beforeAll(async () => {
    await db.database.query(
      `insert into tartan.integrations (id, service, name, environment, plaid_url, client_id)
       values ('svi_many', 'plaid_item_v1', 'many', 'sandbox', 'http://127.0.0.1:1', 'c')`,
    );
    await insertSubjects(MANY, "ok_", "ok");
    await insertSubjects(MANY, "gone_", "unlinked");
    await insertSubjects(3, "login_", "needs_user");
    await db.database.query(
      `insert into tartan.items (integration_id, item_id, access_token_sealed)
       select integration_id, id, case when status <> 'unlinked' then '\\x00'::bytea end from sync.subjects`,
    );
    await db.database.query(
      `insert into sync.notices (integration_id, item_id, kind, about, since, announced_at)
       select 'svi_many', 'login_00000' || n, 'new_accounts', about, now(), now()
       from generate_series(1, 3) n cross join unnest('{a,b}'::text[]) about`,
    );
    await insertSubjects(1, "never_", "unlinked");
    await db.database.query("analyze sync.subjects, tartan.items, sync.notices, plaid.items");
  }, 60_000);

  const behind = (item: string): string => toKeyCursor("items", [item, "svi_many"]);
  const pages = (text: string, values: unknown[]) => pagesOf(db.database, { name: "", text }, values);

  test("a page of all items does not examine all unlinked ones, wherever it begins", async () => {
    for (const after of ["", "gone_010000", "ok_010000"])
      expect(await pages(LIST_ITEMS, [null, null, null, after, "", 51]), after).toBeLessThan(FEW_PAGES);
  });

  test.each(["needs_user", "misconfigured", "ended", "pending", "unlinked"])(
    "a page of the items that are %s does not examine those that are not",
    async (status) => {
      for (const integration of [null, "svi_many"])
        expect(await pages(LIST_ITEMS_IN, [integration, status, "", "", 51])).toBeLessThan(FEW_PAGES);
    },
  );

  test("a page of the items with a notice examines only those, and shows each once", async () => {
    expect(await pages(LIST_NOTICED, [null, null, null, "", "", 51, "new_accounts"])).toBeLessThan(100);
    const { data } = await listItems(db.database, { notice: "new_accounts" });
    expect(data.map(({ item_id }) => item_id)).toEqual(["login_000001", "login_000002", "login_000003"]);
  });

  test("the pages of all items, and of the unlinked ones, have the item that was never linked in its place", async () => {
    const all = await listItems(db.database, { limit: 5, cursor: behind("login_000003") });
    expect(all.data.map(({ item_id }) => item_id).slice(0, 2)).toEqual(["never_000001", "ok_000001"]);
    const unlinked = await listItems(db.database, { status: "unlinked", cursor: behind("gone_020000") });
    expect(unlinked.data.map(({ item_id }) => item_id)).toEqual(["never_000001"]);
  });
});

describe("what waits for sync", () => {
  beforeEach(() => db.database.query("truncate sync.subjects"));

  test("a count of due subjects stops at 50,001 and still says how long the first of all has waited", async () => {
    await insertSubjects(60_000, "due_", "ok", "now() - interval '1 minute'");
    await db.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) values ('svi_z', 'item', 'first', now() - interval '1 hour')",
    );
    await db.database.query("analyze sync.subjects");
    const depth = await dueDepth(db.database);
    expect(depth).toMatchObject({ due: 50_001, running: 0 });
    expect(depth.oldest_due_seconds).toBeGreaterThanOrEqual(3600);
    // Those that became due by time and that no worker has made ready are counted too.
    await db.database.query("update sync.subjects set ready = false");
    expect(await dueDepth(db.database)).toMatchObject({ due: 50_001 });
    await db.database.query("update sync.subjects set due_at = now() + interval '1 hour'");
    await db.database.query("vacuum analyze sync.subjects");
    expect(await dueDepth(db.database)).toMatchObject({ due: 0, oldest_due_seconds: 0 });
    expect(await pagesOf(db.database, { name: "", text: QUEUE_DEPTH.text }, [])).toBeLessThan(50);
  });

  test("fewer than 50,000 subjects are counted by status for each answer", async () => {
    await insertSubjects(10, "ok_", "ok");
    expect((await queueDepth(db.database)).by_status).toEqual({ ok: 10 });
    await insertSubjects(2, "login_", "needs_user");
    expect((await queueDepth(db.database)).by_status).toEqual({ needs_user: 2, ok: 10 });
  });

  test("the counts by status of 50,000 subjects say when they were made, serve several answers, and are never older than a minute", async () => {
    let reads = 0;
    let shift = 0;
    const now = () => Date.now() + shift;
    const q = {
      query: (...given: Parameters<typeof db.database.query>) => {
        reads += 1;
        return db.database.query(...given);
      },
    } as Queryable;
    await insertSubjects(50_000, "ok_", "ok");
    const first = await countStatuses(q, now);
    expect(first.counts).toEqual({ ok: 50_000 });
    expect(await countStatuses(q, now)).toBe(first);
    expect(reads).toBe(1);
    await insertSubjects(1, "login_", "needs_user");
    // New counts are read beside an answer, once for all that ask meanwhile.
    shift = 59_000;
    expect(await Promise.all([countStatuses(q, now), countStatuses(q, now)])).toEqual([first, first]);
    expect(reads).toBe(2);
    await until("the new counts", async () => (await countStatuses(q, now)) !== first);
    shift += 61_000;
    await insertSubjects(1, "gone_", "unlinked");
    expect((await countStatuses(q, now)).counts).toEqual({ needs_user: 1, ok: 50_000, unlinked: 1 });
  });
});
