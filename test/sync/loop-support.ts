/** What the tests of page loops that have to wait share. */
import { expect } from "vitest";
import { PlaidError } from "../../src/plaid/errors.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { until } from "../support/until.ts";
import type { Item, World } from "../support/world/index.ts";
import { gated } from "./support.ts";

export const ENDPOINT = "/transactions/sync";

export const limited = (code = "TRANSACTIONS_SYNC_LIMIT"): PlaidError =>
  new PlaidError({ errorType: "RATE_LIMIT_EXCEEDED", errorCode: code, httpStatus: 429, retryAfterSeconds: 0.05 });

interface Turn {
  cursor: string;
  /** of all requests for pages, from 1 */
  number: number;
}
/** Clients that ask `refuse` ahead of each request for a page what goes wrong with it, and note the cursors that got through. */
export function pages(refuse: (turn: Turn) => Error | null) {
  const cursors: string[] = [];
  let number = 0;
  const clientFor = gated(async (path, body, pass) => {
    if (path === ENDPOINT) {
      const { cursor = "" } = body as { cursor?: string };
      number += 1;
      const error = refuse({ cursor, number });
      if (error) throw error;
      cursors.push(cursor);
    }
    await pass();
  });
  return { cursors, clientFor };
}
/** Refuses the request after so many pages, once. */
export const refusingAfter = (count: number, error = limited()) =>
  pages(({ number }) => (number === count + 1 ? error : null));

/** On the world as it is when they are called. */
export function loopTools(world: () => World<"sync">) {
  const finished = async (options: Partial<SyncOptions>): Promise<void> => {
    const worker = await world().sync.start(options);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
  };
  const count = async (table: string): Promise<number> =>
    (await world().database.query<{ count: number }>(`select count(*) as count from ${table}`)).rows[0]?.count ?? -1;
  /** No event mentions the ghost row, so only the rows are compared where there was one. */
  const truthful = async ({ item_id }: Item, equal = expectMirrorEqualsTruth): Promise<void> => {
    await equal(world().database, world().simulator, item_id);
    expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([0, 0]);
  };
  /** So many silent changes, one page for 500, and a webhook. */
  async function change(item: Item, add: number): Promise<void> {
    world().simulator.control.changeTransactions(item.item_id, { add, webhooks: false });
    await world().sync.notify(item.item_id);
  }
  async function changed(add: number): Promise<Item> {
    const item = await world().sync.synced(10);
    await change(item, add);
    return item;
  }
  /** A worker that stops for good where the loop has to wait, in an hour. */
  async function pausedAfter(item: Item, count: number): Promise<void> {
    const hour = { retryMs: 3_600_000, retryMaxMs: 3_600_000 };
    const worker = await world().sync.start({ delays: hour, clientFor: refusingAfter(count).clientFor });
    await until("the wait", async () => (await world().sync.subject(item.item_id)).attempts > 0);
    await worker[Symbol.asyncDispose]();
  }
  const goOn = async (item: Item): Promise<void> => {
    await world().database.query("delete from sync.rate_limits");
    await world().database.query("update sync.subjects set due_at = now(), not_before = null where id = $1", [
      item.item_id,
    ]);
  };
  /** A row that Plaid does not have, in the place of one that it has: only a reading of everything notices. */
  const haunt = async ({ item_id }: Item): Promise<void> => {
    await world().database.query(
      "delete from plaid.transactions where item_id = $1 and transaction_id in (select max(transaction_id) from plaid.transactions where item_id = $1)",
      [item_id],
    );
    await world().database.query(
      "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, 'ghost', '{}')",
      [world().integration.id, item_id],
    );
  };
  return { finished, count, truthful, change, changed, pausedAfter, goOn, haunt };
}
