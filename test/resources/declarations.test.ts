/** The resource files against the tables they speak of, and the folders that must know no resource by name. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Item } from "../../src/api/nouns/items/shapes.ts";
import { nameOf, statementName, tablesOf } from "../../src/mirror/rows.ts";
import { RESOURCES, resourcesOf, rootOf, shownTables, subjectKind, touches } from "../../src/resources/index.ts";
import { meaningOf, WRITTEN } from "../../src/resources/meanings/index.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

/** As information_schema calls the types. */
const TYPES: Record<string, string> = {
  text: "text",
  numeric: "numeric",
  boolean: "boolean",
  date: "date",
  timestamptz: "timestamp with time zone",
  "text[]": "ARRAY",
  jsonb: "jsonb",
};
/** What shows items is about them: it reads the row of each, and its cursors have that name. */
const KNOWN: Record<string, string[]> = {
  // Whose accounts they are is in the item's row.
  "src/mirror/counterparts.ts": ["plaid.items"],
  "src/sync/items.ts": ['"items"', '"items"'],
  "src/sync/item-queries.ts": ["plaid.institutions", "plaid.items"],
  // The life of an item is about the item's own row and its accounts: what is new, what was revoked, and what a notice says.
  "src/sync/commit.ts": ['"accounts"'],
  "src/sync/item-news.ts": ['"accounts"'],
  "src/sync/note-revoked.ts": ["plaid.accounts"],
  "src/sync/notice-queries.ts": ["plaid.accounts", "plaid.items"],
  "src/sync/notices.ts": ['"items"'],
  "src/sync/references.ts": ["plaid.items"],
  "src/sync/revoked.ts": ["plaid.accounts", "'accounts'"],
  // A sentence for people.
  "src/sync/webhook-meaning.ts": ["plaid.items"],
};
const TO_PARTNERS = "Plaid sends partners no webhook about it.";
/** Resources that no webhook touches, and why. */
const UNTOUCHED: Record<string, string> = {
  balances: "Plaid bills each request, so it is read by name.",
  transfers: "An event of the ledger names the transfer.",
  wallets: "A transaction names the wallet.",
  processor_holdings: TO_PARTNERS,
  processor_liabilities: TO_PARTNERS,
  processor_auth: TO_PARTNERS,
  processor_identity: TO_PARTNERS,
  processor_investment_transactions: TO_PARTNERS,
  processor_balances: TO_PARTNERS,
};
const OURS = ["added_at", "changed_at", "removed_at", "raw"];

describe("each resource", () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await testDatabase();
  });
  afterAll(() => db[Symbol.asyncDispose]());

  for (const each of RESOURCES.flatMap(tablesOf)) {
    const { resource, table } = each;
    const { subject } = resource;
    const { name, key, columns, given = [] } = table;

    it(`${name}: the declared columns are the table's columns, type by type, and no column is forgotten`, async () => {
      const { rows } = await db.database.query<{ name: string; type: string }>(
        "select column_name as name, data_type as type from information_schema.columns where table_schema = 'plaid' and table_name = $1",
        [name],
      );
      const actual = Object.fromEntries(rows.map((row) => [row.name, row.type]));
      for (const column of columns)
        expect([column.name, actual[column.name]]).toEqual([column.name, TYPES[column.type]]);
      const known = new Set([
        "integration_id",
        ...(subject.column === null ? [] : [subject.column]),
        ...key,
        ...columns.map((column) => column.name),
        ...given,
        ...OURS,
      ]);
      const verified = key.length === 0 ? ["verified_at"] : [];
      expect(rows.map((row) => row.name).filter((column) => !known.has(column))).toEqual(verified);
      for (const column of OURS) expect(actual).toHaveProperty(column);
    });

    it(`${name}: the table's primary key is integration, subject and the declared key`, async () => {
      const { rows } = await db.database.query<{ columns: string[] }>(
        `select array_agg(a.attname::text order by k.position) as columns
          from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k (number, position)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
          where i.indrelid = $1::regclass and i.indisprimary`,
        [nameOf(each)],
      );
      expect(rows[0]?.columns).toEqual([
        "integration_id",
        ...(subject.column === null ? [] : [subject.column]),
        ...key,
      ]);
    });

    it(`${name}: a column is named after its path in Plaid's object`, () => {
      // error.error_type is error_type: what would be said twice is said once
      const named = (path: readonly string[]) => path.join("_").replace(/^(\w+?)_\1_/, "$1_");
      for (const column of columns) expect(column.name).toBe(named(column.path));
    });

    it(`${name}: Postgres keeps the longest names of the table's statements whole`, () => {
      for (const statement of [
        statementName(each, "upsert_careful_revealed"),
        `events_${statementName(each, "changed_by_keys")}`,
      ])
        expect([statement, statement.length <= 63]).toEqual([statement, true]);
    });

    it(`${name}: the table has a current_ view and a policy for tenants`, async () => {
      await db.database.query(`select * from plaid.current_${name} limit 0`);
      const { rows } = await db.database.query<{ policies: number }>(
        "select count(*)::int as policies from pg_policies where schemaname = 'plaid' and tablename = $1",
        [name],
      );
      expect(rows).toEqual([{ policies: 1 }]);
    });
  }
});

describe("the list of resources", () => {
  it("the list of resources names each resource and each table once, and one of each subject kind that has a column for its id holds the subject's own row", () => {
    expect(new Set(RESOURCES.map(({ name }) => name)).size).toBe(RESOURCES.length);
    const tables = RESOURCES.flatMap(tablesOf).map(nameOf);
    expect(new Set(tables).size).toBe(tables.length);
    for (const kind of new Set(RESOURCES.map(({ subject }) => subject.kind))) {
      expect(
        resourcesOf(kind)
          .flatMap(tablesOf)
          .filter(({ table }) => table.key.length === 0),
      ).toHaveLength(subjectKind(kind)?.column === null ? 0 : 1);
      expect(rootOf(resourcesOf(kind))).toBe(subjectKind(kind)?.column === null ? undefined : resourcesOf(kind)[0]);
    }
    expect(subjectKind("item")).toMatchObject({ access: { by: "access_token" } });
    expect(subjectKind("transfer_ledger")).toMatchObject({ column: null, access: { by: "nothing" } });
  });

  it("every column of every table has a sentence about its meaning, and no sentence is about a column that no table has", () => {
    const columns = RESOURCES.flatMap(tablesOf).flatMap(({ resource: { subject }, table }) =>
      [subject.column ?? [], ...table.key, ...table.columns.map(({ name }) => name), ...(table.given ?? [])]
        .flat()
        .map((column) => [table.name, column] as const),
    );
    expect(columns.filter(([table, column]) => meaningOf(table, column) === undefined)).toEqual([]);
    // Tables of one kind share their sentences, and one of them may lack a column of the others.
    const [tables, names] = [new Set(columns.map(([table]) => table)), new Set(columns.map(([, column]) => column))];
    expect(WRITTEN.filter(([table, column]) => !tables.has(table) || !names.has(column))).toEqual([]);
  });

  it("each resource is read after a webhook of Plaid's, unless it is read for another reason that is known", () => {
    const untouched = RESOURCES.filter(({ touchedBy }) => touchedBy.length === 0).map(({ name }) => name);
    expect(untouched.toSorted()).toEqual(Object.keys(UNTOUCHED).toSorted());
  });

  it("no folder below the API names a resource or a table", () => {
    const tables = RESOURCES.flatMap(({ tables }) => tables.map(({ name }) => name));
    const names = [...new Set([...RESOURCES.map(({ name }) => name), ...tables])]
      .map((name) => `["'\`]${name}["'\`]|plaid[.]${name}\\b`)
      .join("|");
    for (const folder of [
      "src/receiver",
      "src/sync",
      "src/mirror",
      "src/events",
      "src/relay",
      "src/journal",
      "src/lifecycle",
    ]) {
      for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((one) =>
        one.endsWith(".ts"),
      )) {
        const code = readFileSync(`${folder}/${file}`, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
        expect([file, ...(code.match(new RegExp(names, "g")) ?? [])]).toEqual([
          file,
          ...(KNOWN[`${folder}/${file}`] ?? []),
        ]);
      }
    }
  });
});

it("a single item of the API has the number of rows of each table that is to be shown with it", () => {
  const names = shownTables().map(({ table }) => table.name);
  expect(names.length).toBeGreaterThan(0);
  expect(Object.keys(Item.shape)).toEqual(expect.arrayContaining(names));
});

describe("what touches what", () => {
  /** What Plaid bills by the request is read by name only. */
  const EVERY = resourcesOf("item")
    .filter(({ billed }) => billed === undefined)
    .map(({ name }) => name);
  const touched = (type: string, code: string): string[] =>
    resourcesOf("item")
      .filter(({ touchedBy }) => touches(touchedBy, type, code))
      .map(({ name }) => name);

  it.each([
    ["TRANSACTIONS", "SYNC_UPDATES_AVAILABLE", ["accounts", "transactions"]],
    ["TRANSACTIONS", "INITIAL_UPDATE", ["accounts", "transactions"]],
    ["TRANSACTIONS", "HISTORICAL_UPDATE", ["accounts", "transactions"]],
    ["TRANSACTIONS", "DEFAULT_UPDATE", ["accounts", "transactions"]],
    ["TRANSACTIONS", "TRANSACTIONS_REMOVED", ["accounts", "transactions"]],
    ["TRANSACTIONS", "RECURRING_TRANSACTIONS_UPDATE", ["recurring_transactions"]],
    ["TRANSACTIONS", "A_CODE_OF_NEXT_YEAR", ["accounts", "transactions"]],
    ["ITEM", "CREATED", EVERY],
    ["ITEM", "UPDATED", EVERY],
    ["ITEM", "ERROR", ["items"]],
    ["ITEM", "LOGIN_REPAIRED", EVERY],
    ["ITEM", "NEW_ACCOUNTS_AVAILABLE", EVERY],
    ["ITEM", "PENDING_DISCONNECT", ["items"]],
    ["ITEM", "PENDING_EXPIRATION", ["items"]],
    ["ITEM", "USER_PERMISSION_REVOKED", ["items", "accounts"]],
    ["ITEM", "USER_ACCOUNT_REVOKED", EVERY],
    ["ITEM", "WEBHOOK_UPDATE_ACKNOWLEDGED", ["items"]],
    ["ITEM", "UPDATE_ACKNOWLEDGED", ["items"]],
    ["HOLDINGS", "DEFAULT_UPDATE", ["accounts", "holdings"]],
    ["LIABILITIES", "DEFAULT_UPDATE", ["accounts", "liabilities"]],
    ["AUTH", "DEFAULT_UPDATE", ["auth"]],
    ["AUTH", "VERIFICATION_EXPIRED", ["accounts", "auth"]],
    ["AUTH", "PRODUCT_PERMISSIONS_REQUIRED", ["items"]],
    ["IDENTITY", "PRODUCT_PERMISSIONS_REQUIRED", ["items"]],
    ["IDENTITY", "DEFAULT_UPDATE", ["identity"]],
    ["STATEMENTS", "STATEMENTS_REFRESH_COMPLETE", ["statements"]],
    ["INVESTMENTS_TRANSACTIONS", "DEFAULT_UPDATE", ["investment_transactions"]],
  ])("%s/%s → %j", (type, code, names) => {
    expect(touched(type, code)).toEqual(names);
  });
});
