/** The resource files against the tables they speak of, and the folders that must know no resource by name. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RESOURCES, resourcesOf, rootOf, subjectKind, touches } from "../../src/resources/index.ts";
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
const OURS = ["added_at", "changed_at", "removed_at", "raw"];

describe("each resource", () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await testDatabase();
  });
  afterAll(() => db[Symbol.asyncDispose]());

  for (const resource of RESOURCES) {
    const { name, table, subject, key, columns, given = [] } = resource;

    it(`${name}: the declared columns are the table's columns, type by type, and no column is forgotten`, async () => {
      const [schema, relation] = table.split(".");
      const { rows } = await db.database.query<{ name: string; type: string }>(
        "select column_name as name, data_type as type from information_schema.columns where table_schema = $1 and table_name = $2",
        [schema, relation],
      );
      const actual = Object.fromEntries(rows.map((row) => [row.name, row.type]));
      for (const column of columns)
        expect([column.name, actual[column.name]]).toEqual([column.name, TYPES[column.type]]);
      const known = new Set([
        "integration_id",
        subject.column,
        key,
        ...columns.map((column) => column.name),
        ...given,
        ...OURS,
      ]);
      const verified = key === null ? ["verified_at"] : [];
      expect(rows.map((row) => row.name).filter((column) => !known.has(column))).toEqual(verified);
      for (const column of OURS) expect(actual).toHaveProperty(column);
    });

    it(`${name}: the table's primary key is integration, subject and the declared key`, async () => {
      const { rows } = await db.database.query<{ columns: string[] }>(
        `select array_agg(a.attname::text order by k.position) as columns
          from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k (number, position)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
          where i.indrelid = $1::regclass and i.indisprimary`,
        [table],
      );
      expect(rows[0]?.columns).toEqual(["integration_id", subject.column, ...(key === null ? [] : [key])]);
    });

    it(`${name}: a column is named after its path in Plaid's object`, () => {
      // error.error_type is error_type: what would be said twice is said once
      const named = (path: readonly string[]) => path.join("_").replace(/^(\w+?)_\1_/, "$1_");
      for (const column of columns) expect(column.name).toBe(named(column.path));
    });

    it(`${name}: there is a current_ view of it`, async () => {
      await db.database.query(`select * from ${table.replace(".", ".current_")} limit 0`);
    });
  }
});

describe("the list of resources", () => {
  it("the list of resources names each once, and one of each subject kind holds the subject's own row", () => {
    expect(new Set(RESOURCES.map(({ name }) => name)).size).toBe(RESOURCES.length);
    for (const kind of new Set(RESOURCES.map(({ subject }) => subject.kind))) {
      expect(resourcesOf(kind).filter(({ key }) => key === null)).toHaveLength(1);
      expect(rootOf(resourcesOf(kind))).toBe(resourcesOf(kind)[0]);
    }
    expect(subjectKind("item")).toMatchObject({ asks: "access_token" });
    expect(subjectKind("transfer_ledger")).toBeUndefined();
  });

  it("sync and mirror name no resource", () => {
    const names = RESOURCES.map(({ name }) => (name === "items" ? '"items"|plaid[.]items' : `\\b${name}\\b`)).join("|");
    for (const folder of ["src/sync", "src/mirror"]) {
      for (const file of readdirSync(folder)) {
        const code = readFileSync(`${folder}/${file}`, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
        expect([file, ...(code.match(new RegExp(names, "g")) ?? [])]).toEqual([file]);
      }
    }
  });
});

describe("what touches what", () => {
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
    ["TRANSACTIONS", "RECURRING_TRANSACTIONS_UPDATE", []],
    ["TRANSACTIONS", "A_CODE_OF_NEXT_YEAR", ["accounts", "transactions"]],
    ["ITEM", "CREATED", ["items", "accounts", "transactions"]],
    ["ITEM", "UPDATED", ["items", "accounts", "transactions"]],
    ["ITEM", "ERROR", ["items"]],
    ["ITEM", "LOGIN_REPAIRED", ["items", "accounts", "transactions"]],
    ["ITEM", "NEW_ACCOUNTS_AVAILABLE", ["items", "accounts", "transactions"]],
    ["ITEM", "PENDING_DISCONNECT", ["items"]],
    ["ITEM", "PENDING_EXPIRATION", ["items"]],
    ["ITEM", "USER_PERMISSION_REVOKED", ["items", "accounts"]],
    ["ITEM", "USER_ACCOUNT_REVOKED", ["items", "accounts", "transactions"]],
    ["ITEM", "WEBHOOK_UPDATE_ACKNOWLEDGED", ["items"]],
    ["ITEM", "UPDATE_ACKNOWLEDGED", ["items"]],
    ["HOLDINGS", "DEFAULT_UPDATE", []],
  ])("%s/%s → %j", (type, code, names) => {
    expect(touched(type, code)).toEqual(names);
  });
});
