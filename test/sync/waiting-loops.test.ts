/** Page loops that have to wait: they give their worker to others and go on where they stopped. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PlaidError } from "../../src/plaid/errors.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { expectRowsEqualTruth } from "../support/oracle.ts";
import { ENDPOINT, limited, pages, loopTools } from "./loop-support.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const { finished, count, truthful, change, changed, pausedAfter, goOn, haunt } = loopTools(() => world);

describe("a loop that Plaid limits", () => {
  it("a loop of ten pages ends although only four are allowed in six hundred milliseconds, and requests no page twice", async () => {
    const item = await changed(4700);
    let [since, used] = [0, 0];
    const { cursors, clientFor } = pages(() => {
      if (Date.now() - since > 600) [since, used] = [Date.now(), 0];
      used += 1;
      return used > 4 ? limited() : null;
    });
    await finished({ clientFor });
    expect(cursors).toHaveLength(10);
    expect(new Set(cursors).size).toBe(10);
    await truthful(item);
  });

  it("a loop that waits for Plaid's limit releases its worker and its lease", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      lease_token: null,
      status: "retrying",
      claimed: ["transactions"],
      last_error: { error_code: "TRANSACTIONS_SYNC_LIMIT" },
    });
    expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([2, 1]);
    await goOn(item);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    expect(cursors).toHaveLength(2);
    await truthful(item);
  });

  it("a loop that continues after Plaid's limit requests nothing else", async () => {
    const [item] = world.integration.makeItems(1, 1700);
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    const asked = () => ["/item/get", "/accounts/get"].map((endpoint) => world.simulator.asked(endpoint));
    await pausedAfter(item, 2);
    const before = asked();
    await goOn(item);
    await finished({});
    expect(asked()).toEqual(before);
    await truthful(item);
  });
});

describe("backfills that wait for Tartan's own pace", () => {
  it("backfills that wait for Tartan's own rate limit leave the workers to other items", async () => {
    const [other, ...backfills] = [await world.sync.synced(3), await world.sync.synced(3), await world.sync.synced(3)];
    if (!other) throw new Error("no item");
    for (const item of backfills) await change(item, 3400);
    await world.database.query("delete from sync.rate_limits");
    // Five pages of an item at once, and one each twelve seconds afterwards.
    await using worker = await world.sync.start({ concurrency: 2, limitFactor: 0.2 });
    const areWaiting = async () => (await count("sync.loops")) === 2;
    await until("both backfills waiting", areWaiting);
    world.simulator.control.changeTransactions(other.item_id, { add: 2, webhooks: false });
    const uuid = await world.sync.notify(other.item_id);
    await until("the other item's sync", async () => (await world.sync.info(uuid)) !== null);
    expect(await areWaiting()).toBe(true);
    for (const { item_id } of backfills) expect(await world.sync.subject(item_id)).toMatchObject({ last_error: null });
    await worker[Symbol.asyncDispose]();
    await world.database.query("delete from sync.rate_limits");
    await world.sync.hurry();
    await finished({});
    for (const item of backfills) await truthful(item);
  });

  /** Loops of other items that wait, each with a page. */
  const fill = async (loops: number): Promise<void> => {
    await world.database.query(
      `with kept as (
        insert into sync.loops (integration_id, kind, id, resource, lease_token, next_cursor, pages, read_with, full_for, generation, waiting)
        select $1, 'item', 'waits_' || n, 'transactions', gen_random_uuid(), 'c', '[]', '', '{}', 1, '' from generate_series(1, $2::int) n
        returning lease_token
      ) insert into mirror.staged_pages (lease_token, resource, page, payload) select lease_token, 'transactions', 0, '{}' from kept`,
      [world.integration.id, loops],
    );
  };
  const empty = async (): Promise<void> => {
    await world.database.query("delete from mirror.staged_pages where payload = '{}'");
    await world.database.query("delete from sync.loops where id like 'waits_%'");
  };

  it("a backfill begins although many rows of loops remain whose pages are gone or too old", async () => {
    for (const spoil of [
      "truncate mirror.staged_pages",
      "update sync.loops set begun_at = now() - interval '25 hours'",
    ]) {
      await fill(200);
      await world.database.query(spoil);
      const [item] = world.integration.makeItems(1, 30);
      if (!item) throw new Error("no item");
      await world.integration.link(item);
      await finished({});
      await empty();
      await truthful(item);
    }
  });

  it("a backfill begins anew when Postgres lost all pages, although its own loop is among the most that may wait", async () => {
    const item = await world.sync.synced(1700);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await pausedAfter(item, 2);
    await fill(199);
    await world.database.query("truncate mirror.staged_pages");
    await goOn(item);
    await finished({});
    await empty();
    await truthful(item);
  });

  it("a backfill whose pages are lost while the most loops wait is discarded, and is complete later", async () => {
    const item = await world.sync.synced(1700);
    await haunt(item);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await pausedAfter(item, 2);
    await world.database.query("truncate mirror.staged_pages");
    await fill(200);
    await goOn(item);
    const worker = await world.sync.start();
    await until("the loop to be forgotten", async () => (await count("sync.loops")) === 200);
    await worker[Symbol.asyncDispose]();
    expect(await world.sync.subject(item.item_id)).toMatchObject({
      status: "retrying",
      claimed: ["transactions:full"],
    });
    await empty();
    await goOn(item);
    await finished({});
    await truthful(item, expectRowsEqualTruth);
  });

  it("a backfill does not begin while the most loops wait, and begins when one of them has ended", async () => {
    await fill(200);
    const [item] = world.integration.makeItems(1, 30);
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    const worker = await world.sync.start();
    await until("the wait", async () => (await world.sync.subject(item.item_id)).status === "retrying");
    await worker[Symbol.asyncDispose]();
    await world.database.query("delete from sync.loops where id = 'waits_1'");
    await goOn(item);
    await finished({});
    await empty();
    await truthful(item);
  });
});

describe("a page that fails for a moment", () => {
  it("a page that fails for a moment is requested again in place after any failure", async () => {
    for (const kind of ["server_error", "connection_cut"] as const) {
      const item = await changed(1700);
      const before = world.simulator.asked(ENDPOINT);
      const { cursors, clientFor } = pages(({ number }) => {
        if (number === 3) world.simulator.control.addFault({ kind, endpoint: ENDPOINT, count: 1 });
        return null;
      });
      await finished({ clientFor });
      expect(new Set(cursors).size, kind).toBe(4);
      expect(world.simulator.asked(ENDPOINT) - before, kind).toBe(5);
      const { rows } = await world.database.query(
        "select outcome from sync.runs where subject_id = $1 and outcome <> 'synced'",
        [item.item_id],
      );
      expect(rows, kind).toEqual([]);
      await truthful(item);
    }
  });

  it("a page that fails again and again ends the run, and the loop continues when the failure has passed", async () => {
    const item = await changed(1700);
    let down = true;
    const unreachable = new PlaidError({ errorType: "NETWORK", errorCode: "UNREACHABLE", httpStatus: null });
    const { cursors, clientFor } = pages(({ cursor }) =>
      down && cursors.length === 2 && !cursors.includes(cursor) ? unreachable : null,
    );
    await using worker = await world.sync.start({ clientFor });
    await until("two failed runs", async () => (await world.sync.subject(item.item_id)).attempts >= 2);
    expect(await world.sync.subject(item.item_id)).toMatchObject({ last_error: { error_code: "UNREACHABLE" } });
    down = false;
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(cursors).toHaveLength(4);
    await truthful(item);
  });
});
