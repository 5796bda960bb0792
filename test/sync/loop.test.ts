/** The cursor's rules: what interrupts a loop, and that the mirror is right all the same. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient, type PlaidClient } from "../../src/plaid/client.ts";
import { systemClock } from "../../src/clock.ts";
import type { KnownIntegration } from "../../src/model/integration.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { openScene, until, type Item, type Scene } from "./support.ts";

const ENDPOINT = "/transactions/sync";

describe("a cursor's loop", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({ extraction: { initialMs: 60_000, historicalMs: 180_000 } });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const cursorOf = async ({ item_id }: Item): Promise<string | null> => {
    const { rows } = await scene.database.query<{ cursor: string | null }>(
      "select cursor from sync.cursors where id = $1 and resource = 'transactions'",
      [item_id],
    );
    return rows[0]?.cursor ?? null;
  };
  const staged = async (): Promise<number> => {
    const { rows } = await scene.database.query<{ count: number }>("select count(*) as count from mirror.staged_pages");
    return rows[0]?.count ?? -1;
  };
  /** Changes the truth in silence, then syncs. */
  const change = async ({ item_id }: Item, counts: Record<string, number>) => {
    scene.simulator.control.changeTransactions(item_id, { ...counts, webhooks: false });
    const worker = await scene.work();
    const uuid = await scene.notify(item_id);
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    return await scene.info(uuid);
  };
  const truthful = async ({ item_id }: Item) => {
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item_id);
    expect(await staged()).toBe(0);
  };

  it("a cursor loop reads a history of many pages, and afterwards only changes", async () => {
    const item = await scene.synced(2600);
    await truthful(item);
    const before = scene.asked(ENDPOINT);
    const info = await change(item, { add: 2, modify: 1, post_pending: 1 });
    expect(scene.asked(ENDPOINT) - before).toBe(1);
    expect(info?.outcome).toBe("synced");
    await truthful(item);
  });

  it("a cursor's loop starts over from its first cursor when the data changes between two pages", async () => {
    const item = await scene.synced(10);
    scene.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, count: 1 });
    const before = scene.asked(ENDPOINT);
    const info = await change(item, { add: 1400, remove: 3 });
    expect(scene.asked(ENDPOINT) - before).toBe(2 + 3);
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 1400, removed: 3 } } });
    await truthful(item);
  });

  it("a cursor's loop reads everything and removes what is gone when the mutation persists with the stored cursor", async () => {
    const item = await scene.synced(700);
    scene.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, stubborn: true, count: 6 });
    const info = await change(item, { add: 5, remove: 400 });
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 5, removed: 400 } } });
    await truthful(item);
  });

  it("a cursor loop drops its pages when the mutation persists, keeps the old cursor, and succeeds when it has ended", async () => {
    const item = await scene.synced(20);
    const cursor = await cursorOf(item);
    scene.simulator.control.changeTransactions(item.item_id, { add: 1200, webhooks: false });
    scene.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, stubborn: true });
    const worker = await scene.work();
    const uuid = await scene.notify(item.item_id);
    await until(async () => (await scene.subject(item.item_id)).attempts > 0);
    expect(await cursorOf(item)).toBe(cursor);
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "retrying" });
    expect(await scene.info(uuid)).toBeNull();
    scene.simulator.control.clearFaults();
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect((await scene.info(uuid))?.outcome).toBe("synced");
    await truthful(item);
  });

  it("a cursor loop discards a refused cursor, reads everything and removes what is gone, in the same run", async () => {
    const item = await scene.synced(600);
    scene.simulator.control.addFault({ kind: "cursor_invalid", item_id: item.item_id, count: 1 });
    const info = await change(item, { add: 1, remove: 300 });
    expect(info).toMatchObject({ outcome: "synced", counts: { transactions: { added: 1, removed: 300 } } });
    await truthful(item);
  });

  it("a cursor loop reads everything again on request, and finds nothing changed", async () => {
    const item = await scene.synced(800);
    await scene.database.query(
      "delete from plaid.transactions where item_id = $1 and transaction_id in (select max(transaction_id) from plaid.transactions where item_id = $1)",
      [item.item_id],
    );
    await scene.database.query(
      "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, 'ghost', '{}')",
      [scene.integrationId, item.item_id],
    );
    await scene.database.query(
      "update sync.subjects set requested = '{transactions:full}', due_at = now() where id = $1",
      [item.item_id],
    );
    const worker = await scene.work();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    const { rows } = await scene.database.query<{ summary: unknown }>(
      "select summary from sync.runs where subject_id = $1 order by id desc limit 1",
      [item.item_id],
    );
    expect(rows[0]?.summary).toMatchObject({ counts: { transactions: { added: 1, modified: 0, removed: 1 } } });
    await expectRowsEqualTruth(scene.database, scene.simulator, item.item_id);
  });

  it("an empty cursor does not count as progress, and the history is read once it is ready", async () => {
    const [item] = scene.makeItems(1, 40, { ready: false });
    if (!item) throw new Error("no item");
    await scene.link(item);
    const worker = await scene.work();
    await until(async () => (await scene.subject(item.item_id)).attempts >= 2);
    expect(await scene.subject(item.item_id)).toMatchObject({
      status: "waiting",
      last_error: { error_code: "PRODUCT_NOT_READY" },
      verified_at: null,
    });
    expect(await cursorOf(item)).toBeNull();
    const { rows } = await scene.database.query("select from plaid.current_accounts where item_id = $1", [
      item.item_id,
    ]);
    expect(rows.length).toBeGreaterThan(0);
    await scene.simulator.control.advanceClock({ advance_s: 600 });
    await scene.notify(item.item_id, "HISTORICAL_UPDATE");
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(await scene.subject(item.item_id)).toMatchObject({ status: "ok", claimed: [], attempts: 0 });
    await truthful(item);
  });

  it("a cursor's loop drops its pages when any page fails, and the next run has them all", async () => {
    const item = await scene.synced(10);
    for (const kind of ["server_error", "connection_cut", "rate_limit"] as const) {
      const cursor = await cursorOf(item);
      scene.simulator.control.changeTransactions(item.item_id, { add: 1100, remove: 2, webhooks: false });
      let pages = 0;
      const worker = await scene.work({
        clientFor: meddling(() => {
          pages += 1;
          if (pages === 2) scene.simulator.control.addFault({ kind, endpoint: ENDPOINT, count: 1 });
        }),
      });
      await scene.notify(item.item_id);
      await until(async () => pages > 2 || (await scene.subject(item.item_id)).attempts > 0);
      if (pages <= 2) expect(await cursorOf(item)).toBe(cursor);
      await worker.idle({ retries: true });
      await worker[Symbol.asyncDispose]();
      await truthful(item);
    }
  });

  it("a cursor's loop leaves nothing behind when its worker dies between two pages, and another starts it over", async () => {
    const item = await scene.synced(10);
    const cursor = await cursorOf(item);
    scene.simulator.control.changeTransactions(item.item_id, { add: 1700, remove: 4, webhooks: false });
    const doomed = await openDatabase({
      url: scene.databaseUrl,
      poolSize: 4,
      applicationName: "doomed",
      logger: silentLogger,
    });
    let pages = 0;
    const worker = await scene.work({
      database: doomed,
      leaseSeconds: 1,
      clientFor: meddling(async () => {
        pages += 1;
        if (pages === 3) await doomed[Symbol.asyncDispose]();
      }),
    });
    await scene.notify(item.item_id);
    await until(() => pages === 3);
    expect(await staged()).toBeGreaterThan(0);
    expect(await cursorOf(item)).toBe(cursor);
    expect((await scene.subject(item.item_id)).lease_token).not.toBeNull();
    const heir = await scene.work();
    await heir.idle({ retries: true });
    await heir[Symbol.asyncDispose]();
    await worker[Symbol.asyncDispose]();
    await truthful(item);
  });

  it("a cursor loop starts over when a crash of Postgres between two pages emptied its staged pages", async () => {
    const item = await scene.synced(10);
    scene.simulator.control.changeTransactions(item.item_id, { add: 1700, remove: 4, webhooks: false });
    let pages = 0;
    const worker = await scene.work({
      clientFor: meddling(async () => {
        pages += 1;
        if (pages !== 4) return;
        await until(async () => (await staged()) === 3);
        await scene.database.query("truncate mirror.staged_pages");
      }),
    });
    await scene.notify(item.item_id);
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
