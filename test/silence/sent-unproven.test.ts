/** Plaid's list of sent webhooks, beside webhooks that wait unproven. */
import { expect, it } from "vitest";
import { settleSome, type Judgement } from "../../src/journal/settle.ts";
import { keepUnproven } from "../../src/journal/unproven.ts";
import type { UnprovenWebhook } from "../../src/model/intake.ts";
import { webhookBody } from "../support/plaid-signer.ts";
import { unprovenWebhook, webhook } from "../support/webhook.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";
import { openLists, readLists } from "./support.ts";

async function drained(world: World<"sync" | "api">): Promise<void> {
  await world.simulator.control.idle();
  await using worker = await world.sync.start();
  await worker.idle();
}

it("a webhook that waits unproven is not journaled from Plaid's list: once it is proven the list says that it was received, and once it is refused it is recovered", async () => {
  await using world = await startWorld({ sync: {}, api: {} });
  const lists = await openLists(world);
  const read = (): Promise<void> => readLists(world, lists);
  const drain = () => drained(world);
  const sentOf = async ({ item_id }: Item): Promise<Json[]> =>
    (await world.api.call(`GET /v1/plaid-deliveries?item_id=${item_id}`)).body.data;
  const journaled = async ({ item_id }: Item) =>
    (
      await world.database.query("select source, id from journal.webhooks where item_id = $1 and source <> 'BACKEND'", [
        item_id,
      ])
    ).rows;
  const [proven, forged] = world.integration.makeItemsFor(world.api, 2, 20) as [Item, Item];
  for (const item of [proven, forged]) await world.integration.link(item);
  await drain();
  await world.database.query("update tartan.items set linked_at = linked_at - interval '1 minute'");
  const kept = [proven, forged].map(({ item_id }) => {
    world.simulator.control.addFault({ kind: "drop_webhooks", item_id, count: 1 });
    const about = { item_id, webhook_type: "ITEM", webhook_code: "NEW_ACCOUNTS_AVAILABLE" };
    world.simulator.control.sendWebhook(about);
    return unprovenWebhook({ integrationId: world.integration.id, body: webhookBody(about), keyId: item_id });
  });
  await world.database.transaction((tx) => keepUnproven(tx, kept, null));
  await drain();
  await read();
  for (const item of [proven, forged]) {
    expect(await sentOf(item)).toMatchObject([{ status: "FAILED", outcome: "open" }]);
    expect(await journaled(item)).toEqual([]);
  }
  const settle = async ({ item_id }: Item, judgement: Judgement) => {
    const key = { integrationId: world.integration.id, keyId: item_id };
    await settleSome(world.database, key, async () => judgement);
  };
  const [one] = kept as [UnprovenWebhook, UnprovenWebhook];
  const { id, integrationId, body, jwt, tokenSha256, keyId, claimedAt: signedAt, receivedAt } = one;
  const codes = { webhookType: "ITEM", webhookCode: "NEW_ACCOUNTS_AVAILABLE", itemId: proven.item_id };
  const proof = { jwt, tokenSha256, keyId, signedAt };
  await settle(proven, { proven: webhook({ id, integrationId, body, receivedAt, ...codes, proof }) });
  await settle(forged, { refused: "signature_invalid", detail: "It is." });
  await read();
  await read();
  expect(await sentOf(proven)).toMatchObject([{ outcome: "received" }]);
  expect(await journaled(proven)).toMatchObject([{ source: "PLAID", id }]);
  expect(await sentOf(forged)).toMatchObject([{ outcome: "recovered" }]);
  expect(await journaled(forged)).toMatchObject([{ source: "RECONCILER" }]);
});
