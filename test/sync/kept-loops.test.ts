/** What a page loop that had to wait goes on with: its own pages, or its first cursor. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deleteIntegration, updateIntegration } from "../../src/lifecycle/integrations.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { append } from "../../src/journal/append.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger } from "../../src/logger.ts";
import { sweepLoops } from "../../src/sync/loops.ts";
import { sweepStaged } from "../../src/sync/staging.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { expectMirrorEqualsTruth, expectRowsEqualTruth } from "../support/oracle.ts";
import { ENDPOINT, pages, loopTools } from "./loop-support.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";
import { webhook } from "../support/webhook.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const { count, finished, truthful, changed, pausedAfter, goOn, haunt } = loopTools(() => world);

/** The next run fails since the item's user has to act: its loop is forgotten with its pages, and begins anew when the user has. */
async function forgottenUntilRepaired(item: Item): Promise<void> {
  const { control } = world.simulator;
  control.addFault({ kind: "login_required", endpoint: ENDPOINT, item_id: item.item_id, count: 1 });
  await goOn(item);
  const worker = await world.sync.start();
  await until("the failure", async () => (await world.sync.subject(item.item_id)).status === "needs_user");
  await worker[Symbol.asyncDispose]();
  expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([0, 0]);
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await goOn(item);
  await finished({});
}

describe("a loop that waited starts over", () => {
  const startsOver = async (item: Item, expected = 4, equal = expectMirrorEqualsTruth): Promise<void> => {
    await goOn(item);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    expect(cursors).toHaveLength(expected);
    await truthful(item, equal);
  };

  it("a loop that waited starts over when Postgres lost its pages", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("truncate mirror.staged_pages");
    await startsOver(item);
  });

  it("a loop that waited starts over when one of its pages is missing", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("delete from mirror.staged_pages where page = 0");
    await startsOver(item);
  });

  it("a loop that waited starts over when its pages are too old", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("update sync.loops set begun_at = now() - interval '25 hours'");
    await startsOver(item);
  });

  it("a loop that waited starts over when the resource was read with another cursor meanwhile", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("update sync.loops set first_cursor = 'another'");
    await startsOver(item);
  });

  it("a loop that waited starts over when the data changed meanwhile, from its first cursor", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    world.simulator.control.addFault({ kind: "mutation", item_id: item.item_id, count: 1 });
    await startsOver(item, 5);
  });

  it("a loop that waited starts over when a full reading is requested, and then removes what is gone", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await haunt(item);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await startsOver(item, 4, expectRowsEqualTruth);
  });

  it("a loop that waited starts over when a full reading is requested again after it began", async () => {
    const item = await world.sync.synced(1700);
    const ask = () => requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await ask();
    await pausedAfter(item, 2);
    await ask();
    await startsOver(item);
  });

  it("a loop that waited starts over after a webhook that requires a full reading", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await haunt(item);
    await world.sync.notify(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM");
    await startsOver(item, 4, expectRowsEqualTruth);
  });
});

describe("a reading of everything that has to wait", () => {
  it("a full reading that has to wait continues as a full reading, whether a request or a webhook caused it", async () => {
    for (const ask of [
      (item: Item) => requestSync(world.database, item.item_id, { resources: ["transactions"], full: true }),
      (item: Item) => world.sync.notify(item.item_id, "USER_ACCOUNT_REVOKED", "ITEM"),
    ]) {
      const item = await world.sync.synced(1700);
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

  it("a full reading that has to wait stays a full reading when its pages are lost", async () => {
    const item = await world.sync.synced(1700);
    await haunt(item);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await pausedAfter(item, 2);
    await world.database.query("truncate mirror.staged_pages");
    await goOn(item);
    await finished({});
    await truthful(item, expectRowsEqualTruth);
  });

  it("a full reading that has to wait stays a full reading when its pages are lost and its user has to act before it begins anew", async () => {
    const item = await world.sync.synced(1700);
    await haunt(item);
    await requestSync(world.database, item.item_id, { resources: ["transactions"], full: true });
    await pausedAfter(item, 2);
    await world.database.query("truncate mirror.staged_pages");
    await forgottenUntilRepaired(item);
    await truthful(item, expectRowsEqualTruth);
  });
});

it("a loop that waits continues where it stopped although the client's credentials were wrong for a while", async () => {
  const item = await changed(1700);
  await pausedAfter(item, 2);
  const { database, vault, integration, simulator } = world;
  await updateIntegration(database, vault, integration.id, { secret: "not-the-secret" });
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await goOn(item);
  const worker = await world.sync.start();
  await until("the failure", async () => (await world.sync.subject(item.item_id)).status === "misconfigured");
  await worker[Symbol.asyncDispose]();
  await updateIntegration(database, vault, integration.id, { secret: simulator.secret });
  const { cursors, clientFor } = pages(() => null);
  await finished({ clientFor });
  expect(cursors).toHaveLength(2);
  await truthful(item);
});

describe("a loop is forgotten", () => {
  it("a loop and its pages are deleted when the user has to act", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await forgottenUntilRepaired(item);
    await truthful(item);
  });

  it("a loop is deleted when it is too old and its subject has nothing to do", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("update sync.loops set begun_at = now() - interval '25 hours'");
    await sweepLoops(world.database);
    expect(await count("sync.loops")).toBe(1);
    await world.database.query("update sync.subjects set due_at = null where id = $1", [item.item_id]);
    await sweepLoops(world.database);
    expect(await count("sync.loops")).toBe(0);
    await sweepStaged(world.database);
    await world.sync.notify(item.item_id);
    await goOn(item);
    await finished({});
    await world.database.query("delete from mirror.staged_pages");
    await truthful(item);
  });
});

describe("pages that are taken over", () => {
  it("staged pages remain when the worker that continued with them dies", async () => {
    const item = await changed(2700);
    await pausedAfter(item, 2);
    await goOn(item);
    const doomed = await openDatabase({
      url: world.databaseUrl,
      poolSize: 4,
      applicationName: "doomed",
      logger: silentLogger,
    });
    let asked = 0;
    const dying = await world.sync.start({
      database: doomed,
      leaseSeconds: 1,
      clientFor: gated(async (_path, _body, pass) => {
        asked += 1;
        if (asked === 3) await doomed[Symbol.asyncDispose]();
        await pass();
      }),
    });
    await until("the third request", () => asked === 3);
    const { cursors, clientFor } = pages(() => null);
    await finished({ clientFor });
    await dying[Symbol.asyncDispose]();
    expect(cursors).toHaveLength(4);
    await truthful(item);
  });

  it("staged pages stay for as long as their loop may use them", async () => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await world.database.query("update mirror.staged_pages set staged_at = now() - interval '2 hours'");
    await sweepStaged(world.database);
    expect(await count("mirror.staged_pages")).toBe(2);
    await world.database.query("update sync.loops set begun_at = now() - interval '25 hours'");
    await sweepStaged(world.database);
    expect(await count("mirror.staged_pages")).toBe(0);
    await goOn(item);
    await finished({});
    await truthful(item);
  });

  it.each([
    ["erased", async ({ item_id }: Item) => await eraseItem(world.database, world.integration.id, item_id)],
    ["unlinked", async ({ item_id }: Item) => await unlinkItem(world.database, world.integration.id, item_id)],
  ])("the staged pages of an item that is %s are deleted", async (_, end) => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await end(item);
    expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([0, 0]);
  });

  it("the staged pages of a deleted integration are deleted", async () => {
    const integrationId = await world.integration.another();
    const [item] = world.integration.makeItems(1, 1700);
    if (!item) throw new Error("no item");
    await world.integration.link(item, integrationId);
    await pausedAfter(item, 2);
    expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([2, 1]);
    await deleteIntegration(world.database, integrationId);
    expect([await count("mirror.staged_pages"), await count("sync.loops")]).toEqual([0, 0]);
  });
});

it.each(["marked", "not marked yet"])(
  "a run that only continues a loop serves a webhook in full that came after its claim and is %s",
  async (state) => {
    const item = await changed(1700);
    await pausedAfter(item, 2);
    await goOn(item);
    const { database, simulator } = world;
    const query = database.query.bind(database);
    let late = true;
    database.query = async (statement, values) => {
      const answer = await query<never>(statement, values);
      if (late && typeof statement !== "string" && statement.name === "sync_claim" && answer.rowCount > 0) {
        late = false;
        simulator.control.changeTransactions(item.item_id, { add: 3, webhooks: false });
        const one = webhook({ integrationId: world.integration.id, itemId: item.item_id });
        await (state === "marked" ? world.sync.notify(item.item_id) : append(database, [one]));
      }
      return answer;
    };
    try {
      await finished({});
    } finally {
      database.query = query;
    }
    expect(late).toBe(false);
    await truthful(item);
  },
);

it("a webhook that was behind a thousand others when a loop had to wait is served in full", async () => {
  const item = await changed(1700);
  const { integration, database } = world;
  const about = { integrationId: integration.id, itemId: item.item_id };
  const others = Array.from({ length: 999 }, () => webhook({ ...about, webhookCode: "DEFAULT_UPDATE" }));
  await append(database, others);
  const later = new Date(Date.now() + 1000);
  await append(database, [
    webhook({ ...about, webhookType: "ITEM", webhookCode: "USER_ACCOUNT_REVOKED", receivedAt: later }),
  ]);
  await haunt(item);
  await pausedAfter(item, 2);
  await goOn(item);
  await finished({});
  await truthful(item, expectRowsEqualTruth);
});
