/** Reads the events of an item for tests, and those that a run adds. */
import { expect } from "vitest";
import { Event } from "../../src/api/nouns/events/shapes.ts";
import type { Item, World } from "../support/world/index.ts";

export interface RecordedEvent {
  type: string;
  history: boolean;
  text: string;
  item_id: string | null;
  user_id: string | null;
  integration_id: string;
  environment: string;
  // each test checks its content
  data: Record<string, unknown>;
}

export interface EventReader {
  /** the events of an item in the order of the outbox, each of its promised shape; `since` leaves out as many of the first */
  eventsOf(itemId: string, since?: number): Promise<RecordedEvent[]>;
  /** lets a worker do what is due */
  work(): Promise<void>;
  /** changes the truth, lets a run find it, and returns the events of the run */
  change(item: Item, counts: Record<string, number>): Promise<RecordedEvent[]>;
  /** the events after a webhook */
  notifyAndWork(item: Item, code: string, type?: string): Promise<RecordedEvent[]>;
}

export const typesOf = (events: readonly RecordedEvent[]): string[] => events.map(({ type }) => type);

export function openEventReader(world: World<"sync">): EventReader {
  const eventsOf: EventReader["eventsOf"] = async (itemId, since = 0) => {
    const { rows } = await world.database.query<{ payload: Buffer }>(
      `select e.payload from events.outbox o, unnest(o.events) with ordinality named (id, n) join events.events e using (id)
       where e.item_id = $1 order by o.id, n`,
      [itemId],
    );
    return rows.slice(since).map(({ payload }) => {
      const text = payload.toString();
      const event = JSON.parse(text) as RecordedEvent;
      expect(Event.safeParse(event).error, event.type).toBeUndefined();
      return { ...event, text };
    });
  };
  const work = async (): Promise<void> => {
    const worker = await world.sync.start();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
  };
  const notifyAndWork: EventReader["notifyAndWork"] = async ({ item_id }, code, type = "ITEM") => {
    const before = (await eventsOf(item_id)).length;
    await world.sync.notify(item_id, code, type);
    await work();
    return await eventsOf(item_id, before);
  };
  return {
    eventsOf,
    work,
    notifyAndWork,
    change: async (item, counts) => {
      world.simulator.control.changeTransactions(item.item_id, { ...counts, webhooks: false });
      return await notifyAndWork(item, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS");
    },
  };
}
