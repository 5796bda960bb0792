/** A reading from the start removes rows only when Plaid says that it has all of the history. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (clientFor?: SyncOptions["clientFor"]): Promise<void> => {
  const worker = await world.sync.start({ ...(clientFor && { clientFor }), delays: { notReadyMs: 600_000 } });
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};
const currentRows = async ({ item_id }: Item): Promise<number> =>
  (await world.database.query("select from plaid.current_transactions where item_id = $1", [item_id])).rows.length;
const verifiedAt = async ({ item_id }: Item): Promise<unknown> =>
  (
    await world.database.query<{ verified_at: Date | null }>(
      "select verified_at from plaid.freshness where item_id = $1 and resource = 'transactions'",
      [item_id],
    )
  ).rows[0]?.verified_at;

/** /transactions/sync answers with these members instead of Plaid's own. */
const answering = (more: Record<string, unknown>): SyncOptions["clientFor"] => {
  const real = gated((_path, _body, pass) => pass());
  return (integration) => {
    const client = real(integration);
    return {
      ...client,
      post: async (path, body, signal) => {
        const answer = await client.post(path, body, signal);
        if (path !== "/transactions/sync") return answer;
        return { ...answer, text: JSON.stringify({ ...(JSON.parse(answer.text) as object), ...more }) };
      },
    };
  };
};
const EMPTY = { added: [], modified: [], removed: [], next_cursor: "a-cursor", has_more: false };

describe("a reading from the start", () => {
  for (const [status, cursor] of [
    ["NOT_READY", "a-cursor"],
    ["NOT_READY", ""],
    ["INITIAL_UPDATE_COMPLETE", ""],
    ["INITIAL_UPDATE_COMPLETE", "a-cursor"],
    ["TRANSACTIONS_UPDATE_STATUS_UNKNOWN", "a-cursor"],
  ]) {
    it(`an empty reading from the start with status ${status} and cursor "${cursor}" removes nothing, and everything is read again later`, async () => {
      const item = await world.sync.synced(15);
      const before = await verifiedAt(item);
      await requestSync(world.database, item.item_id, { full: true });
      await run(answering({ ...EMPTY, next_cursor: cursor, transactions_update_status: status }));
      expect(await currentRows(item)).toBe(15);
      const subject = await world.sync.subject(item.item_id);
      expect(subject).toMatchObject({ status: "waiting", claimed: ["transactions:full"] });
      expect(subject.due_at?.getTime()).toBeGreaterThan(Date.now());
      expect(await verifiedAt(item)).toEqual(before);
      world.simulator.control.changeTransactions(item.item_id, { add: 2, remove: 3, webhooks: false });
      await world.sync.notify(item.item_id, "HISTORICAL_UPDATE");
      await run();
      expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [] });
      expect(await currentRows(item)).toBe(14);
      await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    });
  }

  it("an empty reading from the start removes everything when Plaid says that the history is complete", async () => {
    const item = await world.sync.synced(5);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await run(answering({ ...EMPTY, transactions_update_status: "HISTORICAL_UPDATE_COMPLETE" }));
    expect(await currentRows(item)).toBe(0);
  });
});
