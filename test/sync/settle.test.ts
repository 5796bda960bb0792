import { describe, expect, test } from "vitest";
import { getItem } from "../../src/sync/items.ts";
import { markAll } from "../support/mark.ts";
import { startWorld } from "../support/world/index.ts";
import { subjects } from "../receiver/support.ts";

const bytesOf = (body: unknown): Buffer => Buffer.from(JSON.stringify(body, null, 2));

describe("a webhook that needs no sync run", () => {
  test("webhooks of an unknown type, that are not JSON, or that name no subject need no sync run", async () => {
    await using world = await startWorld({ receiver: {} });
    const bodies: [Buffer, string][] = [
      [bytesOf({ webhook_type: "INVENTED", webhook_code: "LATELY", item_id: "item-1" }), "unknown_webhook"],
      [bytesOf({ webhook_type: "PROTECT", webhook_code: "LATELY", item_id: "item-1" }), "unknown_webhook"],
      [Buffer.from("not json"), "unknown_webhook"],
      [bytesOf({ webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE" }), "no_subject"],
      [bytesOf({ webhook_type: "BEACON", webhook_code: "REPORT_CREATED", item_id: "item-1" }), "no_resource"],
    ];
    for (const [body, outcome] of bodies) {
      const { body: answer } = await world.receiver.plaid(body);
      await subjects(world.database);
      const stored = (await world.receiver.webhooks()).find(({ id }) => id === answer.webhook_id);
      expect(stored).toMatchObject({ processed_at: expect.any(String), update_info: { outcome } });
    }
    await world.receiver.backend({ webhook_type: "INCOME", webhook_code: "X", item_id: "item-1" });
    expect(await subjects(world.database)).toEqual([]);
  });

  test("a webhook that requests a full reading needs a sync run although it touches nothing mirrored", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ webhook_type: "INCOME", webhook_code: "X", item_id: "asked", full: true });
    expect((await subjects(world.database)).map(({ id }) => id)).toEqual(["asked"]);
    expect((await world.receiver.webhooks()).map(({ processed_at }) => processed_at)).toEqual([null]);
  });

  test("a webhook of an item without a token needs no sync run, and the item is shown as unlinked", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.plaid(
      bytesOf({ webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE", item_id: "later" }),
    );
    await markAll(world.database);
    expect(await world.receiver.webhooks()).toMatchObject([
      { processed_at: expect.any(String), update_info: { outcome: "item_unknown" } },
    ]);
    expect(await getItem(world.database, "later")).toMatchObject({ status: "unlinked", due: false });
  });
});
