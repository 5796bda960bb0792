import { describe, expect, test } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { listWebhooksQuery, SCAN_WINDOW, type ListShape } from "../../src/journal/list-queries.ts";
import { listWebhooks, openRecords } from "../../src/journal/records.ts";
import { newUuid } from "../../src/model/ids.ts";
import { testDatabase } from "../support/database.ts";
import { allPages, recordsConformance } from "./records-conformance.ts";
import { INTEGRATION } from "../support/webhook.ts";

const DAY = 24 * 60 * 60_000;

recordsConformance("Postgres", async () => {
  const { database, ...db } = await testDatabase();
  await database.query("select journal.ensure_partitions(now() - interval '30 days')");
  return {
    records: openRecords(database),
    store: async (webhooks) => void (await append(database, webhooks)),
    process: async (at, info) =>
      void (await database.query("update journal.webhooks set processed_at = $1, update_info = $2", [
        at,
        JSON.stringify(info),
      ])),
    clear: async () => void (await database.query("truncate journal.webhooks")),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
});

describe("the journal in Postgres", () => {
  test("a rare webhook type without an item is searched in windows: pages may be short, and none is missed", async () => {
    await using db = await testDatabase();
    const rows = SCAN_WINDOW * 2 + 10;
    await db.database.query(
      `insert into journal.webhooks (id, integration_id, source, webhook_type, webhook_code, received_at, body)
       select (substr(tartan.least_id_at(now())::text, 1, 14) || '7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 'PLAID',
         case when n in (1, 2, $2) then 'RARE' else 'TRANSACTIONS' end, 'X', now(), ''
       from generate_series(1, $2::int) n`,
      [INTEGRATION, rows],
    );
    const first = await listWebhooks(db.database, { type: "RARE", limit: 10 });
    expect(first.data).toHaveLength(1);
    expect(first.next_cursor).not.toBeNull();
    expect(await allPages(openRecords(db.database), { type: "RARE", limit: 10 })).toHaveLength(3);
    expect(
      await allPages(openRecords(db.database), { type: "RARE", integration_id: INTEGRATION, limit: 1 }),
    ).toHaveLength(3);
    expect(await allPages(openRecords(db.database), { type: "NONE", limit: 500 })).toEqual([]);
  });
});

describe("plans", () => {
  interface Plan {
    "Node Type": string;
    "Actual Rows": number;
    "Rows Removed by Filter"?: number;
    "Index Name"?: string;
    "Index Cond"?: string;
    Filter?: string;
    "Relation Name"?: string;
    "Actual Loops": number;
    "Subplans Removed"?: number;
    Plans?: Plan[];
  }

  const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

  /** The plan a prepared statement settles on, run for real. */
  async function planOf(q: Database, shape: ListShape, values: unknown[]): Promise<Plan[]> {
    return await q.transaction(async (tx) => {
      await tx.query("set local plan_cache_mode = force_generic_plan");
      const { text } = listWebhooksQuery(shape);
      const types = values.map((value) =>
        typeof value === "number" ? "bigint" : /^[0-9a-f-]{36}$/.test(String(value)) ? "uuid" : "text",
      );
      await tx.query(`prepare page (${types.join(", ")}) as ${text}`);
      const literal = values
        .map((value) => (typeof value === "number" ? String(value) : `'${String(value)}'`))
        .join(", ");
      const { rows } = await tx.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(
        `explain (analyze, format json) execute page (${literal})`,
      );
      await tx.query("deallocate page");
      return nodesOf(rows[0]?.["QUERY PLAN"][0].Plan as Plan);
    });
  }

  const WEEKS = 30;

  /**
   * 120 webhooks of each of 1000 items over the last 30 whole weeks, and the statistics that a lived-in journal has. A week that began a
   * few hours ago would hold few rows, and for few rows any index is as good as another.
   */
  async function livedIn(q: Queryable): Promise<void> {
    await q.query(`select journal.ensure_partitions(now() - interval '${WEEKS} weeks')`);
    await q.query(
      `insert into journal.webhooks (id, integration_id, source, item_id, user_id, webhook_type, webhook_code, received_at, body)
       select (substr(tartan.least_id_at(at)::text, 1, 14) || '7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1 || n % 50,
         case when n % 20 = 0 then 'BACKEND' else 'PLAID' end, 'item-' || n % 1000, 'user-' || n % 1000,
         case when n % 7 = 0 then 'ITEM' else 'TRANSACTIONS' end, 'CODE_' || n % 3, at, ''
       from generate_series(1, 120000) n, lateral (
         select date_trunc('week', now(), 'UTC') - ((n - 0.5) / 120000) * interval '${WEEKS} weeks' as at) t`,
      [INTEGRATION],
    );
    await q.query("analyze journal.webhooks");
  }

  /** Those with rows; in an empty one, any index is as good as another. */
  async function fullPartitions(q: Queryable): Promise<Set<string>> {
    const { rows } = await q.query<{ name: string }>(
      "select distinct tableoid::regclass::text as name from journal.webhooks",
    );
    return new Set(rows.map(({ name }) => name.replace("journal.", "")));
  }

  /** How many rows of the journal the nodes read, those that a filter dropped included, apart from what an index alone answered. */
  const rowsRead = (plan: readonly Plan[]): number =>
    plan
      .filter((node) => node["Relation Name"] !== undefined && node["Node Type"] !== "Index Only Scan")
      .reduce(
        (sum, node) => sum + (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"],
        0,
      );

  const item = "item-7";
  const user = "user-7";
  const patterns: [string, ListShape["given"], unknown[], RegExp][] = [
    ["an item", ["item_id"], [item], /item_id/],
    ["a user", ["user_id"], [user], /user_id/],
    ["an item by type", ["item_id", "type"], [item, "ITEM"], /item_id/],
    ["an item by type and code", ["item_id", "type", "code"], [item, "ITEM", "CODE_1"], /item_id/],
    ["a user by type", ["user_id", "type"], [user, "ITEM"], /user_id/],
    ["a user by type and code", ["user_id", "type", "code"], [user, "ITEM", "CODE_1"], /user_id/],
    ["an item by source PLAID", ["item_id", "source"], [item, "PLAID"], /item_id/],
    ["an item by another source", ["item_id", "source"], [item, "BACKEND"], /item_id_source/],
    ["an integration", ["integration_id"], [`${INTEGRATION}7`], /integration_id/],
    ["all", [], [], /pkey/],
  ];

  test("every query pattern reads its index, week by week from the newest, and stops when the page is full", async () => {
    await using db = await testDatabase();
    await livedIn(db.database);
    const full = await fullPartitions(db.database);
    for (const [what, given, values, index] of patterns) {
      const plaid = values.includes("PLAID");
      for (const cursor of [null, newUuid(Date.now() - 100 * DAY)]) {
        const shape = { given, plaid, paged: cursor !== null };
        const plan = await planOf(db.database, shape, [...values, ...(cursor ? [cursor] : []), 6]);
        const types = plan.map((node) => node["Node Type"]);
        const inOrder = what === "an integration" ? "Merge Append" : "Append";
        expect(types, `${what}: in the order of the index`).toContain(inOrder);
        const sorts = given.length > 1 || inOrder === "Merge Append" ? 1 : 0;
        expect(types.filter((type) => type === "Sort").length, what).toBeLessThanOrEqual(sorts);
        const scans = plan.filter((node) => node["Actual Loops"] > 0 && full.has(node["Relation Name"] ?? ""));
        // Rows that an index found before are fetched by their ids; all else is the pattern's index.
        const searches = scans.filter((node) => !/\bid = ANY/.test(node["Index Cond"] ?? node["Filter"] ?? ""));
        const names = new Set(searches.map((node) => node["Index Name"]));
        for (const name of names) expect(name, what).toMatch(index);
        const weeks = new Set(searches.map((node) => node["Relation Name"]));
        expect(weeks.size, what).toBeGreaterThan(0);
        // 4 webhooks of an item a week: a page of 6 is found in two weeks or three, of a rare kind in twenty or so.
        const rare = given.includes("code") || values.includes("BACKEND") || values.includes("ITEM");
        if (!rare && inOrder === "Append")
          expect(weeks.size, `${what}: looked into ${[...weeks].join()}`).toBeLessThanOrEqual(9);
      }
    }
  });

  test("a page of an item's, a user's or all webhooks reads no row twice and none that it does not show but the next", async () => {
    await using db = await testDatabase();
    await livedIn(db.database);
    await db.database.query("vacuum journal.webhooks");
    // A page of an integration reads one row of each week besides.
    for (const [what, given, values] of patterns.filter(([what]) => what !== "an integration")) {
      const plaid = values.includes("PLAID");
      for (const cursor of [null, newUuid(Date.now() - 100 * DAY)]) {
        const shape = { given, plaid, paged: cursor !== null };
        const plan = await planOf(db.database, shape, [...values, ...(cursor ? [cursor] : []), 6]);
        // The items of this journal have no webhook of another source.
        if (!values.includes("BACKEND")) expect(rowsRead(plan), what).toBeGreaterThan(0);
        expect(rowsRead(plan), what).toBeLessThanOrEqual(6);
      }
    }
  });

  test("a page of an integration without webhooks reads none of the others", async () => {
    await using db = await testDatabase();
    await livedIn(db.database);
    for (const cursor of [null, newUuid(Date.now() - 100 * DAY)]) {
      const shape: ListShape = { given: ["integration_id"], plaid: false, paged: cursor !== null };
      const plan = await planOf(db.database, shape, ["none", ...(cursor ? [cursor] : []), 6]);
      expect(rowsRead(plan)).toBe(0);
    }
  });

  test("the pages of an integration hold each of its webhooks once, newest first, over all weeks", async () => {
    await using db = await testDatabase();
    await livedIn(db.database);
    const records = openRecords(db.database);
    const { rows } = await db.database.query<{ all: string[]; items: string[] }>(
      `select array_agg(replace('whk_' || id, '-', '') order by id desc) as all,
         array_agg(replace('whk_' || id, '-', '') order by id desc) filter (where webhook_type = 'ITEM') as items
       from journal.webhooks where integration_id = $1`,
      [`${INTEGRATION}7`],
    );
    const ofOne = { integration_id: `${INTEGRATION}7`, limit: 500 };
    expect(await allPages(records, ofOne)).toEqual(rows[0]?.all);
    expect(await allPages(records, { ...ofOne, type: "ITEM" })).toEqual(rows[0]?.items);
    expect(rows[0]?.all).toHaveLength(2400);
  });

  test("Postgres plans each kind of page once, and not for each page anew", async () => {
    await using db = await testDatabase();
    await livedIn(db.database);
    await db.database.transaction(async (tx) => {
      for (const [what, given, values] of patterns) {
        const { name, text } = listWebhooksQuery({ given, plaid: values.includes("PLAID"), paged: false });
        for (let time = 0; time < 8; time += 1) await tx.query({ name, text }, [...values, 51]);
        const { rows } = await tx.query<{ planned: number; reused: number }>(
          "select custom_plans::int as planned, generic_plans::int as reused from pg_prepared_statements where name = $1",
          [name],
        );
        // Postgres plans the first five in any case.
        expect(rows, what).toEqual([{ planned: 5, reused: 3 }]);
      }
    });
  });
});
