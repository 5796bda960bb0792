import { describe, expect, test } from "vitest";
import { append } from "../../src/journal/append.ts";
import { getItem } from "../../src/sync/items.ts";
import { markAll } from "../support/mark.ts";
import { until } from "../support/until.ts";
import { webhook } from "../support/webhook.ts";
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

  test("a run that meets a webhook before the marker does settles it as the marker would", async () => {
    await using world = await startWorld({ sync: {} });
    const item = await world.sync.synced(1);
    await world.sync.notify(item.item_id);
    const given = { integrationId: world.integration.id, itemId: item.item_id };
    const known = webhook({ ...given, webhookType: "BEACON", webhookCode: "REPORT_CREATED" });
    const unknown = webhook({ ...given, webhookType: "NEXT_YEAR", webhookCode: "X" });
    await append(world.database, [known, unknown]);
    await world.database.transaction(async (tx) => {
      // No marker reads a row that is locked.
      await tx.query("select from events.sync_outbox for update");
      const worker = await world.sync.start();
      await until("a run", async () => (await world.sync.info(unknown.id)) !== null);
      await worker[Symbol.asyncDispose]();
    });
    expect(await world.sync.info(known.id)).toEqual({ outcome: "no_resource" });
    expect(await world.sync.info(unknown.id)).toEqual({ outcome: "unknown_webhook" });
  });
});
