/**
 * Random worlds against random faults, with several real worker processes: when everything is quiet
 * the mirror equals the simulator's truth row for row, and so do the rows of the events; each item has the notices that its events and its
 * consent say. fast-check prints the
 * seed of a failure and the storm; `STORM_SEED=… npx vitest run test/storms` plays it again, `STORM_SHRINK=1` makes it
 * small, `STORMS=…` plays more. In each storm none, a tenth, half or all of the webhooks are lost. Half of the storms end in silence: then
 * only reconciliation can close the gaps.
 */
import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourcesOf } from "../../src/resources/index.ts";
import type { BookName } from "../../src/simulator/products/index.ts";
import { queueDepth } from "../../src/sync/depth.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { expectNoticesTrue } from "../support/notice-oracle.ts";
import type { TartanProcess } from "../support/process.ts";
import { ALL_PRODUCTS, BOOK_NAMES, startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

const SEED = process.env["STORM_SEED"];
const STORMS = Number(process.env["STORMS"] ?? 6);
/** A failure ends the test at once, with the storm that led to it; shrinking it takes minutes. */
const SHRINK = process.env["STORM_SHRINK"] !== undefined;
const ITEMS = 4;

const item = fc.nat({ max: ITEMS - 1 });
const few = fc.nat({ max: 12 });
const silent = fc.boolean();

/** What can happen; weights make change common and disaster rare. */
const change = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant("change" as const),
      item,
      add: few,
      add_pending: few,
      modify: few,
      remove: few,
      post_pending: few,
      webhooks: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("changeProduct" as const),
      item,
      name: fc.constantFrom(...BOOK_NAMES),
      add: fc.nat({ max: 3 }),
      modify: fc.nat({ max: 3 }),
      remove: fc.nat({ max: 2 }),
      webhooks: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("grow" as const), item, add: fc.integer({ min: 400, max: 1300 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constantFrom("break", "repair", "addAccount", "revokeAccount"),
      item,
      webhooks: silent,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("relink" as const), item }) },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constantFrom("disconnect", "consentEnds", "consentRenewed", "newAccount", "permission", "updated"),
      // Several concern the same item, so that repairs find something to repair.
      item: fc.constantFrom(1, 2),
      webhooks: silent,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("rotateKeys" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("fault" as const),
      fault: fc.oneof(
        fc.record({ kind: fc.constant("mutation" as const), count: fc.integer({ min: 1, max: 4 }) }),
        fc.record({
          kind: fc.constant("mutation" as const),
          stubborn: fc.constant(true),
          count: fc.integer({ min: 1, max: 6 }),
        }),
        fc.record({ kind: fc.constant("cursor_invalid" as const), count: fc.constant(1) }),
        fc.record({ kind: fc.constant("server_error" as const), count: fc.integer({ min: 1, max: 3 }) }),
        fc.record({ kind: fc.constant("rate_limit" as const), count: fc.integer({ min: 1, max: 2 }) }),
        fc.record({ kind: fc.constant("institution_down" as const), count: fc.constant(1) }),
        fc.record({
          kind: fc.constant("connection_cut" as const),
          count: fc.integer({ min: 1, max: 3 }),
          after_bytes: fc.nat({ max: 5000 }),
        }),
        fc.record({
          kind: fc.constant("slow" as const),
          count: fc.integer({ min: 1, max: 3 }),
          ms: fc.nat({ max: 400 }),
        }),
        fc.record({ kind: fc.constant("key_endpoint_down" as const), count: fc.integer({ min: 1, max: 3 }) }),
        fc.record({
          kind: fc.constant("duplicate_webhooks" as const),
          count: fc.integer({ min: 1, max: 5 }),
          copies: fc.integer({ min: 1, max: 4 }),
          resign: fc.boolean(),
        }),
        fc.record({
          kind: fc.constant("reorder_webhooks" as const),
          count: fc.integer({ min: 2, max: 8 }),
          within_ms: fc.integer({ min: 1, max: 400 }),
        }),
        fc.record({ kind: fc.constant("drop_webhooks" as const), count: fc.integer({ min: 1, max: 6 }) }),
      ),
    }),
  },
);
/** Most follow at once, so that they fall into one run; after some there is time for a run, so that there are many. */
const paced = fc.record({ each: change, thenMs: fc.oneof(fc.constant(0), fc.integer({ min: 20, max: 250 })) });
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The part of the webhooks of a storm that is lost. */
const lost = fc.constantFrom(0, 0.1, 0.5, 1);

/** Every item is checked once in two seconds, and Plaid's list of sent webhooks does not help. */
const LOOKING = { TARTAN_RECONCILE_H: String(2 / 3600), TARTAN_SENT_WEBHOOKS_MIN: "0" };

describe.each([
  ["a last webhook for each item", {}, calm],
  ["silence: no item says once more that something changed", LOOKING, fallSilent],
] as const)("storms that end with %s", (_name, env, end) => {
  let world: World<"integration" | "processes">;
  let receiver: TartanProcess;

  beforeAll(async () => {
    world = await startWorld({ simulator: { seed: "storms" }, integration: {}, processes: {} });
    receiver = await world.processes.start(["up", "--only", "receiver"]);
    await world.processes.start(["up", "--only", "sync"], env);
    await world.processes.start(["up", "--only", "sync"], env);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it(
    "the mirror equals the truth after a storm of changes and failures",
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(paced, { minLength: 15, maxLength: 40, size: "max" }),
          lost,
          async (changes, part) => {
            const items = world.integration.makeItemsFor(receiver, ITEMS, 60, ALL_PRODUCTS);
            if (part > 0) world.simulator.control.addFault({ kind: "drop_webhooks", probability: part });
            for (const each of items.slice(1))
              expect((await world.integration.linkAt(receiver, each)).status).toBe(200);
            for (const { each, thenMs } of changes) {
              await happen(world, receiver, items, each);
              await delay(thenMs);
            }
            await end(world, receiver, items);
            for (const { item_id } of items) {
              await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
              await expectNoticesTrue(world.database, world.simulator, item_id);
            }
          },
        ),
        { numRuns: STORMS, endOnFailure: !SHRINK, verbose: 1, ...(SEED && { seed: Number(SEED) }) },
      );
    },
    STORMS * 60_000,
  );
});

async function happen(
  world: World<"integration" | "processes">,
  receiver: TartanProcess,
  items: Item[],
  each: Change,
): Promise<void> {
  const { control } = world.simulator;
  const itemId = "item" in each ? (items[each.item]?.item_id ?? "") : "";
  try {
    switch (each.what) {
      case "change": {
        const { what: _, item: __, ...change } = each;
        control.changeTransactions(itemId, change);
        break;
      }
      case "changeProduct": {
        const { what: _, item: __, name, ...change } = each;
        control.change(itemId, name, change);
        break;
      }
      case "grow":
        control.changeTransactions(itemId, { add: each.add });
        break;
      case "break":
        control.breakItem(itemId, { webhooks: each.webhooks });
        break;
      case "repair":
        control.repairItem(itemId, { webhooks: each.webhooks });
        break;
      case "addAccount":
        control.addAccount(itemId, { transactions: 5, webhooks: each.webhooks });
        break;
      case "revokeAccount":
        control.revokeAccount(itemId, { webhooks: each.webhooks });
        break;
      case "relink":
        await world.integration.linkAt(receiver, items[each.item] as Item);
        break;
      case "disconnect":
        control.announceDisconnect(itemId);
        break;
      case "consentEnds":
        control.limitConsent(itemId, { ends_in_s: 3 * 86_400, webhooks: each.webhooks });
        break;
      case "consentRenewed":
        control.limitConsent(itemId, { ends_in_s: 180 * 86_400, webhooks: false });
        break;
      case "newAccount":
        control.addAccount(itemId, { shared: false, webhooks: each.webhooks });
        break;
      case "permission":
        control.sendWebhook({ item_id: itemId, webhook_type: "AUTH", webhook_code: "PRODUCT_PERMISSIONS_REQUIRED" });
        break;
      case "updated":
        // Often both in one run.
        control.announceDisconnect(itemId);
        await world.integration.updatedAt(receiver, items[each.item] as Item);
        break;
      case "rotateKeys":
        control.rotateKeys({ expire_old: false });
        break;
      case "fault":
        control.addFault(each.fault);
        break;
    }
  } catch (error) {
    // The simulator refuses what cannot happen, such as revoking the last account; then it did not.
    if ((error as { code?: string }).code !== "conflict") throw error;
  }
}

/** The storm passes: faults end, broken items are repaired, and each item says once more that something changed. */
async function calm(world: World<"integration" | "processes">, receiver: TartanProcess, items: Item[]): Promise<void> {
  const { control } = world.simulator;
  control.clearFaults();
  await world.integration.linkAt(receiver, items[0] as Item);
  for (const { item_id } of items) {
    // Only what is broken: a repair makes Tartan read everything again, which would heal any damage of the storm unseen.
    if (control.item(item_id)["error_code"] !== null) control.repairItem(item_id);
    if (control.item(item_id)["accounts"] === 0) control.addAccount(item_id);
    control.changeTransactions(item_id, { add: 1 });
    for (const name of BOOK_NAMES) sayChanged(world, item_id, name);
    // After it Tartan reads the item's own row, and nothing else that the storm could have damaged.
    control.sendWebhook({ item_id, webhook_type: "ITEM", webhook_code: "WEBHOOK_UPDATE_ACKNOWLEDGED" });
  }
  await control.idle();
  await hurry(world);
  await until("an empty queue", async () => {
    if ((await queueDepth(world.database)).due > 0) return false;
    const { rows } = await world.database.query("select from journal.webhooks where processed_at is null limit 1");
    return rows.length === 0;
  });
}

/** Plaid's webhook that something of a product changed, also where nothing is left that could. */
function sayChanged(
  { simulator: { control } }: World<"integration" | "processes">,
  item_id: string,
  name: BookName,
): void {
  const touch = resourcesOf("item").find((each) => each.name === name)?.touchedBy[0];
  if (!touch) throw new Error(`no webhook touches ${name}`);
  control.sendWebhook({ item_id, webhook_type: touch.type, webhook_code: touch.codes?.[0] ?? "DEFAULT_UPDATE" });
}

function changeSilently(
  { simulator: { control } }: World<"integration" | "processes">,
  itemId: string,
  name: BookName,
): void {
  try {
    control.change(itemId, name, { add: 1, modify: 1, webhooks: false });
  } catch (error) {
    // The item has no account left for the product.
    if ((error as { code?: string }).code !== "conflict") throw error;
  }
}

/** What failed in the storm would be tried again within the hour; nobody waits for that here. */
async function hurry({ database }: World): Promise<void> {
  await database.query(
    "update sync.subjects set not_before = null, due_at = now() where due_at > now() and lease_token is null",
  );
}

/**
 * The storm passes without a word: what is broken is repaired in silence, everything changes once more, and from then on
 * Plaid sends nothing. Only looks at the items can close the gaps.
 */
async function fallSilent(
  world: World<"integration" | "processes">,
  receiver: TartanProcess,
  items: Item[],
): Promise<void> {
  const { control } = world.simulator;
  control.clearFaults();
  await world.integration.linkAt(receiver, items[0] as Item);
  for (const { item_id } of items) {
    if (control.item(item_id)["error_code"] !== null) control.repairItem(item_id, { webhooks: false });
    if (control.item(item_id)["accounts"] === 0) control.addAccount(item_id, { webhooks: false });
    control.changeTransactions(item_id, { add: 2, modify: 1, remove: 1, webhooks: false });
    for (const name of BOOK_NAMES) changeSilently(world, item_id, name);
  }
  await control.idle();
  await hurry(world);
  for (const { item_id } of items) {
    const expectTrue = async (): Promise<void> => {
      await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
      await expectNoticesTrue(world.database, world.simulator, item_id);
    };
    await until(
      `the mirror of ${item_id} equal to the truth`,
      () =>
        expectTrue().then(
          () => true,
          () => false,
        ),
      30,
    ).catch((error: unknown) =>
      // Says what differs.
      expectTrue().then(() => Promise.reject(error)),
    );
  }
}
