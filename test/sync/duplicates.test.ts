/** The same login linked twice, and accounts whose ids changed: from the run that reads the accounts to the events and the API's answer. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { knownTwice } from "../../src/sync/duplicates.ts";
import { introduceItem } from "../support/link.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { openEventReader, typesOf, type EventReader, type RecordedEvent } from "./event-reader.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const LOGIN = { user: "user_good", institution_id: "ins_109508" } as const;

/** Links the login once more; the events of its first run. */
async function linked(user_id: string | undefined, more = {}): Promise<{ item: Item; events: RecordedEvent[] }> {
  const [item] = world.integration.makeItems(1, 0, { ...LOGIN, ...more });
  if (!item) throw new Error("no item");
  await introduceItem(world, { integration_id: world.integration.id, ...item, user_id });
  await reader.work();
  return { item, events: await reader.eventsOf(item.item_id) };
}

const accountsOf = ({ item_id }: Item): Map<unknown, string> =>
  new Map(world.simulator.control.accounts(item_id).accounts.map(({ name, account_id }) => [name, String(account_id)]));
const twice = ({ item_id }: Item) => knownTwice(world.database, world.integration.id, item_id);
const named = (events: readonly RecordedEvent[], type: string) => events.filter((event) => event.type === type);

it("a user who links the same login twice causes item.duplicate_found in the second item's first run, and both items show the other", async () => {
  const first = await linked("u1");
  expect(typesOf(first.events)).not.toContain("item.duplicate_found");
  const second = await linked("u1");
  const [event, ...more] = named(second.events, "item.duplicate_found");
  expect(more).toEqual([]);
  const [old, now] = [accountsOf(first.item), accountsOf(second.item)];
  const duplicates = event?.data["duplicates"] as { item_id: string; accounts: Record<string, string>[] }[];
  expect(duplicates.map(({ item_id }) => item_id)).toEqual([first.item.item_id]);
  // One of the accounts of this login has no mask.
  const pairs = new Map(duplicates[0]?.accounts.map((each) => [each["account_id"], each]));
  const masked = world.simulator.control.accounts(second.item.item_id).accounts.filter(({ mask }) => mask !== null);
  expect(pairs.size).toBe(masked.length);
  for (const { name } of masked) {
    expect(pairs.get(now.get(name))).toEqual({
      account_id: now.get(name),
      other_account_id: old.get(name),
      certainty: "likely",
    });
  }
  expect(event?.data["next_step"]).toContain("Plaid bills both items");
  expect(event).toMatchObject({ user_id: "u1", item_id: second.item.item_id, history: false });
  expect((await twice(first.item)).duplicates).toMatchObject([{ item_id: second.item.item_id }]);
  expect(await twice(second.item)).toMatchObject({ duplicates: [{ item_id: first.item.item_id }], replaces: [] });
  expect(typesOf(await reader.notifyAndWork(second.item, "LOGIN_REPAIRED"))).not.toContain("item.duplicate_found");
  await unlinkItem(world.database, world.integration.id, first.item.item_id);
  expect(await twice(second.item)).toMatchObject({ duplicates: [], replaces: { length: masked.length } });
});

it("an item whose user is named after its first run causes item.duplicate_found then, once, and no accounts.replaced within itself", async () => {
  const first = await linked("named later");
  const { item, events } = await linked(undefined);
  expect(typesOf(events)).not.toContain("item.duplicate_found");
  const introduced = async (): Promise<RecordedEvent[]> => {
    const before = (await reader.eventsOf(item.item_id)).length;
    await introduceItem(world, { integration_id: world.integration.id, ...item, user_id: "named later" });
    await reader.work();
    return await reader.eventsOf(item.item_id, before);
  };
  const [event, ...more] = (await introduced()).filter(({ type }) => /duplicate|replaced/.test(type));
  expect(more).toEqual([]);
  expect(event).toMatchObject({ user_id: "named later", data: { duplicates: [{ item_id: first.item.item_id }] } });
  expect(typesOf(await introduced())).not.toContain("item.duplicate_found");
});

it("two users with the same test login, and items without a user, are never said to be the same", async () => {
  for (const user of ["u2", "u3", undefined, undefined]) {
    const { item, events } = await linked(user);
    expect(typesOf(events)).not.toContain("item.duplicate_found");
    expect(await twice(item)).toEqual({ duplicates: [], replaces: [] });
  }
});

it("a user who links again after the permission was withdrawn causes accounts.replaced with the former ids", async () => {
  const first = await linked("u4");
  const old = accountsOf(first.item);
  world.simulator.control.revokeItem(first.item.item_id, { webhooks: false });
  await reader.notifyAndWork(first.item, "USER_PERMISSION_REVOKED");
  const second = await linked("u4");
  expect(typesOf(second.events)).not.toContain("item.duplicate_found");
  const [event] = named(second.events, "accounts.replaced");
  const pairs = event?.data["accounts"] as object[];
  expect(pairs).toContainEqual({
    account_id: accountsOf(second.item).get("Plaid Checking"),
    old_account_id: old.get("Plaid Checking"),
    old_item_id: first.item.item_id,
    certainty: "likely",
  });
  expect((await twice(second.item)).replaces).toHaveLength(pairs.length);
});

it("an account whose id changes within its item causes accounts.replaced, also where the user is not known", async () => {
  const { item } = await linked(undefined);
  const { control } = world.simulator;
  const account_id = accountsOf(item).get("Plaid Checking");
  if (account_id === undefined) throw new Error("no account");
  control.revokeAccount(item.item_id, { account_id, webhooks: false });
  control.addAccount(item.item_id, { subtype: "checking", webhooks: false });
  const events = await reader.notifyAndWork(item, "LOGIN_REPAIRED");
  expect(typesOf(events)).toEqual(["accounts.changed", "accounts.replaced", "sync.completed"]);
  const now = accountsOf(item).get("Plaid Checking");
  expect(events[1]?.data).toEqual({
    accounts: [{ account_id: now, old_account_id: account_id, old_item_id: item.item_id, certainty: "likely" }],
  });
  expect(now).not.toBe(account_id);
});
