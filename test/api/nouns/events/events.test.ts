import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EVENT_TYPES } from "../../../../src/events/event-types.ts";
import { dispatch, record, updated } from "../../event-support.ts";
import { startWorld, type Answer, type Json, type World } from "../../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const events = (query = ""): Promise<Answer> => world.api.call(`GET /v1/events?${query}`);
const here = async (): Promise<string> => (await events("cursor=now")).body.next_cursor;
const happen = async (...given: Parameters<typeof updated>[]): Promise<void> => {
  await record(world, ...given.map((each) => updated(...each)));
  await dispatch(world);
};

describe("fetching events", () => {
  it("fetching events yields each once, the oldest first, and a cursor even when there are none", async () => {
    const begin = await here();
    expect((await events(`cursor=${begin}`)).body).toEqual({ data: [], has_more: false, next_cursor: begin });
    await happen(...Array.from({ length: 7 }, (_, n): [string] => [`paged-${n}`]));
    const seen: string[] = [];
    let cursor = begin;
    for (const size of [3, 3, 1, 0]) {
      const { body } = await events(`limit=3&cursor=${cursor}`);
      expect(body.data).toHaveLength(size);
      seen.push(...body.data.map((event: Json) => event.item_id));
      cursor = body.next_cursor;
    }
    expect(seen).toEqual(Array.from({ length: 7 }, (_, n) => `paged-${n}`));
    await happen(["paged-7"]);
    expect((await events(`cursor=${cursor}`)).body.data[0].item_id).toBe("paged-7");
  });

  it("fetching events begins with the oldest that is kept, or with future ones", async () => {
    await happen(["first"]);
    const all = await events("limit=500");
    expect(all.body).toEqual((await events("limit=500&cursor=start")).body);
    expect(all.body.data.length).toBeGreaterThan(0);
    expect((await events("cursor=now")).body.data).toEqual([]);
  });

  it("fetching events shows none before its position is certain", async () => {
    const begin = await here();
    await record(world, updated("waiting"));
    expect((await events(`cursor=${begin}`)).body.data).toEqual([]);
    await dispatch(world);
    expect((await events(`cursor=${begin}`)).body.data).toHaveLength(1);
  });

  it("fetching events filters by type, family, item, user and history", async () => {
    const begin = await here();
    const user = { userId: "someone" };
    await happen(["one", user], ["two"], ["two", { type: "item.linked", data: { created: true } }]);
    await happen(["two", { history: true, type: "sync.completed" }], ["", { type: "relay.overdue", itemId: null }]);
    const found = async (query: string): Promise<string[]> =>
      (await events(`cursor=${begin}&${query}`)).body.data.map((event: Json) => `${event.type} ${event.item_id}`);
    expect(await found("types=item.updated")).toEqual(["item.updated one", "item.updated two"]);
    expect(await found("types=item.*,relay.overdue")).toEqual([
      "item.updated one",
      "item.updated two",
      "item.linked two",
      "relay.overdue null",
    ]);
    expect(await found("item_id=two")).toEqual(["item.updated two", "item.linked two"]);
    expect(await found("item_id=two&history=true")).toEqual([
      "item.updated two",
      "item.linked two",
      "sync.completed two",
    ]);
    expect(await found("user_id=someone")).toEqual(["item.updated one"]);
    expect(await found("integration_id=svi_other")).toEqual([]);
  });

  it("fetching events refuses invalid cursors, unknown types and long waits", async () => {
    const begin = await here();
    const refused: [query: string, field: string][] = [
      ["cursor=W10", "cursor"],
      [`cursor=${(await world.api.call("GET /v1/webhooks?limit=1")).body.next_cursor ?? "x"}`, "cursor"],
      ["types=item.broke", "types"],
      ["types=item.error,,", "types"],
      ["wait_s=31", "wait_s"],
      ["limit=0", "limit"],
      ["history=maybe", "history"],
      ["type=item.error", "type"],
    ];
    for (const [query, field] of refused) {
      for (const path of ["", "/stream"]) {
        const answer = await world.api.call(`GET /v1/events${path}?${query}`);
        const known = path === "" || !["wait_s", "limit"].includes(field);
        expect([path, query, answer.status, Object.keys(answer.body.error.fields)]).toEqual([
          path,
          query,
          400,
          [field],
        ]);
        if (!known) expect(answer.body.error.fields[field]).toContain("not a known query parameter");
      }
    }
    expect(begin).toEqual(expect.any(String));
  });
});

describe("waiting for events", () => {
  it("a request that waits for events is answered as soon as one matches", async () => {
    const begin = await here();
    const answer = events(`cursor=${begin}&wait_s=30&item_id=awaited`);
    await happen(["another"]);
    await happen(["awaited"]);
    expect((await answer).body.data.map((event: Json) => event.item_id)).toEqual(["awaited"]);
  });

  it("a request that waits for events ends empty after its time, with a cursor behind events that did not match", async () => {
    const begin = await here();
    const answer = events(`cursor=${begin}&wait_s=1&item_id=nobody`);
    await happen(["somebody"]);
    const { status, body } = await answer;
    expect([status, body.data]).toEqual([200, []]);
    const later = await events(`cursor=${body.next_cursor}`);
    if (body.next_cursor !== begin) expect(later.body.data).toEqual([]);
  });

  it("a request that waits for events does not delay a server that closes", { timeout: 20_000 }, async () => {
    await using closing = await startWorld({ api: {} });
    const { next_cursor } = (await closing.api.call("GET /v1/events?cursor=now")).body;
    let arrived: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => (arrived = resolve));
    closing.api.door.server.on("request", () => arrived());
    const answer = closing.api.call(`GET /v1/events?cursor=${next_cursor}&wait_s=30`);
    await waiting;
    await closing.api.door.close();
    expect((await answer).status).toBe(200);
  });
});

describe("numbers", () => {
  const ODD = "12345678901234567.89";
  const isKept = async (id: string, where: string): Promise<void> => {
    const shown = await world.api.call(`GET /v1/events/${id}`);
    expect([shown.status, shown.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    expect(shown.text).toContain(`${where}${ODD}`);
    expect((await events("limit=500")).text).toContain(shown.text);
  };

  it("the numbers of a webhook are sent as they came", async () => {
    const { id, webhook_secret } = await world.api.integrate();
    const body = `{"webhook_type": "ITEM",\r\n  "webhook_code":"UPDATED", "item_id":"odd-numbers", "amount": ${ODD}}`;
    const headers = { "tartan-webhook-secret": webhook_secret };
    const posted = await world.api.call(`POST /v1/integrations/${id}`, { key: null, body, headers });
    expect([posted.status, posted.text]).toEqual([200, posted.text]);
    await dispatch(world);
    await isKept(posted.body.webhook_id.replace("whk_", "evt_"), `"webhook":${body.split(ODD)[0]}`);
  });

  it("the numbers of an event are sent as they are stored", async () => {
    await world.database.query(
      `with made as (insert into events.events (id, type, payload) select id, 'item.updated', events.envelope(id,
         'item.updated', now(), null, null, null, null, null, null, false, $1) from (select tartan.new_id() as id offset 0) x returning id)
       insert into events.outbox (events) select array_agg(id) from made`,
      [`{"changed":[],"item":{"n":${ODD}}}`],
    );
    await dispatch(world);
    const { rows } = await world.database.query<{ id: string }>(
      "select id from events.events order by id desc limit 1",
    );
    await isKept(`evt_${rows[0]?.id.replaceAll("-", "")}`, '"n":');
  });
});

it("an unknown event and an invalid event id are 404", async () => {
  for (const id of [`evt_${"0".repeat(32)}`, "evt_x", "whk_1"]) {
    const { status, body } = await world.api.call(`GET /v1/events/${id}`);
    expect([id, status, body.error.code]).toEqual([id, 404, "not_found"]);
  }
});

it("every event type is listed with the name of its schema", async () => {
  const { body } = await world.api.call("GET /v1/event-types");
  expect(body.data.map(({ type }: Json) => type)).toEqual(Object.keys(EVENT_TYPES));
  const { components } = (await world.api.call("GET /openapi.json")).body;
  for (const { component } of body.data) expect(components.schemas).toHaveProperty(component);
});
