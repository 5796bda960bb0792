import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Vault } from "../../src/integrations/vault.ts";
import { pruneFleet } from "../../src/fleet/retention.ts";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { eraseItem, unlinkItem } from "../../src/lifecycle/items.ts";
import { createRedrive } from "../../src/relay/jobs/jobs.ts";
import { introduceItem } from "../support/link.ts";
import { until } from "../support/until.ts";
import type { Item, Json } from "../support/world/index.ts";
import {
  ask,
  ended,
  fleetWorld,
  FORMER,
  linkedItems,
  linkedPair,
  move,
  startFleetOf,
  urlOf,
  type FleetWorld,
} from "./support.ts";

let world: FleetWorld;
beforeAll(async () => {
  world = await fleetWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const ids = (items: readonly Item[]): string[] => items.map(({ item_id }) => item_id);
const job = async (id: string): Promise<Json> => (await world.api.call(`GET /v1/jobs/${id}`)).body;
const turn = (id: string, verb: string, body = {}) => world.api.call(`POST /v1/jobs/${id}/${verb}`, { body });
/** Runs a move of another item to its end, so that all that a runner would do beside it is done too. */
async function runAnother(): Promise<void> {
  const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
  await ended(world, id);
}
/** Fails unless a fault is deleted before: nothing of it stays for other tests. */
const clearFaults = () => world.simulator.control.clearFaults();

describe("the runner of jobs about items", () => {
  it("asks Plaid to update each item once, though two processes work on jobs", async () => {
    const items = await linkedItems(world, 30);
    const before = world.simulator.asked("/item/webhook/update");
    await using _one = await startFleetOf(world);
    await using _other = await startFleetOf(world);
    const { id } = await move(world, { to_intake: true, item_ids: ids(items) });
    expect(await ended(world, id)).toMatchObject({ states: { verified: 30 } });
    expect(world.simulator.asked("/item/webhook/update") - before).toBe(30);
  });

  it("begins nothing of a paused job, goes on when it is resumed, and leaves the rest as it is when it is cancelled", async () => {
    const [one, other] = [await linkedItems(world, 1), await linkedItems(world, 1)];
    const [paused, cancelled] = [
      await move(world, { remove: true, item_ids: ids(one) }),
      await move(world, { remove: true, item_ids: ids(other) }),
    ];
    expect((await turn(paused.id, "pause")).body).toMatchObject({ status: "paused" });
    expect((await turn(cancelled.id, "cancel")).body).toMatchObject({ status: "cancelled", states: { pending: 1 } });
    await using _fleet = await startFleetOf(world);
    await runAnother();
    expect([...one, ...other].map((item) => urlOf(world, item))).toEqual([FORMER, FORMER]);
    expect((await turn(cancelled.id, "resume")).status).toBe(409);
    expect((await turn(paused.id, "resume")).body).toMatchObject({ status: "running" });
    expect(await ended(world, paused.id)).toMatchObject({ status: "done", states: { verified: 1 } });
    expect(await job(cancelled.id)).toMatchObject({ status: "cancelled", states: { pending: 1 } });
    const { body } = await world.api.call("GET /v1/audit?limit=50");
    const audited = body.data.filter(({ target }: Json) => target === paused.id).map(({ action }: Json) => action);
    expect(audited.toReversed()).toEqual(["job.started", "job.paused", "job.resumed"]);
  });

  it("keeps the pace of a job across processes: with one item a minute, a second process begins no other", async () => {
    const items = await linkedItems(world, 3);
    const { id } = await move(world, { remove: true, item_ids: ids(items), per_minute: 1 });
    for (const _process of [1, 2]) {
      await using _fleet = await startFleetOf(world);
      await until("the first item is moved", async () => (await job(id)).changed === 1);
      await runAnother();
    }
    expect(await job(id)).toMatchObject({ status: "running", states: { verified: 1, pending: 2 }, per_minute: 1 });
    await turn(id, "cancel");
  });

  it("tries failures that pass again by itself, and counts none of them as failed in the end", async () => {
    const items = await linkedItems(world, 1);
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/webhook/update", count: 1 });
    world.simulator.control.addFault({ kind: "rate_limit", endpoint: "/item/get", count: 1 });
    await using _fleet = await startFleetOf(world);
    const { id } = await move(world, { to_intake: true, item_ids: ids(items) });
    expect(await ended(world, id)).toMatchObject({ failed: 0, states: { verified: 1 } });
    const { body } = await world.api.call(`GET /v1/jobs/${id}/members`);
    expect(body.data).toMatchObject([{ state: "verified", cause: null, attempts: 0 }]);
  });

  it("fails an item whose acknowledgement does not arrive in time, groups it by that cause, and has Plaid send another when it is retried", async () => {
    const [item] = (await linkedItems(world, 1)) as [Item];
    world.simulator.control.addFault({ kind: "drop_webhooks", webhook_code: "WEBHOOK_UPDATE_ACKNOWLEDGED", count: 1 });
    await using _fleet = await startFleetOf(world);
    const { id } = await move(world, { to_intake: true, item_ids: [item.item_id] });
    await until("the item is updated", async () => (await job(id)).outstanding === 1);
    expect(await job(id)).toMatchObject({ status: "running", states: { updated: 1 }, done: 0 });
    await world.database.query("update fleet.members set waits_until = now(), due_at = now() where job_id = $1", [id]);
    const failed = await ended(world, id);
    expect(failed).toMatchObject({ status: "done", failed: 1, failures: [{ cause: "not_acknowledged", items: 1 }] });
    expect(failed.failures[0].next_step).toContain("tartan webhooks refusals");
    expect((await turn(id, "retry", { cause: "unlinked" })).status).toBe(409);
    expect((await turn(id, "retry", { cause: "not_acknowledged" })).body).toMatchObject({
      status: "running",
      failed: 0,
    });
    expect(await ended(world, id)).toMatchObject({ failed: 0, states: { verified: 1 }, failures: [] });
    const { body } = await world.api.call(`GET /v1/jobs/${id}/members`);
    expect(body.data[0].details).toMatchObject({ former_url: FORMER });
  });

  it("takes an acknowledgement from before the update, or of another URL, for none", async () => {
    const [item] = (await linkedItems(world, 1)) as [Item];
    // Both arrive here: one that is too old, one that is of another URL.
    await ask(world, "/item/webhook/update", item, { webhook: world.integration.intake });
    await until("the acknowledgement is journaled", async () => (await acknowledgements(item)) === 1);
    await ask(world, "/item/webhook/update", item, { webhook: FORMER });
    world.simulator.control.addFault({ kind: "drop_webhooks", webhook_code: "WEBHOOK_UPDATE_ACKNOWLEDGED", count: 1 });
    await using _fleet = await startFleetOf(world);
    const { id } = await move(world, { to_intake: true, item_ids: [item.item_id] });
    await until("the item is updated", async () => (await job(id)).outstanding === 1);
    await ask(world, "/item/webhook/update", item, { webhook: `${world.integration.intake}/` });
    await until("it is journaled too", async () => (await acknowledgements(item)) === 2);
    await world.database.query("update fleet.members set due_at = now() where job_id = $1", [id]);
    await runAnother();
    expect(await job(id)).toMatchObject({ states: { updated: 1 } });
    await turn(id, "cancel");
  });

  it("stores nothing for a process that lost its job; another takes it once the lease is over, and goes on from what was noted", async () => {
    const [item] = (await linkedItems(world, 1)) as [Item];
    const slow = world.simulator.control.addFault({
      kind: "slow",
      endpoint: "/item/webhook/update",
      ms: 1500,
      count: 1,
    });
    const { id } = await move(world, { to: "http://127.0.0.1:9/next", item_ids: [item.item_id] });
    {
      await using _fleet = await startFleetOf(world);
      const noted = "select from fleet.members where job_id = $1 and details ? 'former_url'";
      await until("the update is under way", async () => (await world.database.query(noted, [id])).rowCount === 1);
      const steal = "update fleet.jobs set fence = fence + 1, lease_until = now() + interval '1 hour' where id = $1";
      await world.database.query(steal, [id]);
      await until("Plaid has answered", () => urlOf(world, item) === "http://127.0.0.1:9/next");
      await delay(100);
    }
    expect(slow).toBeDefined();
    expect(await job(id)).toMatchObject({ status: "running", states: { pending: 1 } });
    {
      await using _other = await startFleetOf(world);
      await runAnother();
      const fence = "select fence::int as fence from fleet.jobs where id = $1";
      expect((await world.database.query(fence, [id])).rows).toEqual([{ fence: 2 }]);
    }
    await world.database.query("update fleet.jobs set lease_until = now() where id = $1", [id]);
    await using _fleet = await startFleetOf(world);
    expect(await ended(world, id)).toMatchObject({ states: { verified: 1 } });
    const { body } = await world.api.call(`GET /v1/jobs/${id}/members`);
    expect(body.data[0].details).toMatchObject({ former_url: FORMER });
    clearFaults();
  });
});

const acknowledgements = async ({ item_id }: Item): Promise<number> => {
  const { body } = await world.api.call(`GET /v1/webhooks?item_id=${item_id}&code=WEBHOOK_UPDATE_ACKNOWLEDGED`);
  return body.data.length;
};

describe("an item of a move", () => {
  it("that is unlinked before its turn fails for that cause, and Plaid is not asked about it", async () => {
    const [one, other] = await linkedPair(world);
    const { id } = await move(world, { remove: true, item_ids: ids([one, other]) });
    await unlinkItem(world.database, world.integration.id, one.item_id);
    await using _fleet = await startFleetOf(world);
    expect(await ended(world, id)).toMatchObject({
      states: { verified: 1, failed: 1 },
      failures: [{ cause: "unlinked" }],
    });
    expect(urlOf(world, one)).toBe(FORMER);
  });

  it("whose token is rotated while Plaid is asked is asked about again with the new one", async () => {
    const items = await linkedItems(world, 1);
    let opened = 0;
    // The first request has the token from before the rotation.
    const open: Vault["open"] = (...of) => (++opened === 1 ? "access-sandbox-replaced" : world.vault.open(...of));
    await using _fleet = await startFleetOf(world, { vault: { ...world.vault, open } });
    const { id } = await move(world, { remove: true, item_ids: ids(items) });
    expect(await ended(world, id)).toMatchObject({ failed: 0, states: { verified: 1 } });
    expect(opened).toBeGreaterThan(2);
  });

  it("that Plaid's limits hold back waits for its turn; jobs use half of the limits and leave sync the rest", async () => {
    const items = await linkedItems(world, 1);
    // Plaid's 5000 a minute times this is one request in 27 seconds for sync, and one in 53 seconds for jobs.
    await using _fleet = await startFleetOf(world, { limitFactor: 0.0005 });
    const { id } = await move(world, { remove: true, item_ids: ids(items) });
    const held =
      "select from fleet.members where job_id = $1 and state = 'updated' and due_at > now() + interval '30 seconds'";
    await until("it waits for its turn", async () => (await world.database.query(held, [id])).rowCount === 1);
    expect((await world.api.call(`GET /v1/jobs/${id}/members`)).body.data).toMatchObject([
      { cause: null, attempts: 0 },
    ]);
    await turn(id, "cancel");
    await world.database.query("delete from sync.rate_limits");
  });

  it("that is taken ahead is not begun once its job is paused", async () => {
    const items = await linkedItems(world, 40);
    const before = world.simulator.asked("/item/webhook/update");
    world.simulator.control.addFault({ kind: "slow", endpoint: "/item/get", ms: 1000 });
    await using _fleet = await startFleetOf(world);
    const { id } = await move(world, { remove: true, item_ids: ids(items) });
    const asked = world.simulator.asked("/item/get");
    await until("the first requests are under way", () => world.simulator.asked("/item/get") > asked);
    await turn(id, "pause");
    clearFaults();
    await until("the job is given back", async () => {
      const held = "select from fleet.jobs where id = $1 and lease_until is not null";
      return (await world.database.query(held, [id])).rowCount === 0;
    });
    expect(world.simulator.asked("/item/webhook/update") - before).toBeLessThanOrEqual(16);
    expect((await job(id)).states.pending).toBeGreaterThanOrEqual(24);
    await turn(id, "cancel");
  });
});

describe("jobs about items", () => {
  it("are listed with those about deliveries, newest first, over pages", async () => {
    const redrive = await createRedrive(world.database, { destination_id: undefined });
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
    const first = await world.api.call("GET /v1/jobs?limit=1");
    expect(first.body.data).toMatchObject([{ id, kind: "webhook_move", destination_id: null }]);
    const second = await world.api.call(`GET /v1/jobs?limit=1&cursor=${first.body.next_cursor}`);
    expect(second.body.data).toMatchObject([{ id: "id" in redrive ? redrive.id : "", kind: "redrive", states: {} }]);
    const moves = await world.api.call("GET /v1/jobs?kind=webhook_move&status=running");
    expect(moves.body.data).toMatchObject([{ id }]);
    await turn(id, "cancel");
  });

  it("lose the members of an item that is erased, and its id in the request, and those of a purged integration", async () => {
    const items = await linkedPair(world);
    const { id } = await move(world, { remove: true, item_ids: ids(items) });
    await eraseItem(world.database, world.integration.id, items[0].item_id);
    expect(await job(id)).toMatchObject({ total: 1, asked: { item_ids: [items[1].item_id] } });
    await turn(id, "cancel");
    const other = await world.api.integrate();
    await introduceItem(world, {
      integration_id: other.id,
      item_id: "item-of-another",
      access_token: "access-another",
    });
    const purged = await move(world, { remove: true, integration_id: other.id });
    await deleteIntegration(world.database, other.id, { purge: true });
    expect((await world.api.call(`GET /v1/jobs/${purged.id}`)).status).toBe(404);
    expect((await world.database.query("select from fleet.members where item_id = 'item-of-another'")).rowCount).toBe(
      0,
    );
  });

  it("are kept for 30 days after their end, and one that is paused for so long is cancelled", async () => {
    const make = async (): Promise<string> =>
      (await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) })).id;
    const [old, paused, running] = [await make(), await make(), await make()];
    await turn(old, "cancel");
    await turn(paused, "pause");
    const aged = "now() - interval '31 days'";
    await world.database.query(
      `update fleet.jobs set updated_at = ${aged}, created_at = ${aged}, finished_at = case when finished_at is not null then ${aged} end
       where id = any ($1)`,
      [[old, paused, running]],
    );
    await pruneFleet(world.database);
    expect((await world.api.call(`GET /v1/jobs/${old}`)).status).toBe(404);
    expect((await world.database.query("select from fleet.members where job_id = $1", [old])).rowCount).toBe(0);
    expect(await job(paused)).toMatchObject({ status: "cancelled", total: 1 });
    expect(await job(running)).toMatchObject({ status: "running", total: 1 });
    await turn(running, "cancel");
  });
});
