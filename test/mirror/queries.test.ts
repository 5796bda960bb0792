/** The SQL of docs/: every block runs as a reader of the mirror, finds rows in a full one, and its sums are those of Plaid's own data. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { maintain } from "../support/database.ts";
import { ALL_PRODUCTS, startWorld, type Item, type World } from "../support/world/index.ts";
import { readerUrl } from "../../src/lifecycle/reader.ts";

const docs = join(import.meta.dirname, "../../docs");
/** The blocks of a page by their titles, which are their first comments. */
const blocks = ["queries.md", "mirror.md"].flatMap((page) => {
  const text = readFileSync(join(docs, page), "utf8");
  return [...text.matchAll(/```sql\n(-- (.+)\n[^`]*)```/g)].map(([, sql = "", title = ""]) => ({ page, title, sql }));
});
const sqlOf = (title: string): string => {
  const found = blocks.find((block) => block.title === title);
  if (!found) throw new Error(`no page has the SQL "${title}"`);
  return found.sql;
};

interface Txn {
  amount: number;
  date: string;
  pending: boolean;
  personal_finance_category: { primary: string } | null;
}
interface Account {
  type: string;
  balances: { current: number };
}
type Row = Record<string, unknown>;

let world: World<"sync">;
let item: Item;
let reader: Client;
let role: string;

beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "questions" }, sync: {} });
  const { database, databaseUrl, integration, simulator } = world;
  const made = integration.makeItems(1, 200, { products: ALL_PRODUCTS, user_id: "ann" });
  [item] = made as [Item];
  // The same login linked twice, an item whose user must act, and one whose changes no webhook announced.
  const twin = integration.makeItems(2, 5);
  const link = `select item_id from tartan.items`;
  for (const each of [item, ...twin]) await integration.link(each);
  await database.query(`update tartan.items set user_id = 'ann' where item_id in (${link})`);
  await using worker = await world.sync.start();
  await worker.idle();
  simulator.control.changeTransactions(item.item_id, { add_pending: 3, webhooks: false });
  await world.sync.notify(item.item_id, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS");
  await worker.idle();
  simulator.control.changeTransactions(item.item_id, { post_pending: "all", webhooks: false });
  simulator.control.breakItem(twin[0]?.item_id ?? "", { webhooks: false });
  for (const { item_id } of [item, ...twin]) await world.sync.notify(item_id, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS");
  await worker.idle();
  const url = await readerUrl(database, databaseUrl, {});
  role = new URL(url).username;
  reader = new Client(url);
  await reader.connect();
});
afterAll(async () => {
  await reader?.end();
  await world?.[Symbol.asyncDispose]();
  if (role) await maintain(`drop role if exists ${role}`);
});

const ask = async (title: string): Promise<Row[]> => (await reader.query<Row>(sqlOf(title))).rows;

describe("the SQL in the documentation", () => {
  it("the documentation has at least a dozen questions with their SQL", () => {
    expect(blocks.length).toBeGreaterThanOrEqual(12);
  });

  it.each(blocks)("a reader may run: $title ($page)", async ({ sql }) => {
    await expect(reader.query(sql)).resolves.toBeDefined();
  });

  it.each([
    "net worth of each user, by currency",
    "spending of the last 30 days, by user and category",
    "cash flow of each user, by month",
    "the ten merchants that each user pays most",
    "how amounts changed when pending transactions posted",
    "what each user holds, by security",
    "items that need attention, and what to do",
    "how fresh the data is, by resource",
    "rows of the last hour, and whether they are new, changed or removed",
  ])("in a full mirror there is an answer to: %s", async (title) => {
    expect((await ask(title)).length).toBeGreaterThan(0);
  });

  it("the net worth is the sum of the balances that Plaid has, with debts taken off", async () => {
    const { rows } = await world.database.query<{ item_id: string }>("select item_id from tartan.items");
    const accounts = rows.flatMap(
      ({ item_id }) => world.simulator.control.accounts(item_id).accounts as unknown as Account[],
    );
    const cents = accounts.map(({ type, balances }) => {
      const owed = type === "credit" || type === "loan";
      return Math.round(balances.current * 100) * (owed ? -1 : 1);
    });
    const answers = await ask("net worth of each user, by currency");
    const total = answers.reduce((sum, row) => sum + Math.round(Number(row["net_worth"]) * 100), 0);
    expect(total).toBe(cents.reduce((sum, each) => sum + each, 0));
  });

  it("the cash flow adds up to Plaid's posted transactions without transfers", async () => {
    const { rows } = await world.database.query<{ item_id: string }>("select item_id from plaid.current_items");
    const txns = rows.flatMap(
      ({ item_id }) =>
        (JSON.parse(world.simulator.control.transactionsText(item_id)) as { transactions: Txn[] }).transactions,
    );
    const counted = txns.filter(
      ({ pending, personal_finance_category: category }) =>
        !pending && !["TRANSFER_IN", "TRANSFER_OUT"].includes(category?.primary ?? ""),
    );
    const expected = counted.reduce((sum, { amount }) => sum - Math.round(amount * 100), 0);
    const months = await ask("cash flow of each user, by month");
    expect(months.reduce((sum, row) => sum + Math.round(Number(row["net"]) * 100), 0)).toBe(expected);
  });

  it("the item whose user must log in again is listed with what to do", async () => {
    expect(await ask("items that need attention, and what to do")).toEqual([
      expect.objectContaining({ error_code: "ITEM_LOGIN_REQUIRED", next_step: expect.stringContaining("Link") }),
    ]);
  });
});
