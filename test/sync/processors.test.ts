/**
 * What is read with processor tokens: for each account of an item with all products, the same as of the item; what a webhook about the
 * account reads; and tokens without a product, of another account, and of an item that is gone.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { nameOf, tablesOf, type Mirrored } from "../../src/mirror/rows.ts";
import { ENABLABLE, endpointsOf, resourcesOf } from "../../src/resources/index.ts";
import { baseTableOf } from "../../src/resources/processor.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { addSubject, getSubject, requestSubjectSync } from "../../src/sync/subjects.ts";
import type { Sync } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { ALL_PRODUCTS, BOOK_NAMES, startWorld, type Item, type World } from "../support/world/index.ts";

const KIND = "processor_account";
const RESOURCES = resourcesOf(KIND);
const TABLES = RESOURCES.flatMap(tablesOf);
const BALANCES = "processor_balances";
const SUBTYPES = ["checking", "brokerage", "credit card", "mortgage", "student", "auto", "line of credit"] as const;

let world: World<"sync">;
let worker: Sync;
let item: Item;
let ids: string[];
const tokens = new Map<string, string>();
beforeAll(async () => {
  world = await startWorld({
    simulator: { seed: "processors" },
    integration: { enabled_resources: ["balances"] },
    sync: {},
  });
  worker = await world.sync.start();
  const { control } = world.simulator;
  [item] = world.integration.makeItems(1, 60, { products: ALL_PRODUCTS }) as [Item];
  for (const subtype of SUBTYPES) control.addAccount(item.item_id, { subtype, webhooks: false });
  for (const name of BOOK_NAMES) control.change(item.item_id, name, { add: 20, webhooks: false });
  await world.integration.link(item);
  await worker.idle();
  await requestSync(world.database, item.item_id, { resources: ["balances"] });
  ids = control.accounts(item.item_id).accounts.map(({ account_id }) => String(account_id));
  for (const id of ids) tokens.set(id, await tokenFor(item, id));
});
afterAll(() => world[Symbol.asyncDispose]());

async function plaidRequest(path: string, body: object): Promise<Record<string, unknown>> {
  const { url, clientId, secret } = world.simulator;
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id: clientId, secret, ...body }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}
async function tokenFor({ access_token }: Item, account_id: string): Promise<string> {
  const made = await plaidRequest("/processor/token/create", { access_token, account_id, processor: "dwolla" });
  return String(made["processor_token"]);
}

const subject = (id: string) => ({ kind: KIND, id, integration_id: world.integration.id });
const add = async (id: string, token = tokens.get(id)) => {
  await addSubject(world, { ...subject(id), token });
  await worker.idle();
};
const request = async (id: string, resources?: string[]) => {
  await requestSubjectSync(world.database, subject(id), resources ? { resources } : {});
  await worker.idle();
};
const stateOf = (id: string) => getSubject(world.database, subject(id));
const absences = async (id: string): Promise<Record<string, unknown>> =>
  Object.fromEntries((await stateOf(id)).resources.map(({ resource, absent }) => [resource, absent]));
const enable = (names: readonly string[]) =>
  updateIntegration(world.database, world.vault, world.integration.id, { enabled_resources: [...names] });
/** The resources whose endpoints were asked during `act`. */
async function askedDuring(act: () => Promise<unknown>): Promise<string[]> {
  const counts = () =>
    RESOURCES.map(({ fetch }) =>
      endpointsOf(fetch)
        .map((each) => world.simulator.asked(each))
        .join(),
    );
  const before = counts();
  await act();
  const after = counts();
  return RESOURCES.flatMap(({ name }, n) => (after[n] === before[n] ? [] : [name]));
}
/** As if Plaid had sent a webhook about the account; resolves with the webhook's outcome. */
async function notified(id: string, code: string, type = "TRANSACTIONS"): Promise<unknown> {
  const webhookId = await world.sync.notifyOf({ kind: KIND, id }, type, code, { account_id: id });
  await worker.idle();
  return (await world.sync.info(webhookId))?.outcome;
}

/** What only one of the two rows has: the key of the processor's, and what is joined to the item's. */
const JOINED = "array['network', 'position', 'institution_id', 'account_id']";
/** Which rows of a table of the item are the account's; securities belong to none, and others name them. */
const OWNED: Record<string, string> = {
  securities: "security_id in (select security_id from plaid.current_holdings where account_id = $1)",
  traded_securities:
    "security_id in (select security_id from plaid.current_investment_transactions where account_id = $1)",
};

/** How many rows the account has in a processor's table, and those that it or the item's table has alone. */
async function compared({ table }: Mirrored, id: string): Promise<{ rows: number; differing: unknown[] }> {
  const base = baseTableOf(table.name);
  const columns = table.columns.filter(({ name }) => name !== "institution_id" || base !== "accounts");
  const list = [...columns.map(({ name }) => name), `raw - ${JOINED} as raw`].join(", ");
  const owned = OWNED[base] ?? "account_id = $1";
  const [mine, theirs] = [
    `select ${list} from plaid.current_${table.name} where account_id = $1`,
    `select ${list} from plaid.current_${base} where ${owned}`,
  ];
  const { rows } = await world.database.query<{ rows: number; differing: unknown[] | null }>(
    `with mine as (${mine}), theirs as (${theirs})
    select (select count(*)::int from mine) as rows, (select jsonb_agg(d) from (
      (select 'only the processor' as side, m::text from (select * from mine except all select * from theirs) m)
      union all (select 'only the item', t::text from (select * from theirs except all select * from mine) t)) d) as differing`,
    [id],
  );
  return { rows: rows[0]?.rows ?? 0, differing: rows[0]?.differing ?? [] };
}
/** Expects each table of each account to hold what the item's has of it, and resolves with the tables that hold rows. */
async function expectEqual(except: readonly string[] = []): Promise<Set<string>> {
  const filled = new Set<string>();
  for (const of of TABLES.filter(({ resource }) => !except.includes(resource.name))) {
    for (const id of ids) {
      const { rows, differing } = await compared(of, id);
      expect(differing, `${nameOf(of)} of ${id}`).toEqual([]);
      if (rows > 0) filled.add(of.table.name);
    }
  }
  return filled;
}
const countRows = async (of: Mirrored, id: string): Promise<number> => {
  const { rows } = await world.database.query<{ rows: number }>(
    `select count(*)::int as rows from plaid.current_${of.table.name} where account_id = $1`,
    [id],
  );
  return rows[0]?.rows ?? 0;
};

describe("processor tokens", () => {
  it("only the account is read where the integration enables no resource of processors, and webhooks about others say so", async () => {
    const [id = ""] = ids;
    expect(await notified(id, "SYNC_UPDATES_AVAILABLE")).toBe("subject_unknown");
    const read = await askedDuring(async () => {
      for (const each of ids) await add(each);
      expect(await notified(id, "RECURRING_TRANSACTIONS_UPDATE")).toBe("not_enabled");
    });
    expect(read).toEqual(["processor_accounts"]);
    expect(await stateOf(id)).toMatchObject({ status: "ok", verified_at: expect.any(String) });
  });

  it("every resource, once enabled, holds for each account what the item has of it, table by table", async () => {
    await enable(ENABLABLE.filter((name) => name.startsWith("processor_") || name === "balances"));
    await worker.idle();
    for (const id of ids) await request(id, [BALANCES]);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const filled = await expectEqual();
    // An account in the United States has no numbers of other networks.
    const foreign = ["processor_auth_eft", "processor_auth_international", "processor_auth_bacs"];
    expect(TABLES.map(({ table }) => table.name).filter((name) => !filled.has(name))).toEqual(foreign);
  });

  it("account numbers and owners are masked as those of items are", async () => {
    const { rows } = await world.database.query<{ account: string; kept: string; names: string[]; owner: string }>(
      `select account, a.raw ->> 'account' as kept, names, o.raw::text as owner
      from plaid.processor_auth_ach a join plaid.processor_identity_owners o using (integration_id, account_id)`,
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { account, kept, names, owner } of rows) {
      expect(account).toMatch(/^••••\d{4}$/);
      expect(kept).toBe(account);
      expect(new Set(names)).toEqual(new Set(["•••"]));
      expect(owner).not.toContain("@");
    }
  });

  it("a webhook with the account's id reads what it is about, and nothing that Plaid bills for each request", async () => {
    const [id = ""] = ids;
    const { control } = world.simulator;
    control.changeTransactions(item.item_id, { add: 3, modify: 2, remove: 1, account_id: id, webhooks: false });
    const reads = async (code: string, type?: string) =>
      await askedDuring(async () => expect(await notified(id, code, type)).toBe("synced"));
    for (const code of [
      "INITIAL_UPDATE",
      "HISTORICAL_UPDATE",
      "DEFAULT_UPDATE",
      "TRANSACTIONS_REMOVED",
      "SYNC_UPDATES_AVAILABLE",
    ])
      expect([code, await reads(code)]).toEqual([code, ["processor_accounts", "processor_transactions"]]);
    expect(await reads("RECURRING_TRANSACTIONS_UPDATE")).toEqual(["processor_recurring_transactions"]);
    expect(await reads("WEBHOOK_UPDATE_ACKNOWLEDGED", "PROCESSOR_TOKEN")).toEqual(["processor_accounts"]);
    // Only what was added is of this account for certain.
    for (const other of ids) await notified(other, "SYNC_UPDATES_AVAILABLE");
    await world.sync.notify(item.item_id);
    await worker.idle();
    await expectEqual([BALANCES]);
  });
});

it("a product that a processor token may not read is absent, the others are read, and permission brings it back", async () => {
  const [id = ""] = ids;
  const processor_token = tokens.get(id);
  await plaidRequest("/processor/token/permissions/set", { processor_token, products: ["transactions", "identity"] });
  await request(id);
  expect(await absences(id)).toMatchObject({
    processor_accounts: null,
    processor_transactions: null,
    processor_identity: null,
    processor_auth: "refused",
    processor_holdings: "refused",
    processor_liabilities: "refused",
  });
  expect(await stateOf(id)).toMatchObject({ status: "ok", verified_at: expect.any(String) });
  await plaidRequest("/processor/token/permissions/set", { processor_token, products: [] });
  await request(id);
  expect(new Set(Object.values(await absences(id)))).toEqual(new Set([null]));
  await expectEqual([BALANCES]);
});

it("products that the user of an item did not consent to are absent for a processor, and the account is well without them", async () => {
  const [without] = world.integration.makeItems(1, 5, { products: ["transactions"] }) as [Item];
  const [account] = world.simulator.control.accounts(without.item_id).accounts;
  const id = String(account?.["account_id"]);
  await add(id, await tokenFor(without, id));
  expect(await absences(id)).toMatchObject({ processor_transactions: null, processor_auth: "refused" });
  expect(await stateOf(id)).toMatchObject({ status: "ok", error_code: null, verified_at: expect.any(String) });
});

it("the token of another account is noticed, changes no row, and gives way to the right one", async () => {
  const [id = "", other = ""] = ids;
  await add(id, tokens.get(other));
  expect(await stateOf(id)).toMatchObject({
    status: "misconfigured",
    error_code: "token_of_another_item",
    next_step: expect.stringContaining("processor_token"),
  });
  await expectEqual([BALANCES]);
  await add(id);
  expect(await stateOf(id)).toMatchObject({ status: "ok", error_code: null });
  await expectEqual([BALANCES]);
});

it("an account whose item was removed at Plaid ends, with the rows of every table", async () => {
  const [id = "", other = ""] = ids;
  await plaidRequest("/item/remove", { access_token: item.access_token });
  await notified(id, "DEFAULT_UPDATE");
  expect(await stateOf(id)).toMatchObject({ status: "ended", error_code: "ITEM_NOT_FOUND" });
  for (const of of TABLES) expect([of.table.name, await countRows(of, id)]).toEqual([of.table.name, 0]);
  expect(await countRows(TABLES[0] as Mirrored, other)).toBe(1);
});
