/** What the tests of notices share: webhooks that arrive, runs, and what an item's notices and events are afterwards. */
import { append } from "../../src/journal/append.ts";
import { repaired } from "../../src/sync/notices.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import type { Item, World } from "../support/world/index.ts";
import type { EventReader, RecordedEvent } from "./event-reader.ts";
import { answering } from "./support.ts";

export const clearedIn = (events: readonly RecordedEvent[]): unknown[] =>
  events.filter(({ type }) => type === "item.notice_cleared").map(({ data }) => [data["kind"], data["by"]]);

/** On the world as it is when they are called. */
export function noticeTools(world: () => World<"sync">, reader: () => EventReader) {
  let said: Record<string, unknown> = {};
  const work = async (options: Partial<SyncOptions>): Promise<void> => {
    const worker = await world().sync.start({
      // A test says when a failure is tried again.
      delays: { retryMs: 600_000, retryMaxMs: 600_000, notReadyMs: 600_000 },
      ...options,
    });
    await worker.idle();
    await worker[Symbol.asyncDispose]();
  };
  const run = (): Promise<void> =>
    work({
      clientFor: answering("/item/get", (page) => ({ ...page, item: { ...(page["item"] as object), ...said } })),
    });
  const noticesOf = async ({ item_id }: Item): Promise<Record<string, unknown>[]> =>
    (
      await world().database.query<Record<string, unknown>>(
        "select kind, since, until, product, account_id from plaid.item_notices where item_id = $1 order by kind",
        [item_id],
      )
    ).rows;
  return {
    /** Plaid's answers of /item/get have these fields of the item from now on */
    say: (fields: Record<string, unknown>): void => void (said = fields),
    work,
    run,
    /** what a webhook, or its absence, leads to */
    after: async ({ item_id }: Item, doing: () => Promise<unknown>): Promise<RecordedEvent[]> => {
      const before = (await reader().eventsOf(item_id)).length;
      await doing();
      await run();
      return await reader().eventsOf(item_id, before);
    },
    arrives: async (
      { item_id }: Item,
      webhookCode: string,
      fields: object = {},
      webhookType = "ITEM",
    ): Promise<void> => {
      const body = Buffer.from(JSON.stringify(fields));
      const integrationId = world().integration.id;
      await append(world().database, [webhook({ integrationId, itemId: item_id, webhookType, webhookCode, body })]);
      await markAll(world().database);
    },
    noticesOf,
    kindsOf: async (item: Item): Promise<unknown[]> => (await noticesOf(item)).map(({ kind }) => kind),
    inDays: (days: number): Date => new Date(Date.now() + days * 86_400_000),
    finishesLink: ({ item_id: itemId }: Item) =>
      world().database.transaction((tx) => repaired(tx, { integrationId: world().integration.id, itemId })),
  };
}
