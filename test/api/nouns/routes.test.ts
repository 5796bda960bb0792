import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordEvents } from "../../../src/events/events.ts";
import { startWorld, type Answer, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
let destination_id: string;
beforeAll(async () => {
  world = await startWorld({ api: {} });
  const { body } = await world.api.call("POST /v1/destinations", { body: { url: "http://127.0.0.1:9/" } });
  destination_id = body.id;
});
afterAll(() => world[Symbol.asyncDispose]());

const create = (more: Record<string, unknown> = {}): Promise<Answer> =>
  world.api.call("POST /v1/routes", { body: { destination_id, ...more } });
const made = async (more?: Record<string, unknown>): Promise<Json> => {
  const { status, body, text } = await create(more);
  expect([status, text]).toEqual([201, text]);
  return body;
};

describe("creating a route", () => {
  it("creating a route answers with all its settings, and by default it matches every event except operator events", async () => {
    expect(await made()).toEqual({
      id: expect.stringMatching(/^rte_\w{24}$/),
      destination_id,
      name: "",
      enabled: true,
      version: 1,
      filter: { types: ["*"] },
      match: null,
      form: "event",
      transform: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
  });

  it("creating a route stores filter, matcher and transform as they are given", async () => {
    const filter = { types: ["transactions.changed", "item.*"], item_ids: ["an-item"], history: true };
    const match = { $or: [{ "added.amount": { $gt: 50 } }, { "counts.removed": { $gte: 1 } }] };
    const transform = '{ "text": $string(data.counts.added) & " new" }';
    expect(await made({ name: "big", filter, match, form: "transform", transform })).toMatchObject({
      name: "big",
      filter,
      match,
      form: "transform",
      transform,
    });
  });

  it("creating a route names every invalid field", async () => {
    const faults: [body: object, fields: string[]][] = [
      [{ destination_id: "dst_nowhere" }, ["destination_id"]],
      [{ filter: { type: ["item.error"], types: [] } }, ["filter.type", "filter.types"]],
      [{ filter: { types: ["item.broke"] } }, ["filter.types.0"]],
      [{ form: "original", filter: { types: ["item.error"] } }, ["filter.types"]],
      [{ form: "transform" }, ["transform"]],
      [{ form: "transform", transform: "{ unfinished" }, ["transform"]],
      [{ form: "shiny", nonsense: 1, match: { $a: 1 } }, ["form", "match.$a", "nonsense"]],
    ];
    for (const [body, fields] of faults) {
      const { status, body: answer } = await create(body as Record<string, unknown>);
      expect([body, status, Object.keys(answer.error.fields).toSorted()]).toEqual([body, 400, fields]);
    }
    const matcher = await create({ match: { amount: { $near: 5 } } });
    expect([matcher.status, JSON.stringify(matcher.body.error.fields)]).toEqual([
      400,
      expect.stringContaining("$near"),
    ]);
  });
});

describe("a route", () => {
  it("a route is shown, and listed with the others of its destination", async () => {
    const route = await made({ name: "shown" });
    expect((await world.api.call(`GET /v1/routes/${route.id}`)).body).toEqual(route);
    const listed = await world.api.call(`GET /v1/routes?limit=500&destination_id=${destination_id}`);
    expect(listed.body.data).toContainEqual(route);
    expect((await world.api.call("GET /v1/routes?destination_id=dst_other")).body.data).toEqual([]);
    const first = await world.api.call("GET /v1/routes?limit=1");
    expect([first.body.data.length, typeof first.body.next_cursor]).toEqual([1, "string"]);
  });

  it("changing a route makes a new version and keeps settings that are not given", async () => {
    const route = await made({ name: "changed", match: { a: 1 } });
    const changed = await world.api.call(`PATCH /v1/routes/${route.id}`, {
      body: { filter: { types: ["item.error"] } },
    });
    expect(changed.status).toBe(200);
    expect(changed.body).toMatchObject({
      version: 2,
      name: "changed",
      match: { a: 1 },
      filter: { types: ["item.error"] },
    });
    const off = await world.api.call(`PATCH /v1/routes/${route.id}`, { body: { enabled: false } });
    expect(off.body).toMatchObject({ version: 2, enabled: false });
    const moved = await world.api.call(`PATCH /v1/routes/${route.id}`, { body: { destination_id } });
    expect([moved.status, Object.keys(moved.body.error.fields)]).toEqual([400, ["destination_id"]]);
  });

  it("a route is shown although it names a type of events that there is no longer", async () => {
    const { id } = await made();
    const filter = JSON.stringify({ filter: { types: ["item.former"] } });
    await world.database.query(
      "update relay.route_versions set definition = definition || $2::jsonb where route_id = $1",
      [id, filter],
    );
    const { status, body } = await world.api.call(`GET /v1/routes/${id}`);
    expect([status, body.filter]).toEqual([200, { types: ["item.former"] }]);
  });

  it("a deleted or unknown route is 404", async () => {
    const { id } = await made();
    expect((await world.api.call(`DELETE /v1/routes/${id}`)).body).toEqual({ id, deleted: true });
    for (const request of ["GET", "PATCH", "DELETE"])
      expect([request, (await world.api.call(`${request} /v1/routes/${id}`)).status]).toEqual([request, 404]);
  });
});

describe("a preview", () => {
  const about = (itemId: string, data: Record<string, unknown>) =>
    ({ type: "item.updated", integrationId: null, itemId, userId: null, environment: "sandbox", data }) as const;
  beforeAll(async () => {
    await world.database.transaction((tx) =>
      recordEvents(tx, [
        about("one", { changed: ["webhook"], item: { amount: 1 } }),
        about("two", { changed: ["products"], item: { amount: 2 } }),
        about("three", { changed: ["products"], item: { amount: 3 } }),
      ]),
    );
  });
  const preview = (body: Record<string, unknown>) => world.api.call("POST /v1/routes/preview", { body });

  it("a preview counts the matching events and shows them as they would be sent", async () => {
    const filter = { types: ["item.updated"] };
    const definition = { filter, match: { changed: "products" }, transform: '{"n": data.item.amount}' };
    const { status, body, text } = await preview({ definition });
    expect([status, text]).toEqual([200, text]);
    expect(body).toMatchObject({ examined: expect.any(Number), matched: 2, failed: 0, truncated: false });
    expect(body.samples.map((sample: Json) => sample.body).toSorted()).toEqual(['{"n":2}', '{"n":3}']);
  });

  it("a preview counts the events whose transform fails, and says why", async () => {
    const definition = { filter: { types: ["item.updated"] }, transform: "$error('not this one')" };
    const { body } = await preview({ definition });
    expect(body).toMatchObject({ matched: 3, failed: 3 });
    expect(body.samples[0]).toMatchObject({ body: null, error: expect.any(String) });
  });

  it("a preview reads the given range of time", async () => {
    const { body } = await preview({ definition: {}, until: "2020-01-01T00:00:00Z", since: "2019-01-01T00:00:00Z" });
    expect(body).toMatchObject({ examined: 0, matched: 0, samples: [] });
  });

  it("a preview refuses invalid routes and invalid times", async () => {
    expect((await preview({})).body.error.fields).toEqual({ definition: "is required" });
    expect((await preview({ definition: { form: "transform" } })).status).toBe(400);
    const { body } = await preview({ definition: {}, since: "yesterday", limit: 5001 });
    expect(Object.keys(body.error.fields)).toEqual(["since", "limit"]);
  });
});
