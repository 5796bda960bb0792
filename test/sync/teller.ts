/** What the tests of events look at: what was told of an item, and what a run adds to that. */
import { expect } from "vitest";
import { Event } from "../../src/api/nouns/events/shapes.ts";
import type { Item, Scene } from "./support.ts";

export interface Told {
  type: string;
  history: boolean;
  text: string;
  item_id: string | null;
  user_id: string | null;
  integration_id: string;
  environment: string;
  // what it says is looked at by each test
  data: Record<string, unknown>;
}

export interface Teller {
  /** the events of an item in the order of the outbox, each of its promised shape; `since` leaves out as many of the first */
  told(itemId: string, since?: number): Promise<Told[]>;
  /** lets a worker do what is due */
  work(): Promise<void>;
  /** changes the truth, lets a run find it, and gives what was told of that */
  change(item: Item, wish: Record<string, number>): Promise<Told[]>;
  /** what is told after a webhook */
  hearAndWork(item: Item, code: string, type?: string): Promise<Told[]>;
}

export const typesOf = (events: readonly Told[]): string[] => events.map(({ type }) => type);

export function openTeller(scene: Scene): Teller {
  const told: Teller["told"] = async (itemId, since = 0) => {
    const { rows } = await scene.database.query<{ payload: Buffer }>(
      `select e.payload from events.outbox o, unnest(o.events) with ordinality named (id, n) join events.events e using (id)
       where e.item_id = $1 order by o.id, n`,
      [itemId],
    );
    return rows.slice(since).map(({ payload }) => {
      const text = payload.toString();
      const event = JSON.parse(text) as Told;
      expect(Event.safeParse(event).error, event.type).toBeUndefined();
      return { ...event, text };
    });
  };
  const work = async (): Promise<void> => {
    const worker = await scene.work();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
  };
  const hearAndWork: Teller["hearAndWork"] = async ({ item_id }, code, type = "ITEM") => {
    const before = (await told(item_id)).length;
    await scene.hear(item_id, code, type);
    await work();
    return await told(item_id, before);
  };
  return {
    told,
    work,
    hearAndWork,
    change: async (item, wish) => {
      scene.simulator.control.changeTransactions(item.item_id, { ...wish, webhooks: false });
      return await hearAndWork(item, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS");
    },
  };
}
