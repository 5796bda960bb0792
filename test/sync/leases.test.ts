/** Who may write: only the holder of the lease, and what becomes of the subject when a worker dies or stops. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Queryable } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { FENCE } from "../../src/sync/claim-queries.ts";
import { held } from "../../src/sync/lease.ts";
import { claim, giveBack, renew } from "../../src/sync/queue.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";
import { webhook } from "../support/webhook.ts";
import { gated } from "./support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a lease", () => {
  it("an expired lease goes to another worker, and late writes of the first change nothing", async () => {
    const item = await world.sync.synced(10);
    let release: () => void = () => undefined;
    const paused = new Promise<void>((resolve) => (release = resolve));
    let reached = false;
    const late: unknown[] = [];
    const { database } = world;
    const frozen = await world.sync.start({
      database: {
        query: (statement, values) => database.query(statement, values),
        listen: (channel, onNotify) => database.listen(channel, onNotify),
        // It also marks webhooks, which needs no lease.
        transaction: (work, kind) => {
          let underLease = false;
          const noting = (tx: Queryable): Queryable => ({
            query: async (statement, values) => {
              underLease ||= statement === FENCE;
              return await tx.query(statement, values);
            },
          });
          const written = database.transaction((tx) => work(noting(tx)), kind);
          written.then(
            () => underLease && late.push("written"),
            (error: unknown) => late.push(error),
          );
          return written;
        },
        [Symbol.asyncDispose]: async () => undefined,
      },
      // It does not renew: as if the whole process had been stopped.
      clock: { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms > 100 ? 3_600_000 : ms, signal) },
      leaseSeconds: 1,
      clientFor: gated(async (path, _body, pass) => {
        await pass();
        if (path !== "/transactions/sync") return;
        reached = true;
        await paused;
      }),
    });
    world.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
    const first = await world.sync.notify(item.item_id);
    await until("the commit", () => reached);
    world.simulator.control.changeTransactions(item.item_id, { add: 3, remove: 4, webhooks: false });
    const heir = await world.sync.start();
    await until("the sync of the heir", async () => (await world.sync.info(first)) !== null);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    const snapshot = () =>
      world.database.query(
        "select s::text, (select json_agg(c order by resource)::text from sync.cursors c where c.id = s.id) as cursors, (select count(*) from sync.runs r where r.subject_id = s.id) as runs, (select json_agg(w.update_info order by id)::text from journal.webhooks w where w.item_id = s.id) as infos from sync.subjects s where s.id = $1",
        [item.item_id],
      );
    const before = await snapshot();
    release();
    await until("the late commit", () => late.length > 0);
    await frozen[Symbol.asyncDispose]();
    // It may have claimed the subject itself again when its lease ran out: then it was late more than once.
    for (const each of late) expect(each).toMatchObject({ code: "lease_lost" });
    expect((await snapshot()).rows).toEqual(before.rows);
    await expectMirrorEqualsTruth(world.database, world.simulator, item.item_id);
    await heir[Symbol.asyncDispose]();
  });

  it("a lease that expires while its rows are being written is not taken over, and delays no webhook", async () => {
    const item = await world.sync.synced(1);
    const { database } = world;
    await database.query("update sync.subjects set due_at = now() where id = $1", [item.item_id]);
    const [first] = await claim(database, "", 1, -1);
    if (!first) throw new Error("nothing was claimed");
    await database.transaction(async (tx) => {
      await tx.query(FENCE, held(first));
      expect(await claim(database, "", 1, 60)).toEqual([]);
      await world.sync.notify(item.item_id);
      await renew(database, first, -1);
    });
    const [second] = await claim(database, "", 1, 60);
    expect(second).toMatchObject({ id: item.item_id, generation: first.generation + 1, attempts: 1 });
    await expect(renew(database, first, 60)).rejects.toMatchObject({ code: "lease_lost" });
    if (second) await giveBack(database, second);
    const worker = await world.sync.start();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
  });

  it("a lease is renewed for as long as a run lasts, and no other worker takes it", async () => {
    const item = await world.sync.synced(1);
    let requests = 0;
    const clientFor = gated(async (_path, _body, pass) => {
      requests += 1;
      await systemClock.sleep(1600);
      await pass();
    });
    const workers = [
      await world.sync.start({ leaseSeconds: 1, clientFor }),
      await world.sync.start({ leaseSeconds: 1, clientFor }),
    ];
    await world.sync.notify(item.item_id);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(requests).toBe(2); // its accounts and its transactions, once
  });

  it("a lease is given back when its worker stops while it waits for Plaid", async () => {
    const item = await world.sync.synced(1);
    let asked = false;
    const worker = await world.sync.start({
      clientFor: gated(async (_path, _body, pass) => {
        asked = true;
        await pass();
      }),
    });
    const fault = world.simulator.control.addFault({ kind: "slow", item_id: item.item_id, ms: 60_000 });
    const uuid = await world.sync.notify(item.item_id);
    await until("a request", () => asked);
    await worker[Symbol.asyncDispose]();
    world.simulator.control.clearFaults(fault.fault_id);
    const subject = await world.sync.subject(item.item_id);
    expect(subject).toMatchObject({ lease_token: null, status: "ok", attempts: 0 });
    expect(subject.due_at?.getTime()).toBeLessThanOrEqual(Date.now());
    const next = await world.sync.start();
    await next.idle();
    await next[Symbol.asyncDispose]();
    expect(await world.sync.info(uuid)).toMatchObject({ outcome: "synced" });
  });
});

it("a webhook about an institution is accepted during the commit of an item that refers to it", async () => {
  const item = await world.sync.synced(3);
  const { database, integration } = world;
  const { rows } = await database.query<{ id: string }>(
    "update sync.subjects set verified_at = null where kind = 'institution' and id = (select institution_id from plaid.items where item_id = $1) returning id",
    [item.item_id],
  );
  const [institution] = rows;
  if (!institution) throw new Error("the item has no institution");
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let reached = false;
  const holding = (tx: Queryable): Queryable => ({
    query: async (statement, values) => {
      if (typeof statement !== "string" && statement.name === "sync_keep_run") {
        reached = true;
        await held;
      }
      return await tx.query(statement, values);
    },
  });
  const worker = await world.sync.start({
    database: {
      query: (statement, values) => database.query(statement, values),
      listen: (channel, onNotify) => database.listen(channel, onNotify),
      transaction: (work, kind) => database.transaction((tx) => work(holding(tx)), kind),
      [Symbol.asyncDispose]: async () => undefined,
    },
  });
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await until("the commit", () => reached);
  try {
    const about = webhook({
      integrationId: integration.id,
      itemId: null,
      subject: { kind: "institution", id: institution.id },
      webhookType: "INSTITUTION",
      webhookCode: "STATUS_CHANGED",
    });
    const [accepted] = await append(database, [about]);
    expect(accepted).toMatchObject({ id: about.id });
  } finally {
    release();
  }
  await worker.idle();
});
