import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dispatch, record, updated } from "../event-support.ts";
import { startWorld, type Answer, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
let destination: string;
let route: string;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
  const body = { url: "http://127.0.0.1:9/", name: "ledger" };
  destination = (await world.api.call("POST /v1/destinations", { body })).body.id;
  route = (await world.api.call("POST /v1/routes", { body: { destination_id: destination } })).body.id;
});

const get = async (path: string): Promise<Json> => (await world.api.call(`GET ${path}`)).body;
const post = (path: string, body?: Json): Promise<Answer> =>
  world.api.call(`POST ${path}`, body === undefined ? {} : { body });

/** Events of items, and the deliveries that the route makes of them, newest first. */
async function deliver(...items: string[]): Promise<Json[]> {
  await record(world, ...items.map((item) => updated(item)));
  await dispatch(world);
  return (await get(`/v1/deliveries?destination_id=${destination}`)).data;
}

/** Dead letters, as the relay leaves them. */
async function bury(...causes: string[]): Promise<Json[]> {
  const made = await deliver(...causes);
  await world.database.query(
    `update relay.deliveries set status = 'dead', due_at = null, finished_at = now(), attempts = 8, tries = 8, cause = item_id
     where destination_id = $1`,
    [destination],
  );
  await world.database.query(
    `insert into relay.attempts (delivery_id, number, started_at, duration_ms, url, address, status, error, response_headers, response_head)
     select id, n, now(), 12, 'http://127.0.0.1:9/', '127.0.0.1', 503, 'status_503', '{"retry-after":"7"}', 'busy'
     from relay.deliveries, generate_series(1, 2) n where destination_id = $1`,
    [destination],
  );
  return made;
}

describe("deliveries", () => {
  it("deliveries are listed newest first, in pages, and found by each filter", async () => {
    await deliver("one", "two", "three");
    const list = async (query: string): Promise<string[]> =>
      (await get(`/v1/deliveries?destination_id=${destination}&${query}`)).data.map((each: Json) => each.item_id);
    expect(await list("")).toEqual(["three", "two", "one"]);
    expect(await list("item_id=two")).toEqual(["two"]);
    expect(await list("status=undelivered&event_type=item.updated")).toEqual(["three", "two", "one"]);
    expect(await list("status=dead")).toEqual([]);
    const { next_cursor } = await get(`/v1/deliveries?destination_id=${destination}&limit=2`);
    expect(await list(`limit=2&cursor=${next_cursor}`)).toEqual(["one"]);
    const { event_id } = (await get(`/v1/deliveries?destination_id=${destination}&item_id=one`)).data[0];
    expect(await list(`event_id=${event_id}`)).toEqual(["one"]);
    await post(`/v1/destinations/${destination}/pause`);
    expect(await list("status=held")).toEqual(["three", "two", "one"]);
    expect(await list("status=scheduled")).toEqual([]);
  });

  it("deliveries are shown with every attempt, and with the bytes that they send", async () => {
    const [{ id, event_id }] = (await bury("status_503")) as [Json];
    const delivery = await get(`/v1/deliveries/${id}`);
    expect(delivery).toMatchObject({
      id,
      destination_id: destination,
      route_id: route,
      status: "dead",
      cause: "status_503",
    });
    expect(delivery.log).toHaveLength(2);
    expect(delivery.log[0]).toMatchObject({
      number: 1,
      status: 503,
      error: "status_503",
      address: "127.0.0.1",
      response_headers: { "retry-after": "7" },
      response_head: "busy",
    });
    const body = await world.api.call(`GET /v1/deliveries/${id}/body`);
    expect([body.status, body.headers.get("content-type")]).toEqual([200, "application/octet-stream"]);
    expect(body.text).toBe((await world.api.call(`GET /v1/events/${event_id}`)).text);
    if (delivery.body_sha256 !== null)
      expect(createHash("sha256").update(body.text).digest("hex")).toBe(delivery.body_sha256);
  });

  it("a delivery can be cancelled while it waits", async () => {
    const [{ id }] = (await deliver("one")) as [Json];
    const cancelled = await post(`/v1/deliveries/${id}/cancel`);
    expect([cancelled.status, cancelled.body.status, cancelled.body.due_at]).toEqual([200, "cancelled", null]);
    const again = await post(`/v1/deliveries/${id}/cancel`);
    expect([again.status, again.body.error.code]).toEqual([409, "conflict"]);
  });

  it("a replay sends a delivery again unless it already waits", async () => {
    const [{ id, event_id }] = (await bury("timeout")) as [Json];
    const replayed = await post(`/v1/deliveries/${id}/replay`, { reason: "lost" });
    expect([replayed.status, replayed.body]).toEqual([
      202,
      expect.objectContaining({ kind: "replay", total: 1, reason: "lost", destination_id: destination }),
    ]);
    expect(replayed.body.asked).toMatchObject({ event_id });
    const [{ id: waiting }] = (await deliver("waiting")) as [Json];
    expect((await post(`/v1/deliveries/${waiting}/replay`)).status).toBe(409);
  });

  it("an unknown delivery is 404, and an unknown filter is refused", async () => {
    const none = `dlv_${"0".repeat(32)}`;
    for (const request of ["GET x", "GET x/body", "POST x/replay", "POST x/cancel"])
      expect([request, (await world.api.call(request.replace("x", `/v1/deliveries/${none}`))).status]).toEqual([
        request,
        404,
      ]);
    for (const [query, field] of [
      ["status=lost", "status"],
      ["cursor=W10", "cursor"],
      ["event_id=x", "event_id"],
      ["destination=x", "destination"],
    ]) {
      const { status, body } = await world.api.call(`GET /v1/deliveries?${query}`);
      expect([query, status, Object.keys(body.error.fields)]).toEqual([query, 400, [field]]);
    }
  });
});

describe("dead letters", () => {
  it("dead letters are counted by destination and cause", async () => {
    await bury("timeout", "status_503", "timeout");
    const { data } = await get(`/v1/dead-letters?destination_id=${destination}`);
    expect(data.map(({ cause, count, replayable }: Json) => [cause, count, replayable]).toSorted()).toEqual([
      ["status_503", 1, 1],
      ["timeout", 2, 2],
    ]);
    expect(data[0]).toMatchObject({
      destination_name: "ledger",
      first_at: expect.any(String),
      last_at: expect.any(String),
    });
  });

  it("a redrive can count dead letters before a job sends them again", async () => {
    const [{ id }] = (await bury("timeout", "status_503", "timeout")) as [Json];
    const request = { destination_id: destination, cause: "timeout" };
    const dry = await post("/v1/dead-letters/redrive", { ...request, dry_run: true });
    expect([dry.status, dry.body]).toEqual([200, { count: 2 }]);
    const job = await post("/v1/dead-letters/redrive", { ...request, reason: "fixed" });
    expect([job.status, job.body]).toEqual([
      202,
      expect.objectContaining({
        kind: "redrive",
        status: "running",
        total: 2,
        done: 0,
        reason: "fixed",
        asked: request,
      }),
    ]);
    const named = await post("/v1/dead-letters/redrive", { delivery_ids: [id], dry_run: true });
    expect(named.body).toEqual({ count: 1 });
  });

  it("a redrive of an unknown destination or delivery is refused", async () => {
    expect((await post("/v1/dead-letters/redrive", { destination_id: "dst_nowhere" })).status).toBe(404);
    const { status, body } = await post("/v1/dead-letters/redrive", { delivery_ids: ["x"], dry: true });
    expect([status, Object.keys(body.error.fields)]).toEqual([400, ["delivery_ids.0", "dry"]]);
    const ids = await post("/v1/dead-letters/redrive", { delivery_ids: ["x"] });
    expect([ids.status, Object.keys(ids.body.error.fields)]).toEqual([400, ["delivery_ids.0"]]);
  });
});

describe("replays", () => {
  it("a replay by item, type and time can be counted before it is made", async () => {
    await bury("replayed", "not-replayed");
    const request = {
      destination_id: destination,
      item_id: "replayed",
      types: ["item.*"],
      from: "2020-01-01T00:00:00Z",
    };
    expect((await post("/v1/replays", { ...request, dry_run: true })).body).toEqual({ count: 1 });
    const { status, body } = await post("/v1/replays", request);
    expect([status, body.kind, body.total]).toEqual([202, "replay", 1]);
  });

  it("a replay must name its destination and its events", async () => {
    const refused: [body: object, field: string][] = [
      [{ destination_id: destination }, "from"],
      [{ item_id: "x" }, "destination_id"],
      [{ destination_id: destination, from: "yesterday" }, "from"],
      [{ destination_id: destination, event_id: "x" }, "event_id"],
      [{ destination_id: destination, types: ["item.broke"] }, "types.0"],
    ];
    for (const [body, field] of refused) {
      const answer = await post("/v1/replays", body);
      expect([body, answer.status, Object.keys(answer.body.error.fields)]).toEqual([body, 400, [field]]);
    }
    expect((await post("/v1/replays", { destination_id: "dst_nowhere", item_id: "x" })).status).toBe(404);
  });
});

describe("routing the past", () => {
  it("routing past events sends those that the destination has no delivery of", async () => {
    await record(world, updated("past"));
    await world.api.call(`PATCH /v1/routes/${route}`, { body: { enabled: false } });
    await dispatch(world);
    const request = { from: "2020-01-01T00:00:00Z", reason: "a new receiver" };
    const dry = await post(`/v1/routes/${route}/route-past`, { ...request, dry_run: true });
    expect([dry.status, dry.body.count > 0]).toEqual([200, true]);
    const job = await post(`/v1/routes/${route}/route-past`, request);
    expect([job.status, job.body]).toEqual([
      202,
      expect.objectContaining({ kind: "route_past", route_id: route, total: dry.body.count }),
    ]);
    expect((await post("/v1/routes/rte_nowhere/route-past", request)).status).toBe(404);
    expect((await post(`/v1/routes/${route}/route-past`)).body.error.fields).toEqual({ from: "is required" });
  });
});

describe("jobs", () => {
  it("jobs are listed and shown, paused, resumed and cancelled", async () => {
    await bury("timeout");
    const { id } = (await post("/v1/dead-letters/redrive", { destination_id: destination })).body;
    expect((await get(`/v1/jobs/${id}`)).status).toBe("running");
    for (const [verb, status] of [
      ["pause", "paused"],
      ["resume", "running"],
      ["cancel", "cancelled"],
    ]) {
      const { status: code, body } = await post(`/v1/jobs/${id}/${verb}`);
      expect([verb, code, body.status]).toEqual([verb, 200, status]);
    }
    expect((await post(`/v1/jobs/${id}/resume`)).body.error.code).toBe("conflict");
    expect((await get("/v1/jobs?limit=1")).data).toEqual([await get(`/v1/jobs/${id}`)]);
    expect((await get(`/v1/jobs?status=done&destination_id=${destination}`)).data).toEqual([]);
  });

  it("an unknown job is 404", async () => {
    for (const request of ["GET x", "POST x/pause", "POST x/resume", "POST x/cancel"])
      expect([request, (await world.api.call(request.replace("x", "/v1/jobs/job_nowhere"))).status]).toEqual([
        request,
        404,
      ]);
  });
});

it("the status shows what waits, and which destinations are unhealthy since when", async () => {
  await bury("timeout");
  await deliver("one", "two");
  await post(`/v1/destinations/${destination}/pause`);
  await record(world, updated("undispatched"));
  const { relay } = await get("/v1/status");
  expect(relay).toMatchObject({ undispatched: 1, overdue: { outbox: 0, deliveries: 0, oldest_at: null } });
  expect([relay.held >= 2, relay.dead >= 1, relay.destinations.paused]).toEqual([true, true, 2]);
  expect(relay.unhealthy).toContainEqual({
    id: destination,
    name: "ledger",
    status: "paused",
    disabled_reason: null,
    breaker: "closed",
    hold_until: null,
    failing_since: null,
    since: expect.any(String),
  });
  await dispatch(world);
});
