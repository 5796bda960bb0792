/** What is asked of jobs about items: their plans, what is refused. No process works on jobs here. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Queryable, Statement } from "../../src/database/types.ts";
import { finishJob } from "../../src/fleet/finish.ts";
import { retryFleetJob } from "../../src/fleet/jobs.ts";
import { LOOK_AT, TAKE_MEMBERS } from "../../src/fleet/queries.ts";
import { createWebhookMove } from "../../src/fleet/webhook-moves.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { until } from "../support/until.ts";
import type { Item } from "../support/world/index.ts";
import { fleetWorld, linkedItems, linkedPair, move, type FleetWorld } from "./support.ts";

let world: FleetWorld;
beforeAll(async () => {
  world = await fleetWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

interface Plan {
  "Actual Rows": number;
  Plans?: Plan[];
}

/** Of the step of the statement that reads most. */
async function mostRows(tx: Queryable, { text }: Statement, values: readonly unknown[]): Promise<number> {
  type Row = { "QUERY PLAN": [{ Plan: Plan }] };
  const { rows } = await tx.query<Row>(`explain (analyze, format json) ${text}`, values);
  const most = ({ "Actual Rows": own, Plans = [] }: Plan): number => Math.max(own, ...Plans.map(most));
  return rows[0] ? most(rows[0]["QUERY PLAN"][0].Plan) : Number.NaN;
}

const ids = (items: readonly Item[]): string[] => items.map(({ item_id }) => item_id);
const cancel = (id: string) => world.api.call(`POST /v1/jobs/${id}/cancel`, { body: {} });

describe("requests for moves of webhook URLs", () => {
  it("are planned without asking Plaid, by what the mirror knows", async () => {
    const items = await linkedPair(world);
    await world.database.query(
      "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, $2, $3, '{}'), ($1, $4, 'https://a.example.com/x', '{}')",
      [world.integration.id, items[0].item_id, world.integration.intake, items[1].item_id],
    );
    const asked = world.simulator.asked("/item/get");
    const plan = (body: object) =>
      world.api.call("POST /v1/webhook-moves", { body: { item_ids: ids(items), dry_run: true, ...body } });
    const third = (await linkedItems(world, 1)) as [Item];
    await world.database.query(
      "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, $2, null, '{}')",
      [world.integration.id, third[0].item_id],
    );
    const group = { to: world.integration.intake, items: 1, from_known: true };
    expect((await plan({ to_intake: true })).body).toEqual({
      count: 2,
      unchanged: 1,
      groups: expect.arrayContaining([
        { ...group, from: world.integration.intake },
        { ...group, from: "https://a.example.com/x" },
      ]),
    });
    const chosen = { item_ids: ids([...items, ...third]) };
    expect((await plan({ ...chosen, remove: true })).body).toMatchObject({ count: 3, unchanged: 1 });
    expect((await plan({ ...chosen, remove: true, from: "https://a.example.com/" })).body).toMatchObject({
      count: 1,
      unchanged: 0,
    });
    expect(world.simulator.asked("/item/get")).toBe(asked);
  });

  it("are refused where they name no target, two, or one that is no URL, and where a roll-back names items or a running move", async () => {
    const refused = async (body: object): Promise<unknown> =>
      (await world.api.call("POST /v1/webhook-moves", { body })).body.error?.fields;
    expect(await refused({})).toHaveProperty("to");
    expect(await refused({ to_intake: true, remove: true })).toHaveProperty("remove");
    expect(await refused({ to: "ftp://example.com" })).toHaveProperty("to");
    expect(await refused({ roll_back: "job_1", item_ids: ["a"] })).toHaveProperty("item_ids");
    expect((await world.api.call("POST /v1/webhook-moves", { body: { roll_back: "job_1" } })).status).toBe(404);
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
    const running = await world.api.call("POST /v1/webhook-moves", { body: { roll_back: id } });
    expect([running.status, running.body.error.message]).toEqual([409, expect.stringContaining("cancel it before")]);
    await cancel(id);
  });

  it("are refused for an item of another unfinished move, and create one job for one Idempotency-Key", async () => {
    const item_ids = ids(await linkedItems(world, 1));
    const headers = { "idempotency-key": "one-move" };
    const post = () => world.api.call("POST /v1/webhook-moves", { body: { remove: true, item_ids }, headers });
    const [first, repeated] = [await post(), await post()];
    expect([first.status, repeated.body.id]).toEqual([202, first.body.id]);
    const other = await world.api.call("POST /v1/webhook-moves", { body: { to_intake: true, item_ids } });
    expect([other.status, other.body.error.message]).toEqual([409, expect.stringContaining(first.body.id)]);
    await cancel(first.body.id);
    const { id } = await move(world, { to_intake: true, item_ids });
    await cancel(id);
  });

  it("are refused while requests of the cancelled move that is to be rolled back are under way", async () => {
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
    await cancel(id);
    const rollBack = () => world.api.call("POST /v1/webhook-moves", { body: { roll_back: id } });
    const lease = "update fleet.jobs set lease_until = now() + $2::interval where id = $1";
    await world.database.query(lease, [id, "1 hour"]);
    const held = await rollBack();
    expect([held.status, held.body.error.message]).toEqual([409, expect.stringContaining("still under way")]);
    await world.database.query(lease, [id, "-1 second"]);
    expect(await rollBack()).toMatchObject({ status: 202, body: { total: 0, status: "done" } });
  });

  it("to the intake are refused where Plaid is elsewhere and Tartan's URL is one of this machine", async () => {
    const given = { client_id: "client", secret: "plaid-secret", environment: "production" as const };
    const { id } = await createIntegration(world.database, world.vault, given);
    const request = { to_intake: true as const, dry_run: true };
    const plan = (integration_id: string, publicUrl: string) =>
      createWebhookMove(world.database, { ...request, integration_id }, { publicUrl, by: { actor: "test" } });
    for (const url of ["http://127.0.0.1:4400", "http://localhost:4400/tartan", "http://[::1]:4400"])
      await expect(plan(id, url)).rejects.toMatchObject({
        code: "invalid_request",
        fields: { to_intake: /PUBLIC_URL/ },
      });
    expect(await plan(id, "https://tartan.example.com")).toMatchObject({ count: 0 });
    expect(await plan(world.integration.id, "http://127.0.0.1:4400")).toHaveProperty("groups");
  });
});

describe("jobs about items", () => {
  it("show the first hundred of the items that were named, however many were", async () => {
    const item_ids = Array.from({ length: 250 }, (_, n) => `item-${n}`);
    await world.database.query(
      "insert into tartan.items (integration_id, item_id, linked_at) select $1, id, now() from unnest($2::text[]) id",
      [world.integration.id, item_ids],
    );
    const { body } = await world.api.call("POST /v1/backfills", { body: { item_ids } });
    expect(body.asked).toEqual({ mode: "plaid", item_ids: item_ids.slice(0, 100), item_ids_left_out: 150 });
  });

  it("are refused where they name an integration or items that are not there, and leave out an item that was unlinked", async () => {
    const { id } = world.integration;
    const [item] = ids(await linkedItems(world, 1));
    const refused = async (path: string, body: object) => {
      const { status, body: answer } = await world.api.call(`POST ${path}`, { body });
      return [status, answer.error.message, Object.keys(answer.error.fields ?? {})];
    };
    for (const [path, more] of [
      ["/v1/backfills", {}],
      ["/v1/checks", { dry_run: true }],
      ["/v1/webhook-moves", { remove: true }],
    ] as const) {
      const none = { ...more, integration_id: "svi_none" };
      expect(await refused(path, none)).toEqual([404, "There is no integration svi_none.", ["integration_id"]]);
      const mistyped = { ...more, integration_id: id, item_ids: ["no1", item, "no2", "no3", "no4"] };
      const message = `There is no Item no1, no2, no3 and 1 more in integration ${id}.`;
      expect(await refused(path, mistyped)).toEqual([404, message, ["item_ids"]]);
    }
    await world.api.call(`DELETE /v1/items/${item}`);
    const { body } = await world.api.call("POST /v1/checks", { body: { item_ids: [item], dry_run: true } });
    expect(body).toEqual({ count: 0 });
  });

  it("do not end while failed items are being tried again", async () => {
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)) });
    await world.database.query("update fleet.members set state = 'failed', phase = 'failed' where job_id = $1", [id]);
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
    const waits = (count: number) =>
      until(`${count} wait`, async () => (await world.database.query(waiting)).rowCount === count);
    const under = await world.database.transaction(async (tx) => {
      await tx.query("select from fleet.jobs where id = $1 for update", [id]);
      const retried = retryFleetJob(world.database, id, {}, { actor: "test" });
      await waits(1);
      const finished = finishJob(world.database, id, "0");
      await waits(2);
      return { retried, finished };
    });
    expect(await under.retried).toMatchObject({ states: { pending: 1 } });
    expect(await under.finished).toBe(false);
    expect((await world.api.call(`GET /v1/jobs/${id}`)).body).toMatchObject({ status: "running" });
    await cancel(id);
  });

  it("have their members taken, and those that wait examined, without reading all the others", async () => {
    const id = "job_large";
    const read = world.database.transaction(async (tx) => {
      await tx.query("insert into fleet.jobs (id, kind, asked, per_minute) values ($1, 'webhook_move', '{}', 60000)", [
        id,
      ]);
      await tx.query(
        `insert into fleet.members (job_id, n, integration_id, item_id, state, phase)
         select $1, n, 'svi_large', 'item-' || n, 'pending', case when n % 2 = 0 then 'queued' else 'outstanding' end
         from generate_series(1, 4000) n`,
        [id],
      );
      const most = [
        await mostRows(tx, TAKE_MEMBERS, [id, "0", [], 48, 48]),
        await mostRows(tx, LOOK_AT, [id, "0", 50]),
      ];
      throw new Error(most.every((rows) => rows > 0 && rows <= 50) ? "few" : `${most.join(" and ")} rows`);
    });
    await expect(read).rejects.toThrow(/^few$/);
  });

  it("have another pace from then on, until they are finished", async () => {
    const { id } = await move(world, { remove: true, item_ids: ids(await linkedItems(world, 1)), per_minute: 1 });
    await world.database.query("update fleet.jobs set next_at = now() + interval '1 minute' where id = $1", [id]);
    const pace = (per_minute: number) =>
      world.api.call(`POST /v1/jobs/${id}/pace`, { body: { per_minute, reason: "faster" } });
    expect(await pace(600)).toMatchObject({ status: 200, body: { per_minute: 600, reason: "" } });
    const waits = "select from fleet.jobs where id = $1 and next_at > now()";
    expect((await world.database.query(waits, [id])).rowCount).toBe(0);
    const { body } = await world.api.call(`GET /v1/audit?target=${id}&limit=1`);
    expect(body.data).toMatchObject([{ action: "job.paced", reason: "faster", details: { per_minute: 600 } }]);
    expect(await pace(0)).toMatchObject({ status: 400 });
    await cancel(id);
    expect(await pace(60)).toMatchObject({ status: 409 });
  });

  it("a backfill must say which items it is about, and what does not fit together is refused with its field", async () => {
    const refused = async (path: string, body: object) => {
      const { status, body: answer } = await world.api.call(`POST ${path}`, { body });
      return [status, Object.keys(answer.error.fields ?? {})];
    };
    expect(await refused("/v1/backfills", {})).toEqual([400, ["integration_id"]]);
    expect(await refused("/v1/backfills", { user_id: "u", mode: "webhooks" })).toEqual([400, ["from"]]);
    expect(await refused("/v1/backfills", { user_id: "u", to: "2026-01-01T00:00:00Z" })).toEqual([400, ["from"]]);
    const range = { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" };
    expect(await refused("/v1/backfills", range)).toEqual([400, ["to"]]);
    expect(await refused("/v1/backfills", { user_id: "u", resources: ["balances"] })).toEqual([409, ["resources"]]);
    expect(await refused("/v1/checks", { resources: ["balances"] })).toEqual([409, ["resources"]]);
    expect((await world.api.call("POST /v1/backfills", { body: { user_id: "nobody" } })).body).toMatchObject({
      status: "done",
      total: 0,
    });
  });
});
