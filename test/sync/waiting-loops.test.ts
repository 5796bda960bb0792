/** Page loops that have to wait: they give their worker to others and go on where they stopped. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import { adoptStaged, stagePage } from "../../src/mirror/stage.ts";
import { claim, giveBack } from "../../src/sync/queue.ts";
import { requestSync } from "../../src/sync/queries.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { gated, openScene, until, type Item, type Scene } from "./support.ts";

const ENDPOINT = "/transactions/sync";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

const limited = (code = "TRANSACTIONS_SYNC_LIMIT"): PlaidError =>
  new PlaidError({ errorType: "RATE_LIMIT_EXCEEDED", errorCode: code, httpStatus: 429, retryAfterSeconds: 0.05 });

interface Turn {
  cursor: string;
  /** of all requests for pages, from 1 */
  number: number;
}
/** Clients that ask `refuse` ahead of each request for a page what goes wrong with it, and note the cursors that got through. */
function pages(refuse: (turn: Turn) => Error | null) {
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
const refusingAfter = (count: number, error = limited()) =>
  pages(({ number }) => (number === count + 1 ? error : null));

const finished = async (options: Partial<SyncOptions>): Promise<void> => {
  const worker = await scene.work(options);
  await worker.idle({ retries: true });
  await worker[Symbol.asyncDispose]();
};
const count = async (table: string): Promise<number> =>
  (await scene.database.query<{ count: number }>(`select count(*) as count from ${table}`)).rows[0]?.count ?? -1;
/** Of the ghost no event told; so only the rows are compared where one was. */
const truthful = async ({ item_id }: Item, equal = expectMirrorEqualsTruth): Promise<void> => {
  await equal(scene.database, scene.simulator, item_id);
  expect([await count("sync.staged_pages"), await count("sync.loops")]).toEqual([0, 0]);
};
/** So many silent changes, one page for 500, and a webhook. */
async function change(item: Item, add: number): Promise<void> {
  scene.simulator.control.changeTransactions(item.item_id, { add, webhooks: false });
  await scene.hear(item.item_id);
}
async function changed(add: number): Promise<Item> {
  const item = await scene.synced(10);
  await change(item, add);
  return item;
}
/** A worker that stops for good where the loop has to wait, in an hour. */
async function pausedAfter(item: Item, count: number): Promise<void> {
  const hour = { retryMs: 3_600_000, retryMaxMs: 3_600_000 };
  const worker = await scene.work({ delays: hour, clientFor: refusingAfter(count).clientFor });
  await until(async () => (await scene.subject(item.item_id)).attempts > 0, "the wait");
  await worker[Symbol.asyncDispose]();
}
const goOn = async (item: Item): Promise<void> => {
  await scene.database.query("delete from sync.rate_limits");
  await scene.database.query("update sync.subjects set due_at = now(), not_before = null where id = $1", [
    item.item_id,
  ]);
};
/** A row that Plaid does not have, in the place of one that it has: only a reading of everything notices. */
const haunt = async ({ item_id }: Item): Promise<void> => {
  await scene.database.query(
    "delete from plaid.transactions where item_id = $1 and transaction_id in (select max(transaction_id) from plaid.transactions where item_id = $1)",
    [item_id],
  );
  await scene.database.query(
    "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, 'ghost', '{}')",
    [scene.integrationId, item_id],
  );
};

describe("a loop that Plaid limits", () => {
  it("of ten pages ends although only four are allowed in six hundred milliseconds, and asks for no page twice", async () => {
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

  it("gives its worker back while it waits, and its lease", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    expect(await scene.subject(item.item_id)).toMatchObject({
      lease_token: null,
      status: "retrying",
      taken: ["transactions"],
      last_error: { error_code: "TRANSACTIONS_SYNC_LIMIT" },
    });
    expect([await count("sync.staged_pages"), await count("sync.loops")]).toEqual([2, 1]);
    await goOn(item);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    expect(cursors).toHaveLength(2);
    await truthful(item);
  });

  it("asks for nothing else when it goes on", async () => {
    const [item] = scene.makeItems(1, 1700);
    if (!item) throw new Error("no item");
    await scene.link(item);
    const asked = () => ["/item/get", "/accounts/get"].map((endpoint) => scene.asked(endpoint));
    await pausedAfter(item, 2);
    const before = asked();
    await goOn(item);
    await finished({});
    expect(asked()).toEqual(before);
    await truthful(item);
  });
});

describe("backfills that wait for Tartan's own pace", () => {
  it("leave the workers to other items", async () => {
    const [other, ...backfills] = [await scene.synced(3), await scene.synced(3), await scene.synced(3)];
    if (!other) throw new Error("no item");
    for (const item of backfills) await change(item, 3400);
    await scene.database.query("delete from sync.rate_limits");
    // Five pages of an item at once, and one each twelve seconds afterwards.
    await using worker = await scene.work({ concurrency: 2, limitFactor: 0.2 });
    const areWaiting = async () => (await count("sync.loops")) === 2;
    await until(areWaiting, "both backfills waiting");
    scene.simulator.control.changeTransactions(other.item_id, { add: 2, webhooks: false });
    const uuid = await scene.hear(other.item_id);
    await until(async () => (await scene.info(uuid)) !== null, "the other item's sync");
    expect(await areWaiting()).toBe(true);
    for (const { item_id } of backfills) expect(await scene.subject(item_id)).toMatchObject({ last_error: null });
    await worker[Symbol.asyncDispose]();
    await scene.database.query("delete from sync.rate_limits");
    await scene.hurry();
    await finished({});
    for (const item of backfills) await truthful(item);
  });

  it("do not begin while as many wait as may, and begin when one of them has ended", async () => {
    await scene.database.query(
      "insert into sync.loops (integration_id, kind, id, resource, lease_token, next_cursor, pages, read_with, full_for, generation) select $1, 'item', 'waits_' || n, 'transactions', gen_random_uuid(), 'c', '[]', '', '{}', 1 from generate_series(1, 200) n",
      [scene.integrationId],
    );
    const [item] = scene.makeItems(1, 30);
    if (!item) throw new Error("no item");
    await scene.link(item);
    const worker = await scene.work();
    await until(async () => (await scene.subject(item.item_id)).status === "retrying", "the wait");
    await worker[Symbol.asyncDispose]();
    await scene.database.query("delete from sync.loops where id = 'waits_1'");
    await goOn(item);
    await finished({});
    await scene.database.query("delete from sync.loops");
    await truthful(item);
  });
});

describe("a page that fails for a moment", () => {
  it("is asked for again in place, whatever failed", async () => {
    for (const kind of ["server_error", "connection_cut"] as const) {
      const item = await changed(1700);
      const before = scene.asked(ENDPOINT);
      const { cursors, clientFor } = pages(({ number }) => {
        if (number === 3) scene.simulator.control.addFault({ kind, endpoint: ENDPOINT, count: 1 });
        return null;
      });
      await finished({ clientFor });
      expect(new Set(cursors).size, kind).toBe(4);
      expect(scene.asked(ENDPOINT) - before, kind).toBe(5);
      expect((await scene.subject(item.item_id)).attempts).toBe(0);
      await truthful(item);
    }
  });

  it("again and again ends the run, and the loop goes on when it passes", async () => {
    const item = await changed(1700);
    let down = true;
    const unreachable = new PlaidError({ errorType: "NETWORK", errorCode: "UNREACHABLE", httpStatus: null });
    const { cursors, clientFor } = pages(({ cursor }) =>
      down && cursors.length === 2 && !cursors.includes(cursor) ? unreachable : null,
    );
    await using worker = await scene.work({ clientFor });
    await until(async () => (await scene.subject(item.item_id)).attempts >= 2, "two failed runs");
    expect(await scene.subject(item.item_id)).toMatchObject({ last_error: { error_code: "UNREACHABLE" } });
    down = false;
    await worker.idle({ retries: true });
    await worker[Symbol.asyncDispose]();
    expect(cursors).toHaveLength(4);
    await truthful(item);
  });
});

describe("a loop that waited starts over", () => {
  const startsOver = async (item: Item, expected = 4, equal = expectMirrorEqualsTruth): Promise<void> => {
    await goOn(item);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    expect(cursors).toHaveLength(expected);
    await truthful(item, equal);
  };

  it("when Postgres lost its pages", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await scene.database.query("truncate sync.staged_pages");
    await startsOver(item);
  });

  it("when one of its pages is missing", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await scene.database.query("delete from sync.staged_pages where page = 0");
    await startsOver(item);
  });

  it("when its pages are too old", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await scene.database.query("update sync.loops set begun_at = now() - interval '25 hours'");
    await startsOver(item);
  });

  it("when the data changed meanwhile, from its first cursor", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    scene.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, count: 1 });
    await startsOver(item, 5);
  });

  it("when everything is asked for, and then removes what is gone", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await haunt(item);
    await requestSync(scene.database, item.item_id, { resources: ["transactions"], full: true });
    await startsOver(item, 4, expectRowsEqualTruth);
  });

  it("when a webhook comes after which everything is read again", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await haunt(item);
    await scene.hear(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM");
    await startsOver(item, 4, expectRowsEqualTruth);
  });
});

describe("a reading of everything that has to wait", () => {
  it("goes on as one, whether it was wished for or a webhook asked for it", async () => {
    for (const ask of [
      (item: Item) => requestSync(scene.database, item.item_id, { resources: ["transactions"], full: true }),
      (item: Item) => scene.hear(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM"),
    ]) {
      const item = await scene.synced(1700);
      await haunt(item);
      await ask(item);
      await pausedAfter(item, 2);
      await goOn(item);
      const { cursors, clientFor } = pages(() => null);
      await finished({ clientFor });
      expect(cursors).toHaveLength(2);
      await truthful(item, expectRowsEqualTruth);
    }
  });

  it("stays one when its pages are lost", async () => {
    const item = await scene.synced(1700);
    await haunt(item);
    await requestSync(scene.database, item.item_id, { resources: ["transactions"], full: true });
    await pausedAfter(item, 2);
    await scene.database.query("truncate sync.staged_pages");
    await goOn(item);
    await finished({});
    await truthful(item, expectRowsEqualTruth);
  });
});

describe("pages that are taken over", () => {
  it("go to the holder of the lease alone, and only all of them", async () => {
    const item = await changed(10);
    const [first] = await claim(scene.database, "", 1, 60);
    if (!first) throw new Error("nothing was claimed");
    const scope = (leaseToken: string) => ({
      integrationId: first.integrationId,
      kind: "item",
      subjectId: item.item_id,
      leaseToken,
      facts: { user_id: null },
    });
    for (const page of [0, 1, 2]) await stagePage(scene.database, scope(first.leaseToken), "transactions", page, "{}");
    await giveBack(scene.database, first);
    const [second] = await claim(scene.database, "", 1, 60);
    if (!second) throw new Error("nothing was claimed again");
    const late = scope("00000000-0000-4000-8000-000000000000");
    const wish = { resource: "transactions", from: first.leaseToken, pages: 2 };
    await scene.database
      .transaction(async (tx) => {
        expect(await adoptStaged(tx, late, wish)).toBe(false);
        throw new Error("roll back");
      })
      .catch(() => undefined);
    expect(await adoptStaged(scene.database, scope(second.leaseToken), wish)).toBe(true);
    const { rows } = await scene.database.query("select page, lease_token from sync.staged_pages order by page");
    expect(rows).toEqual([0, 1].map((page) => ({ page, lease_token: second.leaseToken })));
    await scene.database.query("delete from sync.staged_pages");
    await giveBack(scene.database, second);
    await finished({});
  });

  it("are still there when the worker that went on with them dies", async () => {
    const item = await changed(2700);
    await pausedAfter(item, 2);
    await goOn(item);
    const doomed = await openDatabase({
      url: scene.databaseUrl,
      poolSize: 4,
      applicationName: "doomed",
      logger: silentLogger,
    });
    let asked = 0;
    const dying = await scene.work({
      database: doomed,
      leaseSeconds: 1,
      clientFor: gated(async (_path, _body, pass) => {
        asked += 1;
        if (asked === 3) await doomed[Symbol.asyncDispose]();
        await pass();
      }),
    });
    await until(() => asked === 3);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    await dying[Symbol.asyncDispose]();
    expect(cursors).toHaveLength(4);
    await truthful(item);
  });
});
