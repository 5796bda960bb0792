/** What a user withdraws at Plaid is erased where the integration says so: all of it, and nothing of another account or item. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { take } from "../../src/database/locks.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { eraseWithdrawn } from "../../src/lifecycle/revocations.ts";
import { tablesOfAccounts } from "../../src/mirror/forget.ts";
import { nameOf } from "../../src/mirror/rows.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { getItem } from "../../src/sync/items.ts";
import { openEventReader, typesOf, type EventReader } from "../sync/event-reader.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import * as support from "./support.ts";
import { ALL_PRODUCTS, startWorld, type Item, type World } from "../support/world/index.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ integration: { revoked_data: "erase" }, sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const erase = () => eraseWithdrawn(world.database);
const policy = (revoked_data: "keep" | "erase") =>
  updateIntegration(world.database, world.vault, world.integration.id, { revoked_data });

const linked = (products?: string[], transactions?: number) =>
  support.linked({ world, reader }, products, transactions);
const written = (itemId: string) => support.written(world, itemId);
const delivered = (itemId: string, body: string) => support.delivered(world, itemId, body);
const deliveries = (itemId: string) => support.deliveries(world, itemId);
const accountsOf = ({ item_id }: Item): string[] =>
  world.simulator.control.accounts(item_id).accounts.map(({ account_id }) => String(account_id));

const withdrawn = (item: Item, account_id: string, code?: string) =>
  support.withdrawn({ world, reader }, item, account_id, code);

it("every table of an item that has an account_id is among those from which an account is erased", async () => {
  const { rows } = await world.database.query<{ name: string }>(
    `select c.table_schema || '.' || c.table_name as name from information_schema.columns c
     join information_schema.columns i using (table_schema, table_name)
     join pg_class r on r.oid = format('%I.%I', c.table_schema, c.table_name)::regclass and r.relkind = 'r'
     where c.table_schema = 'plaid' and c.column_name = 'account_id' and i.column_name = 'item_id'`,
  );
  const known = tablesOfAccounts().map(nameOf);
  // Reports name the item of each account; they belong to no item, and are subjects of their own.
  const ofReports = rows.map(({ name }) => name).filter((name) => !known.includes(name));
  const REPORT = /^plaid\.(asset_report|cra|bank_income|payroll|pay_stubs|w2s|form_1099s|processor)/;
  expect(ofReports.filter((name) => !REPORT.test(name))).toEqual([]);
  expect(known).toEqual(
    expect.arrayContaining(["plaid.accounts", "plaid.transactions", "plaid.holdings", "plaid.auth_ach"]),
  );
});

it("an item whose permission was withdrawn keeps its own row and its end, and everything else of it is erased once", async () => {
  const [item, other] = [await linked(["transactions", "auth", "identity"]), await linked()];
  const untouched = await written(other.item_id);
  world.simulator.control.revokeItem(item.item_id, { webhooks: false });
  const events = await reader.notifyAndWork(item, "USER_PERMISSION_REVOKED");
  expect(typesOf(events)).toEqual(["item.removed", "sync.completed"]);
  await delivered(item.item_id, "{}");
  expect((await deliveries(item.item_id)).map(({ type }) => type)).toContain("accounts.changed");
  expect(await erase()).toBe(1);
  expect((await deliveries(item.item_id)).map(({ type }) => type)).toEqual([
    "item.linked",
    "item.removed",
    "webhook.received",
  ]);
  const left = await written(item.item_id);
  expect([...left.keys()]).toEqual(["plaid.items", "webhooks", "events"]);
  const text = [...left.values()].join("\n");
  for (const account of accountsOf(item)) expect(text).not.toContain(account);
  expect(text).not.toContain("Plaid Checking");
  expect(typesOf(await reader.eventsOf(item.item_id))).toEqual(["item.linked", "item.removed", "item.data_erased"]);
  expect((await reader.eventsOf(item.item_id)).at(-1)?.data).toEqual({
    reason: "permission_revoked",
    account_id: null,
  });
  expect(await getItem(world.database, item.item_id)).toMatchObject({
    status: "ended",
    error_code: "USER_PERMISSION_REVOKED",
    next_step: expect.stringContaining("Delete what you hold"),
    counts: { accounts: 0, transactions: 0 },
  });
  expect(await written(other.item_id)).toEqual(untouched);
  expect(await erase()).toBe(0);
  const { rows } = await world.database.query("select action from tartan.audit_log where target = $1", [item.item_id]);
  expect(rows).toEqual([{ action: "item.data_erased" }]);
});

it("an item that Plaid refuses only some time after its user withdrew the permission is erased then, whatever the error", async () => {
  const item = await linked();
  await withdrawn(item, "", "USER_PERMISSION_REVOKED");
  expect(await erase()).toBe(0);
  await support.removedAtPlaid(world, item);
  await reader.notifyAndWork(item, "LOGIN_REPAIRED");
  await world.database.query("update tartan.revocations set look_at = now()");
  expect(await erase()).toBe(1);
  expect([...(await written(item.item_id)).keys()]).toEqual(["plaid.items", "webhooks", "events"]);
});

it("with the policy keep, the rows of a withdrawn item stay with removed_at", async () => {
  const item = await linked();
  await policy("keep");
  world.simulator.control.revokeItem(item.item_id, { webhooks: false });
  expect(typesOf(await reader.notifyAndWork(item, "USER_PERMISSION_REVOKED"))).toContain("transactions.changed");
  expect(await erase()).toBe(0);
  await policy("erase");
  const { rows } = await world.database.query(
    "select count(*)::int as rows, count(removed_at)::int as removed from plaid.transactions where item_id = $1",
    [item.item_id],
  );
  expect(rows).toEqual([{ rows: 40, removed: 40 }]);
});

it("of a withdrawn account nothing is left but its id, and the rows, events and counts of the other accounts are as they were", async () => {
  const item = await linked(
    [...ALL_PRODUCTS].filter((name) => name !== "balance"),
    60,
  );
  const { control } = world.simulator;
  const checking = control.accounts(item.item_id).accounts.find(({ name }) => name === "Plaid Checking");
  const revoked = String(checking?.["account_id"]);
  const others = accountsOf(item).filter((id) => id !== revoked);
  const before = await written(item.item_id);
  expect(before.get("events")).toContain(revoked);
  control.revokeAccount(item.item_id, { account_id: revoked, webhooks: false });
  // As a transform makes it, of rows whose account it does not name, and a receiver that answers with what it got.
  await delivered(item.item_id, '{"merchant":"Rent"}');
  await withdrawn(item, revoked);
  expect(await erase()).toBe(1);
  // A body that was made of an event is made again of what is left of it.
  const made = (await deliveries(item.item_id)).filter((each) => each.made || each.answered);
  const naming = support.typesIn(before.get("events") ?? "", revoked);
  expect(made.map(({ type }) => type).filter((type) => naming.includes(type))).toEqual([]);
  expect(made.map(({ type }) => type)).toContain("item.linked");
  const after = await written(item.item_id);
  for (const [name, text] of after) {
    if (["webhooks", "events"].includes(name)) continue;
    expect([name, text.includes(revoked)]).toEqual([name, false]);
  }
  const events = await reader.eventsOf(item.item_id);
  expect(typesOf(events.filter(({ text }) => text.includes(revoked)))).toEqual([
    "item.account_revoked",
    "item.data_erased",
  ]);
  const rowsIn = (account: string, texts: Map<string, string>) =>
    [...texts].filter(([name]) => name.startsWith("plaid.")).map(([name, text]) => [name, text.split(account).length]);
  for (const account of others) expect(rowsIn(account, after)).toEqual(rowsIn(account, before));
  // The first events still have every row of the other accounts, number for number.
  const transactions = before
    .get("events")
    ?.split("\n")
    .find((text) => text.includes('"type":"transactions.changed"'));
  const wanted = (JSON.parse(transactions ?? "{}") as { data: { added: { account_id: string }[] } }).data.added;
  const first = events.find(({ type }) => type === "transactions.changed");
  expect(first?.data["added"]).toEqual(wanted.filter(({ account_id }) => account_id !== revoked));
  const webhooks = await world.database.query<{ text: string }>(
    "select coalesce(update_info::text, '') as text from journal.webhooks where item_id = $1",
    [item.item_id],
  );
  for (const { text } of webhooks.rows) expect(text).not.toContain(revoked);
  await requestSync(world.database, item.item_id, { full: true });
  await reader.work();
  await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  const { rows } = await world.database.query<{ rows: number; now: number }>(
    `select c.rows::int, (select count(*)::int from plaid.current_transactions t where t.item_id = $1) as now
     from sync.cursors c where id = $1 and resource = 'transactions'`,
    [item.item_id],
  );
  expect(rows[0]?.rows).toBe(rows[0]?.now);
});

it("an account that Plaid still lists is not erased, and only a list of a day later says that it stays", async () => {
  const item = await linked();
  const [account = ""] = accountsOf(item);
  const before = await written(item.item_id);
  await withdrawn(item, account);
  expect(await erase()).toBe(0);
  await world.database.query(
    "update tartan.revocations set look_at = now(), noted_at = noted_at - interval '1 day' where item_id = $1",
    [item.item_id],
  );
  expect(await erase()).toBe(1);
  const after = await written(item.item_id);
  for (const name of ["plaid.accounts", "plaid.transactions"])
    expect([name, after.get(name)]).toEqual([name, before.get(name)]);
  expect(
    (await world.database.query("select from tartan.revocations where item_id = $1", [item.item_id])).rowCount,
  ).toBe(0);
  // Plaid may take a while to take an account off its list.
  await withdrawn(item, account);
  expect(await erase()).toBe(0);
  world.simulator.control.revokeAccount(item.item_id, { account_id: account, webhooks: false });
  await reader.notifyAndWork(item, "LOGIN_REPAIRED");
  await world.database.query("update tartan.revocations set look_at = now()");
  expect(await erase()).toBe(1);
  expect((await written(item.item_id)).get("plaid.accounts")).not.toContain(account);
});

it("a security that only a withdrawn account held is erased with it, and one that another account holds stays", async () => {
  const item = await linked(["investments"]);
  const before = await written(item.item_id);
  const { database, integration } = world;
  const held = async (account: string): Promise<string[]> =>
    (
      await database.query<{ id: string }>(
        `select s.security_id as id from plaid.securities s left join plaid.holdings h using (integration_id, item_id, security_id)
         where s.item_id = $1 group by 1 having $2 = '' or bool_and(h.account_id = $2) order by 1`,
        [item.item_id, account],
      )
    ).rows.map(({ id }) => id);
  const account = accountsOf(item).find((id) => before.get("plaid.holdings")?.includes(id)) ?? "";
  const other = accountsOf(item).find((id) => id !== account);
  // Which the other account has sold.
  await database.query(
    "insert into plaid.securities (integration_id, item_id, security_id, raw) values ($1, $2, 'shared', '{}')",
    [integration.id, item.item_id],
  );
  await database.query(
    `insert into plaid.holdings (integration_id, item_id, account_id, security_id, raw, removed_at)
     values ($1, $2, $3, 'shared', '{}', null), ($1, $2, $4, 'shared', '{}', now())`,
    [integration.id, item.item_id, account, other],
  );
  const [all, own] = [await held(""), await held(account)];
  expect([own.length > 0, own.includes("shared")]).toEqual([true, false]);
  world.simulator.control.revokeAccount(item.item_id, { account_id: account, webhooks: false });
  await withdrawn(item, account);
  expect(await erase()).toBe(1);
  expect(await held("")).toEqual(all.filter((id) => !own.includes(id)));
});

it("a note that waits keeps nothing from being dispatched, and one that fails is tried again later", async () => {
  const item = await linked();
  const [account = ""] = accountsOf(item);
  await withdrawn(item, account);
  const { database } = world;
  // With the lock of a dispatch that does not end.
  await database.transaction(async (tx) => {
    await tx.query(take("dispatch"));
    expect(await erase()).toBe(0);
  });
  const postponed = () => support.postponed(world, item.item_id);
  expect(await postponed()).toEqual([true]);
  await database.query("update tartan.revocations set look_at = now()");
  const transaction = () => Promise.reject(new Error("failing"));
  const failing = { query: database.query.bind(database), transaction };
  await expect(eraseWithdrawn(failing)).rejects.toThrow("failing");
  expect(await postponed()).toEqual([true]);
});

it("a withdrawn account of an item that cannot be read waits for the reading that confirms it", async () => {
  const item = await linked();
  const [account = ""] = accountsOf(item);
  const { control } = world.simulator;
  control.breakItem(item.item_id, { webhooks: false });
  control.revokeAccount(item.item_id, { account_id: account, webhooks: false });
  await withdrawn(item, account);
  expect(await erase()).toBe(0);
  expect((await written(item.item_id)).get("plaid.accounts")).toContain(account);
  control.repairItem(item.item_id, { webhooks: false });
  await reader.notifyAndWork(item, "LOGIN_REPAIRED");
  expect(await erase()).toBe(0);
  await world.database.query("update tartan.revocations set look_at = now()");
  expect(await erase()).toBe(1);
  expect((await written(item.item_id)).get("plaid.accounts")).not.toContain(account);
});

it("an item that is unlinked before its data is erased, and one whose withdrawn account was never confirmed, are erased all the same", async () => {
  const [whole, partly] = [await linked(), await linked()];
  world.simulator.control.revokeItem(whole.item_id, { webhooks: false });
  await reader.notifyAndWork(whole, "USER_PERMISSION_REVOKED");
  const [account = ""] = accountsOf(partly);
  world.simulator.control.breakItem(partly.item_id, { webhooks: false });
  await withdrawn(partly, account);
  for (const { item_id } of [whole, partly]) await unlinkItem(world.database, world.integration.id, item_id);
  expect(await erase()).toBe(2);
  expect((await written(whole.item_id)).has("plaid.accounts")).toBe(false);
  expect((await written(partly.item_id)).get("plaid.accounts")).not.toContain(account);
});

it("nothing is erased while a run works on the item", async () => {
  const item = await linked();
  const [account = ""] = accountsOf(item);
  world.simulator.control.revokeAccount(item.item_id, { account_id: account, webhooks: false });
  await withdrawn(item, account);
  const lease = (token: string) =>
    world.database.query(`update sync.subjects set lease_token = ${token} where id = $1`, [item.item_id]);
  await lease("gen_random_uuid()");
  expect(await erase()).toBe(0);
  await lease("null");
  await world.database.query("update tartan.revocations set look_at = now()");
  expect(await erase()).toBe(1);
});

it("rows of an erased account that arrive late are erased too, and an account that comes back is read anew", async () => {
  const item = await linked();
  const [account = "", other = ""] = accountsOf(item);
  world.simulator.control.revokeAccount(item.item_id, { account_id: account, webhooks: false });
  await withdrawn(item, account);
  expect(await erase()).toBe(1);
  const late = (table: string, id: string) =>
    world.database.query(
      `insert into plaid.${table} (integration_id, item_id, account_id, raw ${table === "accounts" ? "" : ", transaction_id"})
       values ($1, $2, $3, '{}' ${table === "accounts" ? "" : ", 'late'"})`,
      [world.integration.id, item.item_id, id],
    );
  await late("transactions", account);
  await reader.change(item, { add: 1 });
  expect(await erase()).toBe(1);
  const text = (await written(item.item_id)).get("plaid.transactions");
  expect(text).toContain(other);
  expect(text).not.toContain(account);
  await late("accounts", account);
  await reader.change(item, { add: 1 });
  const { rows } = await world.database.query<{ summary: { counts?: object } }>(
    "select summary from sync.runs where subject_id = $1 order by id desc limit 1",
    [item.item_id],
  );
  // Everything was read again, by which Plaid's own list took the account away once more.
  expect(rows[0]?.summary.counts).toMatchObject({ accounts: { removed: 1 } });
});
