/** The cursor's rules: what interrupts a loop, and that the mirror is right all the same. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient, type PlaidClient } from "../../src/plaid/client.ts";
import { systemClock } from "../../src/clock.ts";
import type { KnownIntegration } from "../../src/model/integration.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

const ENDPOINT = "/transactions/sync";

describe("a cursor's loop", () => {
  let world: World<"sync">;
  beforeAll(async () => {
    world = await startWorld({ simulator: { extraction: { initialMs: 60_000, historicalMs: 180_000 } }, sync: {} });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const cursorOf = async ({ item_id }: Item): Promise<string | null> => {
    const { rows } = await world.database.query<{ cursor: string | null }>(
      "select cursor from sync.cursors where id = $1 and resource = 'transactions'",
      [item_id],
    );
    return rows[0]?.cursor ?? null;
  };
  const staged = async (): Promise<number> => {
    const { rows } = await world.database.query<{ count: number }>("select count(*) as count from mirror.staged_pages");
    return rows[0]?.count ?? -1;
  };
  /** Changes the truth in silence, then syncs. */
  const change = async ({ item_id }: Item, counts: Record<string, number>) => {
    world.simulator.control.changeTransactions(item_id, { ...counts, webhooks: false });
    const worker = await world.sync.start();
    const uuid = await world.sync.notify(item_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    return await world.sync.info(uuid);
  };
  const truthful = async ({ item_id }: Item) => {
    await expectMirrorEqualsTruth(world.database, world.simulator, item_id);
    expect(await staged()).toBe(0);
  };

  it("a cursor loop reads a history of many pages, and afterwards only changes", async () => {
    const item = await world.sync.synced(2600);
    await truthful(item);
    const before = world.simulator.asked(ENDPOINT);
    const info = await change(item, { add: 2, modify: 1, post_pending: 1 });
    expect(world.simulator.asked(ENDPOINT) - before).toBe(1);
    expect(info?.outcome).toBe("synced");
    await truthful(item);
  });

  it("a cursor's loop starts over from its first cursor when the data changes between two pages", async () => {
    const item = await world.sync.synced(10);
    world.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, count: 1 });
    const before = world.simulator.asked(ENDPOINT);
    const info = await change(item, { add: 1400, remove: 3 });
    expect(world.simulator.asked(ENDPOINT) - before).toBe(2 + 3);
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 1400, removed: 3 } } });
    await truthful(item);
  });

  it("a cursor's loop reads everything and removes what is gone when the mutation persists with the stored cursor", async () => {
    const item = await world.sync.synced(700);
    world.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, stubborn: true, count: 6 });
    const info = await change(item, { add: 5, remove: 400 });
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 5, removed: 400 } } });
    await truthful(item);
  });

  it("a cursor loop drops its pages when the mutation persists, keeps the old cursor, and succeeds when it has ended", async () => {
    const item = await world.sync.synced(20);
    const cursor = await cursorOf(item);
    world.simulator.control.changeTransactions(item.item_id, { add: 1200, webhooks: false });
    world.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, stubborn: true });
    const worker = await world.sync.start();
    const uuid = await world.sync.notify(item.item_id);
    await until("an attempt", async () => (await world.sync.subject(item.item_id)).attempts > 0);
    expect(await cursorOf(item)).toBe(cursor);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "retrying" });
    expect(await world.sync.info(uuid)).toBeNull();
    world.simulator.control.clearFaults();
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect((await world.sync.info(uuid))?.outcome).toBe("synced");
    await truthful(item);
  });

  it("a cursor loop discards a refused cursor, reads everything and removes what is gone, in the same run", async () => {
    const item = await world.sync.synced(600);
    world.simulator.control.addFault({ kind: "cursor_invalid", item_id: item.item_id, count: 1 });
    const info = await change(item, { add: 1, remove: 300 });
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 1, removed: 300 } } });
    await truthful(item);
  });

  it("a cursor loop reads everything again on request, and finds nothing changed", async () => {
    const item = await world.sync.synced(800);
    await world.database.query(
      "delete from plaid.transactions where item_id = $1 and transaction_id in (select max(transaction_id) from plaid.transactions where item_id = $1)",
      [item.item_id],
    );
    await world.database.query(
      "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, 'ghost', '{}')",
      [world.integration.id, item.item_id],
    );
    await world.database.query(
      "update sync.subjects set requested = '{transactions:full}', due_at = now() where id = $1",
      [item.item_id],
    );
    const worker = await world.sync.start();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    const { rows } = await world.database.query<{ summary: unknown }>(
      "select summary from sync.runs where subject_id = $1 order by id desc limit 1",
      [item.item_id],
    );
    expect(rows[0]?.summary).toMatchObject({ counts: { transactions: { added: 1, modified: 0, removed: 1 } } });
    await expectRowsEqualTruth(world.database, world.simulator, item.item_id);
  });

  it("an empty cursor does not count as progress, and the history is read once it is ready", async () => {
    const [item] = world.integration.makeItems(1, 40, { ready: false });
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    const worker = await world.sync.start();
    await until("the second attempt", async () => (await world.sync.subject(item.item_id)).attempts >= 2);
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "waiting",
      last_error: { error_code: "PRODUCT_NOT_READY" },
      verified_at: null,
    });
    expect(await cursorOf(item)).toBeNull();
    const { rows } = await world.database.query("select from plaid.current_accounts where item_id = $1", [
      item.item_id,
    ]);
    expect(rows.length).toBeGreaterThan(0);
    await world.simulator.control.advanceClock({ advance_s: 600 });
    await world.sync.notify(item.item_id, "HISTORICAL_UPDATE");
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [], attempts: 0 });
    await truthful(item);
  });

  it("a cursor's loop drops its pages when any page fails, and the next run has them all", async () => {
    const item = await world.sync.synced(10);
    for (const kind of ["server_error", "connection_cut", "rate_limit"] as const) {
      const cursor = await cursorOf(item);
      world.simulator.control.changeTransactions(item.item_id, { add: 1100, remove: 2, webhooks: false });
      let pages = 0;
      const worker = await world.sync.start({
        clientFor: meddling(() => {
          pages += 1;
          if (pages === 2) world.simulator.control.addFault({ kind, endpoint: ENDPOINT, count: 1 });
        }),
      });
      await world.sync.notify(item.item_id);
      await until(
        "a third page or a refused attempt",
        async () => pages > 2 || (await world.sync.subject(item.item_id)).attempts > 0,
      );
      if (pages <= 2) expect(await cursorOf(item)).toBe(cursor);
      await worker.idle({ retries: true });
      await worker[Symbol.asyncDispose]();
      await truthful(item);
    }
  });

  it("a cursor's loop leaves nothing behind when its worker dies between two pages, and another starts it over", async () => {
    const item = await world.sync.synced(10);
    const cursor = await cursorOf(item);
    world.simulator.control.changeTransactions(item.item_id, { add: 1700, remove: 4, webhooks: false });
    const doomed = await openDatabase({
      url: world.databaseUrl,
      poolSize: 4,
      applicationName: "doomed",
      logger: silentLogger,
    });
    let pages = 0;
    const worker = await world.sync.start({
      database: doomed,
      leaseSeconds: 1,
      clientFor: meddling(async () => {
        pages += 1;
        if (pages === 3) await doomed[Symbol.asyncDispose]();
      }),
    });
    await world.sync.notify(item.item_id);
    await until("the third page", () => pages === 3);
    expect(await staged()).toBeGreaterThan(0);
    expect(await cursorOf(item)).toBe(cursor);
    expect((await world.sync.subject(item.item_id)).lease_token).not.toBeNull();
    const heir = await world.sync.start();
    await heir.idle({ retries: true });
    await heir[Symbol.asyncDispose]();
    await worker[Symbol.asyncDispose]();
    await truthful(item);
  });

  it("a cursor loop starts over when a crash of Postgres between two pages emptied its staged pages", async () => {
    const item = await world.sync.synced(10);
    world.simulator.control.changeTransactions(item.item_id, { add: 1700, remove: 4, webhooks: false });
    let pages = 0;
    const worker = await world.sync.start({
      clientFor: meddling(async () => {
        pages += 1;
        if (pages !== 4) return;
        await until("the staging of three pages", async () => (await staged()) === 3);
        await world.database.query("truncate mirror.staged_pages");
      }),
    });
    await world.sync.notify(item.item_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(pages).toBe(8);
    await truthful(item);
  });

  /** Clients that call `before` ahead of each request for a page. */
  function meddling(before: () => void | Promise<void>): (integration: KnownIntegration) => PlaidClient {
    return ({ plaidUrl, clientId, secret }) => {
      const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });
      return {
        ...client,
        post: async (path, body, signal) => {
          if (path === ENDPOINT) await before();
          return await client.post(path, body, signal);
        },
      };
    };
  }
});
