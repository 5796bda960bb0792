import { describe, expect, test } from "vitest";
import { changesMirror } from "../../src/resources/index.ts";
import { plaidWebhookExamples } from "../simulator/support/plaid-schema.ts";
import { getItem } from "../../src/sync/items.ts";
import { markAll } from "../support/mark.ts";
import { startWorld } from "../support/world/index.ts";
import { subjects } from "../receiver/support.ts";

const examples = plaidWebhookExamples();
const nameOf = (one: Record<string, unknown>): string =>
  `${String(one["webhook_type"])}/${String(one["webhook_code"])}`;
const bytesOf = (body: unknown): Buffer => Buffer.from(JSON.stringify(body, null, 2));

describe("a webhook that needs no sync run", () => {
  test.skipIf(examples === null)(
    "the marker processes those of Plaid's example webhooks that touch nothing mirrored, and they make nothing due",
    async () => {
      await using world = await startWorld({ receiver: {} });
      for (const example of examples ?? [])
        expect(await world.receiver.plaid(bytesOf(example))).toMatchObject({ status: 200 });
      const due = await subjects(world.database);
      const stored = await world.receiver.webhooks();
      expect(stored.length).toBe(examples?.length);
      expect(stored.length).toBeGreaterThan(80);
      const waiting = stored.filter(({ processed_at }) => processed_at === null);
      expect(waiting.filter((one) => !changesMirror(null, one.webhook_type, one.webhook_code))).toEqual([]);
      for (const one of waiting) expect(one.item_id ?? one.webhook["institution_id"]).toEqual(expect.any(String));
      const processed = stored.filter((one) => !waiting.includes(one));
      expect(processed.length).toBeGreaterThan(50);
      for (const one of processed) {
        // Plaid's example of INITIAL_UPDATE lacks the item that the webhook is about.
        const outcome = changesMirror(null, one.webhook_type, one.webhook_code) ? "no_subject" : "no_resource";
        expect([nameOf(one.webhook), one.update_info]).toEqual([nameOf(one.webhook), { outcome }]);
      }
      const about = new Set(waiting.map((one) => one.item_id ?? one.webhook["institution_id"]));
      expect(new Set(due.map(({ id }) => id))).toEqual(about);
    },
  );

  test("webhooks of an unknown type, that are not JSON, or that name no subject need no sync run", async () => {
    await using world = await startWorld({ receiver: {} });
    const bodies: [Buffer, string][] = [
      [bytesOf({ webhook_type: "INVENTED", webhook_code: "LATELY", item_id: "item-1" }), "no_resource"],
      [Buffer.from("not json"), "no_resource"],
      [bytesOf({ webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE" }), "no_subject"],
      [bytesOf({ webhook_type: "INCOME", webhook_code: "INCOME_VERIFICATION", item_id: "item-1" }), "no_resource"],
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
