/** Which accounts are the same under two ids: plaid.account_counterparts, and what is chosen from it. */
import { beforeAll, afterAll, expect, it } from "vitest";
import { counterpartsOf, newCounterparts } from "../../src/mirror/counterparts.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { reader, rowsOf } from "./reader-support.ts";

let world: World<"integration">;
beforeAll(async () => {
  world = await startWorld({ integration: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

let serial = 0;
const next = (what: string): string => `${what}-${(serial += 1)}`;

interface Linked {
  user?: string | null;
  institution?: string | null;
  linked?: boolean;
  integration?: string;
}

async function item(
  { user = null, institution = "ins_1", linked = true, integration = world.integration.id }: Linked,
  { database }: World = world,
): Promise<string> {
  const id = next("item");
  const key = [integration, id];
  await database.query(
    "insert into tartan.items (integration_id, item_id, user_id, access_token_sealed) values ($1, $2, $3, $4)",
    [...key, user, linked ? Buffer.from("sealed") : null],
  );
  await database.query(
    "insert into plaid.items (integration_id, item_id, institution_id, raw) values ($1, $2, $3, '{}')",
    [...key, institution],
  );
  return id;
}

interface Account {
  persistent?: string | null;
  mask?: string | null;
  name?: string | null;
  subtype?: string;
  added?: string;
  removed?: string | null;
  integration?: string;
}

async function account(itemId: string, given: Account = {}, { database }: World = world): Promise<string> {
  const { persistent = null, mask = "0000", name = "Checking", subtype = "checking" } = given;
  const { added = "2026-01-01", removed = null, integration = world.integration.id } = given;
  const id = next("account");
  await database.query(
    `insert into plaid.accounts (integration_id, item_id, account_id, persistent_account_id, mask, name, type, subtype, added_at,
      removed_at, raw) values ($1, $2, $3, $4, $5, $6, 'depository', $7, $8, $9, '{}')`,
    [integration, itemId, id, persistent, mask, name, subtype, added, removed],
  );
  return id;
}

const found = (itemId: string) => counterpartsOf(world.database, world.integration.id, itemId);
const NOTHING = { duplicates: [], replaced: [] };

it("accounts with the same persistent id are certainly the same under any names, and those with different ones never are", async () => {
  const user = next("user");
  const [one, other] = [await item({ user }), await item({ user })];
  const a = await account(one, { persistent: "p1", mask: "1234" });
  const b = await account(other, { persistent: "p1", mask: null, name: "Renamed" });
  await account(one, { persistent: "p2", mask: "5555" });
  await account(other, { persistent: "p3", mask: "5555" });
  expect(await found(one)).toEqual({
    duplicates: [{ account_id: a, counterpart_item_id: other, counterpart_account_id: b, certainty: "certain" }],
    replaced: [],
  });
  expect((await found(other)).duplicates).toMatchObject([{ account_id: b, counterpart_account_id: a }]);
});

it("accounts that agree in mask, name, type and subtype are likely the same, also where one of them has a persistent id", async () => {
  const user = next("user");
  const [one, other] = [await item({ user }), await item({ user })];
  const a = await account(one, { persistent: "p1" });
  const b = await account(other);
  expect((await found(one)).duplicates).toEqual([
    { account_id: a, counterpart_item_id: other, counterpart_account_id: b, certainty: "likely" },
  ]);
});

it.each([
  ["of another user", { user: "somebody else" }, {}],
  ["of no known user", { user: null }, {}],
  ["at another institution", { institution: "ins_2" }, {}],
  ["at an institution that is not known", { institution: null }, {}],
  ["with another mask", {}, { mask: "9999" }],
  ["without a mask", {}, { mask: null }],
  ["without a name", {}, { name: null }],
  ["of another subtype", {}, { subtype: "savings" }],
] as const)("an account %s is no counterpart", async (_, linked: Linked, given: Account) => {
  const user = next("user");
  const [one, other] = [await item({ user }), await item({ user, ...linked })];
  // What both lack is no agreement.
  const { mask = "0000", name = "Checking" } = given;
  await account(one, { mask: mask === null ? null : "0000", name: name === null ? null : "Checking" });
  await account(other, given);
  expect(await found(one)).toEqual(NOTHING);
  expect(await found(other)).toEqual(NOTHING);
});

it("accounts of users of two integrations are never compared", async () => {
  const user = next("user");
  const integration = await world.integration.another();
  await account(await item({ user, integration }), { integration });
  const one = await item({ user });
  await account(one);
  expect(await found(one)).toEqual(NOTHING);
});

it("two accounts of one item that are alike match nothing", async () => {
  const user = next("user");
  const [one, other] = [await item({ user }), await item({ user })];
  await account(one);
  await account(one);
  await account(other);
  expect(await found(one)).toEqual(NOTHING);
  expect(await found(other)).toEqual(NOTHING);
});

it("an account replaces the one of an item that is unlinked or that Plaid no longer has, the last of them first", async () => {
  const user = next("user");
  const earlier = await item({ user });
  await account(earlier, { removed: "2026-02-01" });
  const [ended, now] = [await item({ user }), await item({ user })];
  const old = await account(ended, { removed: "2026-03-01" });
  const a = await account(now, { added: "2026-02-20" });
  const pair = { account_id: a, counterpart_item_id: ended, counterpart_account_id: old, certainty: "likely" };
  expect(await found(now)).toEqual({ duplicates: [], replaced: [pair] });
  const unlinked = await item({ user, linked: false });
  const kept = await account(unlinked);
  expect((await found(now)).replaced).toMatchObject([{ counterpart_item_id: unlinked, counterpart_account_id: kept }]);
  expect(await found(unlinked)).toEqual(NOTHING);
  const twin = await item({ user });
  await account(twin);
  expect(await found(now)).toMatchObject({ duplicates: [{ counterpart_item_id: twin }], replaced: [] });
});

it("within an item an account replaces one that had gone when it came, and not one that was there beside it", async () => {
  const one = await item({});
  const old = await account(one, { mask: "1", removed: "2026-03-01" });
  const a = await account(one, { mask: "1", added: "2026-03-01" });
  await account(one, { mask: "2", removed: "2026-03-01" });
  await account(one, { mask: "2", added: "2026-01-01" });
  expect(await found(one)).toEqual({
    duplicates: [],
    replaced: [{ account_id: a, counterpart_item_id: one, counterpart_account_id: old, certainty: "likely" }],
  });
});

it("the accounts of a user identifier that more than 200 items share are not compared", async () => {
  const user = next("user");
  const [one, other] = [await item({ user }), await item({ user })];
  await account(one);
  await account(other);
  expect((await found(one)).duplicates).toHaveLength(1);
  await world.database.query(
    `insert into tartan.items (integration_id, item_id, user_id)
     select $1, 'many-' || n, $2 from generate_series(1, 199) n`,
    [world.integration.id, user],
  );
  expect(await found(one)).toEqual(NOTHING);
});

it("of two items that are read for the first time at once, the later commit finds the accounts of the earlier one", async () => {
  const user = next("user");
  const items = [await item({ user }), await item({ user })];
  const read = (itemId: string, wait: Promise<void>) =>
    world.database.transaction(async (tx) => {
      await tx.query(
        `insert into plaid.accounts (integration_id, item_id, account_id, mask, name, type, raw)
         values ($1, $2, $3, '7', 'Checking', 'depository', '{}')`,
        [world.integration.id, itemId, next("account")],
      );
      const which = { integrationId: world.integration.id, itemId, userId: user, isUserNew: false };
      const counterparts = await newCounterparts(tx, which);
      await wait;
      return counterparts.duplicates.length;
    });
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const both = items.map((each) => read(each, held));
  await until("a transaction to wait for the other", async () => {
    const { rows } = await world.database.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%counterpart_locks%'",
    );
    return rows.length === 1;
  });
  release();
  expect((await Promise.all(both)).toSorted()).toEqual([0, 1]);
});

it("a tenant's reader sees the pairs of its own integration in plaid.account_counterparts, and no others", async () => {
  await using tenants = await startWorld({ integration: {} });
  const { id: mine } = tenants.integration;
  for (const integration of [mine, await tenants.integration.another()]) {
    const user = next("user");
    for (const one of [await item({ user, integration }, tenants), await item({ user, integration }, tenants)])
      await account(one, { integration }, tenants);
  }
  const url = await reader(tenants, { integrationId: mine });
  const rows = await rowsOf(url, "select integration_id, relation, certainty from plaid.account_counterparts");
  const pair = { integration_id: mine, relation: "duplicate", certainty: "likely" };
  expect(rows).toEqual([pair, pair]);
});
