/** What an item's errors do to its rows (nothing), where they are shown, and how the item heals. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { getItem } from "../../src/sync/items.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  reader = openEventReader(world);
});
afterEach(() => void world.simulator.control.clearFaults());
afterAll(() => world[Symbol.asyncDispose]());

const run = async (clientFor?: SyncOptions["clientFor"]): Promise<void> => {
  const worker = await world.sync.start(clientFor && { clientFor });
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};
const itemRow = async ({ item_id }: Item): Promise<Record<string, unknown> | undefined> =>
  (await world.database.query("select * from plaid.items where item_id = $1", [item_id])).rows[0];
const currentRows = async ({ item_id }: Item): Promise<number> =>
  (await world.database.query("select from plaid.current_transactions where item_id = $1", [item_id])).rows.length;

/** Plaid refuses an endpoint by an error. */
const refusing = (endpoint: string, errorType: string, errorCode: string): SyncOptions["clientFor"] =>
  gated(async (path, _body, pass) => {
    if (path === endpoint) throw new PlaidError({ errorType, errorCode, httpStatus: 400 });
    await pass();
  });

/** /item/get succeeds and holds an error, the other endpoints answer as ever. */
const broken =
  (error_code: string): SyncOptions["clientFor"] =>
  (integration) => {
    const client = gated((_path, _body, pass) => pass())(integration);
    return {
      ...client,
      post: async (path, body, signal) => {
        const answer = await client.post(path, body, signal);
        if (path !== "/item/get") return answer;
        const error = { error_type: "ITEM_ERROR", error_code, error_message: "m", display_message: null };
        const page = JSON.parse(answer.text) as { item: object };
        return { ...answer, text: JSON.stringify({ ...page, item: { ...page.item, error } }) };
      },
    };
  };

describe("an error that the item's own row holds", () => {
  for (const code of [
    "UNSUPPORTED_RESPONSE",
    "INSTITUTION_NO_LONGER_SUPPORTED",
    "ITEM_NOT_SUPPORTED",
    "USER_PERMISSION_REVOKED",
    "ITEM_NOT_FOUND",
  ]) {
    it(`the error ${code} of an item keeps its rows while Plaid answers for them, is shown, and goes away by itself`, async () => {
      const item = await world.sync.synced(12);
      world.simulator.control.changeTransactions(item.item_id, { add: 3, webhooks: false });
      const before = (await reader.eventsOf(item.item_id)).length;
      await world.sync.notify(item.item_id, "ERROR", "ITEM");
      await world.sync.notify(item.item_id);
      await run(broken(code));
      expect(await currentRows(item)).toBe(15);
      expect(await itemRow(item)).toMatchObject({
        error_code: code,
        removed_at: null,
        next_step: expect.stringMatching(/^[A-Z].*\.$/),
      });
      expect(await getItem(world.database, item.item_id)).toMatchObject({
        status: "needs_user",
        error_code: code,
        error_message: expect.stringMatching(/^[A-Z].*\.$/),
        next_step: expect.stringMatching(/^[A-Z].*\.$/),
      });
      const ill = typesOf(await reader.eventsOf(item.item_id, before));
      expect(ill).toContain("item.error");
      expect(ill).not.toContain("item.removed");

      world.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
      await world.sync.notify(item.item_id);
      await run();
      await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
      expect(await getItem(world.database, item.item_id)).toMatchObject({
        status: "ok",
        error_code: null,
        error_message: null,
        next_step: null,
      });
      expect(await itemRow(item)).toMatchObject({ error_code: null, next_step: null });
      expect(typesOf(await reader.eventsOf(item.item_id, before))).toContain("item.repaired");
    });
  }

  it("the error that the permission was revoked ends the item as soon as Plaid refuses the bank's data for it", async () => {
    const item = await world.sync.synced(4);
    world.simulator.control.revokeItem(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ended" });
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
  });
});

describe("an error by which /item/get is refused", () => {
  for (const code of ["UNSUPPORTED_RESPONSE", "ITEM_NOT_SUPPORTED", "ITEM_LOGIN_REQUIRED"]) {
    it(`the refusal of /item/get with ${code} keeps the rows, is shown in the item's row, and causes one event when it comes and one when it goes`, async () => {
      const item = await world.sync.synced(6);
      const before = (await reader.eventsOf(item.item_id)).length;
      for (let n = 0; n < 2; n += 1) {
        await world.sync.notify(item.item_id, "ERROR", "ITEM");
        await run(refusing("/item/get", "ITEM_ERROR", code));
      }
      expect(await currentRows(item)).toBe(6);
      expect(await itemRow(item)).toMatchObject({
        error_type: "ITEM_ERROR",
        error_code: code,
        institution_id: expect.any(String),
        removed_at: null,
      });
      await world.sync.notify(item.item_id);
      await run();
      expect(await itemRow(item)).toMatchObject({ error_code: null, error: null, next_step: null });
      const recorded = typesOf(await reader.eventsOf(item.item_id, before)).filter((type) => type.startsWith("item."));
      expect(recorded).toEqual(["item.error", "item.repaired"]);
      await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    });
  }

  it("an item that was never read is shown with the error of /item/get, and completely once Plaid answers", async () => {
    const [item] = world.integration.makeItems(1, 4);
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    await run(refusing("/item/get", "INVALID_INPUT", "INVALID_ACCESS_TOKEN"));
    expect(await itemRow(item)).toMatchObject({
      item_id: item.item_id,
      error_code: "INVALID_ACCESS_TOKEN",
      institution_id: null,
      removed_at: null,
    });
    expect(await getItem(world.database, item.item_id)).toMatchObject({
      status: "misconfigured",
      error_code: "INVALID_ACCESS_TOKEN",
      error_message: expect.stringContaining("access token"),
      next_step: expect.stringContaining("ITEM/UPDATED"),
      verified_at: null,
    });
    await world.integration.link(item);
    await run();
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const recorded = typesOf(await reader.eventsOf(item.item_id)).filter((type) => type.startsWith("item."));
    expect(recorded).toEqual(["item.linked", "item.error", "item.linked", "item.repaired"]);
  });

  it("an error of the integration is not written to the rows of items that were read before", async () => {
    const item = await world.sync.synced(2);
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run(refusing("/item/get", "INVALID_INPUT", "INVALID_API_KEYS"));
    expect(await itemRow(item)).toMatchObject({ error_code: null });
    expect(await getItem(world.database, item.item_id)).toMatchObject({
      status: "misconfigured",
      error_code: "INVALID_API_KEYS",
      next_step: expect.stringContaining("tartan integrations update <id> --secret"),
    });
  });
});
