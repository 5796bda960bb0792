import { listEveryJob } from "../../../src/api/nouns/jobs/every-job.ts";
import { describe, expect, it } from "vitest";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { workOnce } from "../../../src/relay/jobs/job-runner.ts";
import { cancelJob, createRedrive, getJob, pauseJob, resumeJob } from "../../../src/relay/jobs/jobs.ts";
import { deliveries, dispatchAll, members, settle, whole, workAll } from "../past.ts";
import { until } from "../../support/until.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** Dead letters at one destination: webhooks, more than a batch where that is wanted. */
async function deadLetters(world: World<"relay">, count: number, columns = {}): Promise<string> {
  const { id } = await world.relay.destination(NOWHERE, columns);
  await world.relay.webhooks(...Array.from({ length: count }, (_, n) => `item-${n % 3}`));
  await dispatchAll(world.database);
  await settle(world.database, "dead", { cause: "status_500", where: `destination_id = '${id}'` });
  return id;
}

describe("a redrive", () => {
  it("a redrive schedules dead letters again in their order, and changes no other delivery", async () => {
    await using world = await startWorld({ relay: {} });
    const id = await deadLetters(world, 6);
    await settle(world.database, "delivered", { where: "seq % 3 = 0" });
    const before = await deliveries(world.database);
    const dead = before.filter(({ status }) => status === "dead");
    expect(await createRedrive(world.database, { destination_id: id, dry_run: true })).toEqual({ count: dead.length });
    const job = whole(await createRedrive(world.database, { destination_id: id, reason: "it was down" }));
    expect(job).toMatchObject({
      kind: "redrive",
      status: "running",
      total: dead.length,
      done: 0,
      reason: "it was down",
    });
    expect(job.asked).toEqual({ destination_id: id });
    expect(await members(world, job.id)).toEqual(dead.map((row) => row.id));
    await workAll(world.database);
    expect(await getJob(world.database, job.id)).toMatchObject({
      status: "done",
      done: dead.length,
      changed: dead.length,
    });
    const after = await deliveries(world.database);
    for (const [index, row] of after.entries()) {
      const was = before[index];
      if (was?.status !== "dead") expect(row).toEqual(was);
      else {
        expect(row).toMatchObject({
          id: was.id,
          seq: was.seq,
          status: "scheduled",
          due: true,
          tries: 0,
          attempts: 3,
          job_id: job.id,
        });
        expect(row.body).toEqual(was.body);
      }
    }
  });

  it("a redrive takes only the requested cause and deliveries", async () => {
    await using world = await startWorld({ relay: {} });
    const id = await deadLetters(world, 5);
    await settle(world.database, "dead", { cause: "timeout", where: "seq <= 2" });
    const [first, , third] = await deliveries(world.database);
    const count = async (request: object) => await createRedrive(world.database, { ...request, dry_run: true });
    expect(await count({})).toEqual({ count: 5 });
    expect(await count({ destination_id: id, cause: "timeout" })).toEqual({ count: 2 });
    const named = [first, third].map((row) => toDeliveryId(row?.id ?? ""));
    expect(await count({ delivery_ids: named })).toEqual({ count: 2 });
    expect(await count({ delivery_ids: named, cause: "timeout" })).toEqual({ count: 1 });
    await createRedrive(world.database, { delivery_ids: named });
    await workAll(world.database);
    const scheduled = (await deliveries(world.database)).filter(({ status }) => status === "scheduled");
    expect(scheduled.map((row) => row.id)).toEqual([first?.id, third?.id]);
  });

  it("a redrive takes only what was dead when it was created", async () => {
    await using world = await startWorld({ relay: {} });
    await deadLetters(world, 3);
    const job = whole(await createRedrive(world.database, {}));
    await world.relay.webhooks("item-9");
    await dispatchAll(world.database);
    await settle(world.database, "dead", { cause: "timeout", where: "seq = 4" });
    await settle(world.database, "delivered", { where: "seq = 1" });
    await workAll(world.database);
    expect(await getJob(world.database, job.id)).toMatchObject({ status: "done", total: 3, done: 3, changed: 2 });
    expect((await deliveries(world.database)).map(({ status }) => status)).toEqual([
      "delivered",
      "scheduled",
      "scheduled",
      "dead",
    ]);
  });

  it("a redrive counts dead letters without a payload and does not schedule them", async () => {
    await using world = await startWorld({ relay: {} });
    await world.relay.destination(NOWHERE, {}, { form: "original", filter: { types: ["webhook.received"] } });
    const [gone] = await world.relay.webhooks("item-1", "item-2");
    await dispatchAll(world.database);
    await settle(world.database, "dead", { cause: "timeout" });
    await world.database.query("delete from journal.webhooks where id = $1", [gone]);
    const job = whole(await createRedrive(world.database, {}));
    await workAll(world.database);
    expect(await getJob(world.database, job.id)).toMatchObject({ total: 2, done: 2, changed: 1 });
    expect(await world.relay.statuses()).toEqual({ dead: 1, scheduled: 1 });
  });

  it("a redrive is processed in batches, each once, by several processes", async () => {
    await using world = await startWorld({ relay: {} });
    await deadLetters(world, 1700);
    const job = whole(await createRedrive(world.database, {}));
    const batches = await Promise.all(Array.from({ length: 4 }, () => workAll(world.database)));
    // A process that finds the job locked leaves it; at least one stays to the end.
    expect(batches.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect(await getJob(world.database, job.id)).toMatchObject({ status: "done", done: 1700, changed: 1700 });
    expect(await world.relay.statuses()).toEqual({ scheduled: 1700 });
  });

  it("a redrive stops after the current batch when it is paused or cancelled, and continues when it is resumed", async () => {
    await using world = await startWorld({ relay: {} });
    await deadLetters(world, 1200);
    const { id } = whole(await createRedrive(world.database, {}));
    await workOnce(world.database);
    expect(await pauseJob(world.database, id)).toMatchObject({ status: "paused", done: 500 });
    expect(await workAll(world.database)).toBe(0);
    expect(await resumeJob(world.database, id)).toMatchObject({ status: "running", done: 500, finished_at: null });
    await workOnce(world.database);
    const cancelled = await cancelJob(world.database, id);
    expect(cancelled).toMatchObject({ status: "cancelled", done: 1000, changed: 1000 });
    expect(cancelled.finished_at).not.toBeNull();
    expect(await workAll(world.database)).toBe(0);
    expect(await world.relay.statuses()).toEqual({ dead: 200, scheduled: 1000 });
    for (const change of [pauseJob, resumeJob, cancelJob]) {
      await expect(change(world.database, id)).rejects.toMatchObject({ code: "conflict" });
      await expect(change(world.database, "job_nothing")).rejects.toMatchObject({ code: "not_found" });
    }
  });

  it("a redrive has completed a whole batch or nothing of it when its process dies", async () => {
    await using world = await startWorld({ relay: {} });
    await deadLetters(world, 700);
    const { id } = whole(await createRedrive(world.database, {}));
    // Dies when the batch is written and not committed.
    const { database } = world;
    const dying: typeof database = {
      query: (...args) => database.query(...args),
      listen: (...args) => database.listen(...args),
      transaction: (work) =>
        database.transaction(async (tx) => {
          await work(tx);
          throw new Error("killed");
        }),
      [Symbol.asyncDispose]: async () => undefined,
    };
    await workOnce(database);
    await expect(workOnce(dying)).rejects.toThrow("killed");
    expect(await getJob(database, id)).toMatchObject({ status: "running", done: 500, changed: 500 });
    expect(await world.relay.statuses()).toEqual({ scheduled: 500, dead: 200 });
    await workAll(database);
    expect(await getJob(database, id)).toMatchObject({ status: "done", done: 700, changed: 700 });
  });

  it("a redrive that fails does not block other jobs, and is done when it fails no longer", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await deadLetters(world, 2);
    const [one, two] = (await deliveries(database)).map(({ id }) => [toDeliveryId(id)]);
    const failing = whole(await createRedrive(database, { delivery_ids: one ?? [] }));
    const other = whole(await createRedrive(database, { delivery_ids: two ?? [] }));
    await database.query("alter table relay.deliveries add constraint stuck check (seq <> 1 or job_id is null)");
    const failed = new Set<string>();
    await expect(workOnce(database, failed)).rejects.toThrow();
    expect(failed).toEqual(new Set([failing.id]));
    expect(await workOnce(database, failed)).toBe(true);
    expect(await workOnce(database, failed)).toBe(false);
    expect(await getJob(database, other.id)).toMatchObject({ status: "done", changed: 1 });
    expect(await getJob(database, failing.id)).toMatchObject({ status: "running", done: 0 });
    await database.query("alter table relay.deliveries drop constraint stuck");
    await workAll(database);
    expect(await getJob(database, failing.id)).toMatchObject({ status: "done", changed: 1 });
  });

  it("a redrive does not block other jobs when it is long", async () => {
    await using world = await startWorld({ relay: {} });
    await deadLetters(world, 1200);
    const long = whole(await createRedrive(world.database, {}));
    await workOnce(world.database);
    const [first] = await deliveries(world.database);
    await settle(world.database, "dead", { where: "seq = 1", cause: "timeout" });
    const short = whole(await createRedrive(world.database, { delivery_ids: [toDeliveryId(first?.id ?? "")] }));
    await world.database.query("update relay.jobs set updated_at = now() - interval '1 minute' where id = $1", [
      short.id,
    ]);
    await workOnce(world.database);
    expect(await getJob(world.database, short.id)).toMatchObject({ status: "done", changed: 1 });
    expect(await getJob(world.database, long.id)).toMatchObject({ status: "running", done: 500 });
  });

  it("a redrive refuses unknown fields and invalid values", async () => {
    await using world = await startWorld({ relay: {} });
    for (const request of [{ delivery_ids: ["dlv_1"] }, { causes: "timeout" }, { cause: "\0" }]) {
      await expect(createRedrive(world.database, request)).rejects.toMatchObject({ code: "invalid_request" });
    }
    await expect(createRedrive(world.database, { destination_id: "dst_nothing" })).rejects.toMatchObject({
      code: "not_found",
    });
    expect(await createRedrive(world.database, {})).toMatchObject({ status: "done", total: 0 });
  });
});

describe("jobs", () => {
  it("jobs are listed newest first, page by page", async () => {
    await using world = await startWorld({ relay: {} });
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.unshift(whole(await createRedrive(world.database, {})).id);
    const listed: string[] = [];
    for (let cursor: string | null = null; ;) {
      const page = await listEveryJob(world.database, { limit: 2, cursor, status: "done" });
      listed.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor;
      if (cursor === null) break;
    }
    expect(listed).toEqual(made);
    expect((await listEveryJob(world.database, { status: "running" })).data).toEqual([]);
    await expect(listEveryJob(world.database, { cursor: "nonsense" })).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect(await getJob(world.database, "job_nothing")).toBeNull();
  });

  it("jobs are processed by a running relay, which sends the same bytes with the same id and names the job", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { schedule: [] });
    receiver.answer = () => ({ status: receiver.received.length < 2 ? 500 : 200 });
    const relay = await world.relay.start();
    await world.relay.webhooks("item-1");
    await until("it is given up", async () => (await world.relay.statuses())["dead"] === 1, 10);
    const job = whole(await createRedrive(world.database, { destination_id: id }));
    await until("it arrives", async () => (await world.relay.statuses())["delivered"] === 1, 10);
    await relay.idle();
    const [first, second] = receiver.received;
    expect(second?.id).toBe(first?.id);
    expect(second?.body.equals(first?.body ?? Buffer.alloc(0))).toBe(true);
    expect(first?.headers["webhook-replay"]).toBeUndefined();
    expect(second?.headers["webhook-replay"]).toBe(job.id);
  });
});
