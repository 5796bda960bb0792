import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, type Answer, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const URL = "http://127.0.0.1:9/hooks";
const create = (more: Record<string, unknown> = {}): Promise<Answer> =>
  world.api.call("POST /v1/destinations", { body: { url: URL, ...more } });
const made = async (more?: Record<string, unknown>): Promise<Json> => {
  const { status, body, text } = await create(more);
  expect([status, text]).toEqual([201, text]);
  return body;
};

describe("creating a destination", () => {
  it("creating a destination answers with its settings, its health and its signing secret", async () => {
    const { status, body } = await create({
      name: "ledger",
      headers: { "X-Token": "a-token" },
      rate_limit: { count: 5 },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^dst_\w{24}$/),
      name: "ledger",
      description: "",
      url: URL,
      header_names: ["x-token"],
      timeout_ms: 15_000,
      schedule: [5, 300, 1800, 7200, 18_000, 36_000, 36_000],
      rate_limit: { count: 5, window_ms: 1000 },
      ordering: "parallel",
      status: "active",
      breaker: "closed",
      scheduled: 0,
      dead: 0,
      keys: [{ scheme: "v1", public_key: null, expires_at: null }],
      signing_secret: expect.stringMatching(/^whsec_/),
    });
  });

  it("creating a destination accepts a given secret, and either scheme", async () => {
    const mine = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    expect((await made({ signing_secret: mine })).signing_secret).toBe(mine);
    const asymmetric = await made({ signing_scheme: "v1a" });
    expect(asymmetric.keys).toEqual([
      expect.objectContaining({ scheme: "v1a", public_key: expect.stringMatching(/^whpk_/) }),
    ]);
    expect(asymmetric.signing_secret).toMatch(/^whsk_/);
  });

  it("creating a destination names every invalid field at once", async () => {
    const shaped = await create({ url: 5, timeout_ms: 1, concurrency: 0, ordering: "lifo", nonsense: 1 });
    expect([shaped.status, Object.keys(shaped.body.error.fields).toSorted()]).toEqual([
      400,
      ["concurrency", "nonsense", "ordering", "timeout_ms", "url"],
    ]);
    const meant = await create({ url: "ftp://x", headers: { host: "x" }, ca: "no", signing_secret: "whsec_short" });
    expect([meant.status, Object.keys(meant.body.error.fields).toSorted()]).toEqual([
      400,
      ["ca", "headers.host", "signing_secret", "url"],
    ]);
  });

  it("creating a destination refuses addresses that are not allowed, and http unless it is allowed", async () => {
    const urls = ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "https://u:p@example.com/"];
    for (const url of urls) {
      const { status, body } = await create({ url });
      expect([url, status, Object.keys(body.error.fields)]).toEqual([url, 400, ["url"]]);
    }
    await using strict = await startWorld({ api: { urls: { allowHttp: false, checkUrl: () => undefined } } });
    const { status, body } = await strict.api.call("POST /v1/destinations", { body: { url: "http://example.com/" } });
    expect([status, body.error.fields.url]).toEqual([400, expect.stringContaining("https")]);
  });
});

describe("a destination", () => {
  it("a destination is shown and listed without its secrets", async () => {
    const { signing_secret, ...destination } = await made({ headers: { authorization: "Bearer very-secret" } });
    const shown = await world.api.call(`GET /v1/destinations/${destination.id}`);
    expect([shown.status, shown.body]).toEqual([200, destination]);
    const listed = await world.api.call("GET /v1/destinations?limit=500");
    expect(listed.body.data).toContainEqual(destination);
    for (const secret of [signing_secret, "very-secret"]) expect(shown.text + listed.text).not.toContain(secret);
  });

  it("a destination is listed in pages, oldest first", async () => {
    const ids: string[] = [];
    let cursor: string | null = "";
    do {
      const { body }: Answer = await world.api.call(`GET /v1/destinations?limit=2${cursor && `&cursor=${cursor}`}`);
      ids.push(...body.data.map(({ id }: Json) => id));
      cursor = body.next_cursor;
    } while (cursor);
    const all = (await world.api.call("GET /v1/destinations?limit=500")).body.data.map(({ id }: Json) => id);
    expect(ids).toEqual(all);
  });

  it("updating a destination changes the given settings and leaves the rest", async () => {
    const { signing_secret: _, ...before } = await made({
      name: "before",
      headers: { a: "1" },
      rate_limit: { count: 5 },
    });
    const { status, body } = await world.api.call(`PATCH /v1/destinations/${before.id}`, {
      body: { concurrency: 2, rate_limit: null, headers: null },
    });
    const changed = { concurrency: 2, rate_limit: null, header_names: [], version: before.version + 1 };
    expect([status, body]).toEqual([200, { ...before, ...changed, updated_at: body.updated_at }]);
    const refused = await world.api.call(`PATCH /v1/destinations/${before.id}`, { body: { signing_secret: "x" } });
    expect([refused.status, Object.keys(refused.body.error.fields)]).toEqual([400, ["signing_secret"]]);
  });

  it("a destination can be paused, resumed, disabled and enabled", async () => {
    const { id } = await made();
    for (const [verb, status] of [
      ["pause", "paused"],
      ["resume", "active"],
      ["disable", "disabled"],
      ["enable", "active"],
    ]) {
      const answer = await world.api.call(`POST /v1/destinations/${id}/${verb}`);
      expect([verb, answer.status, answer.body.status]).toEqual([verb, 200, status]);
      expect((await world.api.call(`GET /v1/destinations/${id}`)).body.status).toBe(status);
    }
  });

  it("after a destination's key rotation both keys sign for the grace period, or only the new one", async () => {
    const { id, signing_secret, keys } = await made();
    const rotated = await world.api.call(`POST /v1/destinations/${id}/rotate-secret`);
    expect(rotated.status).toBe(200);
    expect(rotated.body).toMatchObject({
      scheme: "v1",
      expires_at: null,
      signing_secret: expect.stringMatching(/^whsec_/),
    });
    expect(rotated.body.signing_secret).not.toBe(signing_secret);
    const both = (await world.api.call(`GET /v1/destinations/${id}`)).body.keys;
    expect(both.map((key: Json) => key.id)).toEqual([rotated.body.id, keys[0].id]);
    expect(both[1].expires_at).toEqual(expect.any(String));
    const last = await world.api.call(`POST /v1/destinations/${id}/rotate-secret`, {
      body: { grace_s: 0, scheme: "v1a" },
    });
    expect((await world.api.call(`GET /v1/destinations/${id}`)).body.keys.map((key: Json) => key.id)).toEqual([
      last.body.id,
    ]);
  });

  it("a test event shows the receiver's answer and does not change the destination", async () => {
    const { id } = await made();
    const before = (await world.api.call(`GET /v1/destinations/${id}`)).body;
    const tested = await world.api.call(`POST /v1/destinations/${id}/test`);
    expect(tested.status).toBe(200);
    expect(tested.body).toMatchObject({ destination_id: id, event_type: "destination.test", attempts: 1 });
    expect(tested.body.log).toHaveLength(1);
    expect((await world.api.call(`GET /v1/deliveries/${tested.body.id}`)).body).toEqual(tested.body);
    expect((await world.api.call(`GET /v1/destinations/${id}`)).body).toEqual(before);
  });

  it("a deleted destination is 404", async () => {
    const { id } = await made();
    const deleted = await world.api.call(`DELETE /v1/destinations/${id}`);
    expect([deleted.status, deleted.body]).toEqual([200, { id, deleted: true }]);
    expect((await world.api.call("GET /v1/destinations?limit=500")).body.data.map((one: Json) => one.id)).not.toContain(
      id,
    );
  });

  it("every operation on an unknown destination is 404", async () => {
    const requests = ["GET x", "PATCH x", "DELETE x"].concat(
      ["pause", "resume", "enable", "disable", "test", "rotate-secret"].map((verb) => `POST x/${verb}`),
    );
    for (const request of requests) {
      const answer = await world.api.call(request.replace("x", "/v1/destinations/dst_nowhere"));
      expect([request, answer.status, answer.body.error.code]).toEqual([request, 404, "not_found"]);
    }
  });
});
