/** Several workers, many webhooks: nothing is lost, nothing overlaps, nobody starves, and the dead do no harm. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { append } from "../../src/journal/append.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { claim, giveBack } from "../../src/sync/queue.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { openScene, until, webhook, type Item, type Scene } from "./support.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

type Post = (path: string, body: { access_token?: string }, pass: () => Promise<void>) => Promise<void>;

/** Clients whose requests go through `gate`. */
const gated =
  (gate: Post): SyncOptions["clientFor"] =>
  ({ plaidUrl, clientId, secret }) => {
    const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });
    return {
      ...client,
      post: async (path, body, signal) => {
        let answer: Awaited<ReturnType<typeof client.post>> | undefined;
        await gate(path, body, async () => {
          answer = await client.post(path, body, signal);
        });
        if (!answer) throw new Error("the gate let nothing through");
        return answer;
      },
    };
  };

const runsOf = async ({ item_id }: Item): Promise<number> =>
  (await scene.database.query("select from sync.runs where subject_id = $1", [item_id])).rowCount;
const unprocessed = async (): Promise<number> =>
  (await scene.database.query("select from journal.webhooks where processed_at is null")).rowCount;

describe("webhooks", () => {
  it("a hundred for one item are served by a run or two", async () => {
    const item = await scene.synced(5);
    const before = await runsOf(item);
    for (let n = 0; n < 50; n += 1) await scene.hear(item.item_id);
    const worker = await scene.work();
    for (let n = 0; n < 50; n += 1) await scene.hear(item.item_id, "DEFAULT_UPDATE");
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect((await runsOf(item)) - before).toBeLessThanOrEqual(12);
    expect(await unprocessed()).toBe(0);
    const many = await scene.synced(5);
    const runs = await runsOf(many);
    await append(
      scene.database,
      Array.from({ length: 100 }, () => webhook(scene.integrationId, many.item_id, "TRANSACTIONS", "DEFAULT_UPDATE")),
    );
    const next = await scene.work();
    await next.idle();
    await next[Symbol.asyncDispose]();
    expect((await runsOf(many)) - runs).toBe(1);
    expect(await unprocessed()).toBe(0);
  });

  it("more than one run can take in are served by several", async () => {
    const item = await scene.synced(1);
    const before = await runsOf(item);
    const batch = Array.from({ length: 2300 }, () =>
      webhook(scene.integrationId, item.item_id, "TRANSACTIONS", "DEFAULT_UPDATE"),
    );
    await append(scene.database, batch);
    const worker = await scene.work();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect((await runsOf(item)) - before).toBe(3);
    expect(await unprocessed()).toBe(0);
  });

  it("that come while a run is under way are never lost, however they fall", async () => {
    const items = await Promise.all([1, 2, 3, 4].map(() => scene.synced(3)));
    const workers = [await scene.work({ concurrency: 3 }), await scene.work({ concurrency: 3 })];
    const hearing = items.flatMap((item) =>
      [1, 2, 3].map(async () => {
        for (let n = 0; n < 25; n += 1) {
          scene.simulator.control.changeTransactions(item.item_id, { add: 1, modify: 1, webhooks: false });
          await scene.hear(item.item_id);
          if (n % 5 === 0) await scene.hear(item.item_id, "PENDING_DISCONNECT", "ITEM");
        }
      }),
    );
    await Promise.all(hearing);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(await unprocessed()).toBe(0);
    for (const item of items) {
      expect(await scene.subject(item.item_id)).toMatchObject({
        due_at: null,
        oldest_unserved: null,
        wanted: [],
        taken: [],
        status: "ok",
      });
      await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    }
  });

  it("that are older than one already served are served all the same", async () => {
    const item = await scene.synced(1);
    const worker = await scene.work();
    await scene.hear(item.item_id);
    await worker.idle();
    const late = webhook(
      scene.integrationId,
      item.item_id,
      "TRANSACTIONS",
      "DEFAULT_UPDATE",
      new Date(Date.now() - 3_600_000),
    );
    await append(scene.database, [late]);
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(await scene.info(late.id)).toMatchObject({ outcome: "synced" });
  });

  it("about an institution are served by reading the institution again", async () => {
    await scene.synced(1);
    const { rows } = await scene.database.query<{ institution_id: string }>(
      "select institution_id from plaid.institutions limit 1",
    );
    const id = rows[0]?.institution_id ?? "";
    const about = {
      ...webhook(scene.integrationId, id, "ISSUES", "ISSUE_RESOLVED"),
      subject: { kind: "institution", id },
      itemId: null,
    };
    const asked = scene.asked("/institutions/get_by_id");
    await append(scene.database, [about]);
    const worker = await scene.work();
    await worker.idle();
    await worker[Symbol.asyncDispose]();
    expect(await scene.info(about.id)).toMatchObject({ outcome: "synced" });
    expect(scene.asked("/institutions/get_by_id") - asked).toBe(1);
  });
});

describe("an institution", () => {
  it("is fetched once for all of its items, and again when the copy is older than a day", async () => {
    const item = await scene.synced(1);
    const { rows } = await scene.database.query<{ id: string }>(
      "select institution_id as id from plaid.items where item_id = $1",
      [item.item_id],
    );
    const id = rows[0]?.id ?? "";
    const again = async () => {
      const asked = scene.asked("/institutions/get_by_id");
      await scene.hear(item.item_id, "PENDING_EXPIRATION", "ITEM");
      const worker = await scene.work();
      await worker.idle();
      await worker[Symbol.asyncDispose]();
      return scene.asked("/institutions/get_by_id") - asked;
    };
    expect(await again()).toBe(0);
    await scene.database.query(
      "update sync.subjects set verified_at = now() - interval '25 hours' where kind = 'institution' and id = $1",
      [id],
    );
    expect(await again()).toBe(1);
  });
});

describe("two workers", () => {
  it("never work on one item at the same time", async () => {
    const item = await scene.synced(2);
    const running = new Map<string, number>();
    let most = 0;
    const clientFor = gated(async (path, _body, pass) => {
      running.set(path, (running.get(path) ?? 0) + 1);
      most = Math.max(most, running.get(path) ?? 0);
      await pass();
      running.set(path, (running.get(path) ?? 0) - 1);
    });
    const workers = [await scene.work({ clientFor }), await scene.work({ clientFor })];
    for (let n = 0; n < 60; n += 1) await scene.hear(item.item_id);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(most).toBe(1);
    expect(await unprocessed()).toBe(0);
  });

  it("share what is due", async () => {
    const items = await Promise.all(Array.from({ length: 8 }, () => scene.synced(1)));
    let [here, there] = [0, 0];
    const slow = (count: () => void) =>
      gated(async (_path, _body, pass) => {
        count();
        await systemClock.sleep(20);
        await pass();
      });
    const workers = [
      await scene.work({ concurrency: 1, clientFor: slow(() => (here += 1)) }),
      await scene.work({ concurrency: 1, clientFor: slow(() => (there += 1)) }),
    ];
    await append(
      scene.database,
      items.map(({ item_id }) => webhook(scene.integrationId, item_id, "TRANSACTIONS", "DEFAULT_UPDATE")),
    );
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(here).toBeGreaterThan(0);
    expect(there).toBeGreaterThan(0);
  });
});

describe("a lease", () => {
  it("that ran out is another worker's, and what the first writes late changes nothing", async () => {
    const item = await scene.synced(10);
    let release: () => void = () => undefined;
    const paused = new Promise<void>((resolve) => (release = resolve));
    let reached = false;
    const frozen = await scene.work({
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
    scene.simulator.control.changeTransactions(item.item_id, { add: 2, webhooks: false });
    const first = await scene.hear(item.item_id);
    await until(() => reached);
    scene.simulator.control.changeTransactions(item.item_id, { add: 3, remove: 4, webhooks: false });
    const heir = await scene.work();
    await until(async () => (await scene.info(first)) !== null);
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    const snapshot = () =>
      scene.database.query(
        "select s::text, (select json_agg(c order by resource)::text from sync.cursors c where c.id = s.id) as cursors, (select count(*) from sync.runs r where r.subject_id = s.id) as runs, (select json_agg(w.update_info order by id)::text from journal.webhooks w where w.item_id = s.id) as told from sync.subjects s where s.id = $1",
        [item.item_id],
      );
    const before = await snapshot();
    release();
    await frozen[Symbol.asyncDispose]();
    expect((await snapshot()).rows).toEqual(before.rows);
    await expectMirrorEqualsTruth(scene.database, scene.simulator, item.item_id);
    await heir[Symbol.asyncDispose]();
  });

  it("is renewed for as long as a run lasts, and no other worker takes it", async () => {
    const item = await scene.synced(1);
    let requests = 0;
    const clientFor = gated(async (_path, _body, pass) => {
      requests += 1;
      await systemClock.sleep(1600);
      await pass();
    });
    const workers = [
      await scene.work({ leaseSeconds: 1, clientFor }),
      await scene.work({ leaseSeconds: 1, clientFor }),
    ];
    await scene.hear(item.item_id);
    await workers[0]?.idle();
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    expect(requests).toBe(2); // its accounts and its transactions, once
  });

  it("is given back when its worker stops while it waits for Plaid", async () => {
    const item = await scene.synced(1);
    let asked = false;
    const worker = await scene.work({
      clientFor: ({ plaidUrl, clientId, secret }) => {
        const client = createPlaidClient({
          baseUrl: plaidUrl,
          clientId,
          secret,
          timeoutMs: 10_000,
          clock: systemClock,
        });
        return {
          ...client,
          post: (path, body, signal) => {
            asked = true;
            return client.post(path, body, signal);
          },
        };
      },
    });
    const fault = scene.simulator.control.addFault({ kind: "slow", item_id: item.item_id, ms: 60_000 });
    const uuid = await scene.hear(item.item_id);
    await until(() => asked);
    await worker[Symbol.asyncDispose]();
    scene.simulator.control.clearFaults(fault.fault_id);
    const subject = await scene.subject(item.item_id);
    expect(subject).toMatchObject({ lease_token: null, status: "ok", attempts: 0 });
    expect(subject.due_at?.getTime()).toBeLessThanOrEqual(Date.now());
    const next = await scene.work();
    await next.idle();
    await next[Symbol.asyncDispose]();
    expect(await scene.info(uuid)).toMatchObject({ outcome: "synced" });
  });
});

describe("fairness", () => {
  it("an integration with a thousand due subjects does not hold up one that has a single one", async () => {
    const quiet = await scene.integrate();
    const ids = Array.from({ length: 1000 }, (_, n) => `noise_${n}`);
    const mark = (integration: string, id: string, seconds: number) =>
      scene.database.query(
        "insert into sync.subjects (integration_id, kind, id, due_at) values ($1, 'item', $2, now() - $3 * interval '1 second')",
        [integration, id, seconds],
      );
    await scene.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', unnest($2::text[]), now() - interval '1 hour'",
      [scene.integrationId, ids],
    );
    await mark(quiet, "whisper", 0);
    for (const [after, count] of [
      ["", 1],
      [scene.integrationId, 1],
      [quiet, 1],
      ["", 4],
      ["~", 4],
    ] as const) {
      const claims = [...(await claim(scene.database, after, count, 60))];
      const next = claims.length === 1 ? await claim(scene.database, claims[0]?.integrationId ?? "", 1, 60) : [];
      const all = [...claims, ...next];
      expect(
        all.map(({ id }) => id),
        `after ${after}, ${count}`,
      ).toContain("whisper");
      for (const held of all) await giveBack(scene.database, held);
    }
    await scene.database.query("delete from sync.subjects where id like 'noise%' or id = 'whisper'");
  });

  it("of each integration the subject that waits longest goes first, and each claim is one worker's", async () => {
    await scene.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', 'queue_' || n, now() - n * interval '1 minute' from generate_series(1, 40) n",
      [scene.integrationId],
    );
    const [first] = await claim(scene.database, "", 1, 60);
    expect(first?.id).toBe("queue_40");
    const claims = (await Promise.all(Array.from({ length: 6 }, () => claim(scene.database, "", 5, 60)))).flat();
    expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length);
    expect(claims.length).toBeGreaterThanOrEqual(5);
    await scene.database.query("delete from sync.subjects where id like 'queue%'");
  });
});
