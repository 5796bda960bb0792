/** The comments of tables and columns, which psql and BI tools show. */
import { expect, it } from "vitest";
import { describeTables } from "../../src/mirror/comments.ts";
import { testDatabase } from "../support/database.ts";

const COMMENT = `select col_description(attrelid, attnum) as meaning from pg_attribute
  where attrelid = $1::regclass and attname = $2`;

it("every table of the mirror says what it and its columns mean, and is described again only when that has changed", async () => {
  await using db = await testDatabase();
  const { database } = db;
  const meaning = async (table = "plaid.accounts", column = "mask") =>
    (await database.query<{ meaning: string }>(COMMENT, [table, column])).rows[0]?.meaning;
  expect(await meaning()).toContain("account number");
  expect(await meaning("plaid.payments", "iban")).toBe("the payer's IBAN; masked unless revealed");
  expect(await meaning("plaid.identity_owners", "emails")).toMatch(/; data in it is masked unless revealed$/);
  expect(await describeTables(database)).toBe(false);
  await database.query("comment on column plaid.accounts.mask is 'mine'");
  expect(await describeTables(database)).toBe(false);
  expect(await meaning()).toBe("mine");
  await database.query("comment on schema mirror is 'columns described: of an older version'");
  expect((await Promise.all([describeTables(database), describeTables(database)])).includes(true)).toBe(true);
  expect(await meaning()).toContain("account number");
});

it("a table that lacks a column of this version is described without it", async () => {
  await using db = await testDatabase();
  const { database } = db;
  await database.query("alter table plaid.securities drop column sector cascade");
  await database.query("comment on schema mirror is null");
  expect(await describeTables(database)).toBe(true);
});
