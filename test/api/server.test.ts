import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, type Call, type World } from "../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

describe("what no route answers", () => {
  it("an unknown path is 404 in the API's shape of errors, with every method", async () => {
    for (const request of ["GET /nope", "POST /v1/nope", "DELETE /v1/webhooks/whk_1/more"]) {
      const answer = await world.api.call(request);
      expect([request, answer.status, answer.body?.error.code]).toEqual([request, 404, "not_found"]);
    }
  });

  it("a known path with another method is 405 with Allow", async () => {
    const answer = await world.api.call("PUT /v1/items/abc");
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS");
    expect(answer.body.error).toMatchObject({
      code: "method_not_allowed",
      message: expect.stringContaining("DELETE, GET"),
    });
  });

  it("OPTIONS is 204 with Allow on a known path, and 404 on an unknown one", async () => {
    const known = await world.api.call("OPTIONS /v1/webhooks");
    expect([known.status, known.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
    expect((await world.api.call("OPTIONS /v1/nope")).status).toBe(404);
  });

  it("HEAD is answered as GET without a body", async () => {
    const head = await world.api.call("HEAD /v1/integrations");
    expect([head.status, head.text]).toEqual([200, ""]);
  });

  it("a slash at the end of a path is ignored", async () => {
    expect((await world.api.call("GET /v1/integrations/")).status).toBe(200);
  });
});

describe("a request that is not usable", () => {
  const refused = async (request: string, options: Parameters<Call>[1]) => {
    const { status, body } = await world.api.call(request, options);
    return { status, ...body.error };
  };

  it("a body that is not JSON is refused without repeating it", async () => {
    const body = '{"client_id": "x", "secret": "very-secret-thing" oops';
    const answer = await world.api.call("POST /v1/integrations", { body });
    expect(answer.body.error).toEqual({ code: "invalid_request", message: expect.stringContaining("not valid JSON") });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain("very-secret");
  });

  it("a body of a type other than JSON is refused", async () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const error = await refused("POST /v1/integrations", { body: "a=b", headers });
    expect(error).toMatchObject({ status: 415, code: "unsupported_media_type" });
    expect(error.message).toContain("Content-Type: application/json");
  });

  it("a body that is not a JSON object, or larger than the limit, is refused", async () => {
    expect(await refused("POST /v1/integrations", { body: "[]" })).toMatchObject({
      fields: { body: "must be a JSON object" },
    });
    const error = await refused("POST /v1/integrations", { body: { name: "x".repeat(1024 * 1024) } });
    expect(error).toMatchObject({ status: 413, code: "body_too_large" });
  });

  it("a body with __proto__ changes no prototype", async () => {
    const error = await refused("POST /v1/integrations", { body: '{"__proto__": {"client_id": "x"}}' });
    expect(error).toMatchObject({ status: 400, code: "invalid_request" });
  });

  it("an empty body is refused with the required fields", async () => {
    const headers = { "content-type": "application/json" };
    expect((await refused("POST /v1/items", { body: "", headers })).fields).toMatchObject({ item_id: "is required" });
    expect((await refused("POST /v1/items", {})).fields).toMatchObject({ item_id: "is required" });
  });

  it("an unknown query parameter is refused with the known ones, on every list", async () => {
    const lists = ["/v1/integrations", "/v1/items", "/v1/items/x/runs", "/v1/webhooks", "/v1/refusals"];
    for (const path of lists) {
      const error = await refused(`GET ${path}?itm_id=abc`, {});
      expect([path, error.status]).toEqual([path, 400]);
      expect(error.fields.itm_id).toContain("known are");
      expect(error.fields.itm_id).toContain("limit, cursor");
    }
  });

  it("an invalid limit or cursor is refused, on every list", async () => {
    for (const path of ["/v1/integrations", "/v1/items", "/v1/webhooks", "/v1/refusals"]) {
      for (const limit of ["0", "501", "-1", "1.5", "ten", ""]) {
        const error = await refused(`GET ${path}?limit=${limit}`, {});
        expect([path, limit, error.status, Object.keys(error.fields)]).toEqual([path, limit, 400, ["limit"]]);
      }
      for (const cursor of ["made-up", "", "W10", "%00", "x".repeat(501)]) {
        const error = await refused(`GET ${path}?cursor=${cursor}`, {});
        expect([path, cursor, error.status, Object.keys(error.fields)]).toEqual([path, cursor, 400, ["cursor"]]);
      }
    }
  });

  it("a request with text that Postgres cannot store is refused and does not fail", async () => {
    for (const request of [
      "GET /v1/items?user_id=%00",
      "GET /v1/webhooks?type=a%00b",
      "GET /v1/items/%00",
      "GET /v1/integrations/%00",
    ])
      expect([request, (await world.api.call(request)).status]).toEqual([request, 400]);
    const body = { name: "half \ud800 a pair" };
    expect((await refused("POST /v1/integrations", { body })).fields).toMatchObject({
      name: "has characters that cannot be stored",
    });
  });

  it("a path that is not valid percent-encoding is refused", async () => {
    expect(await refused("GET /v1/items/%zz", {})).toMatchObject({ status: 400, code: "invalid_request" });
  });
});

describe("every answer", () => {
  it("every answer carries the security headers and a request id, even a refusal", async () => {
    for (const request of [
      "GET /v1/items",
      "GET /v1/items?x=1",
      "GET /nope",
      "GET /livez",
      "GET /docs",
      "GET /openapi.json",
    ]) {
      const { headers } = await world.api.call(request);
      expect([request, headers.get("x-content-type-options")]).toEqual([request, "nosniff"]);
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("x-request-id")).toMatch(/^req_\w+_\d+$/);
    }
    expect((await world.api.call("GET /v1/items")).headers.get("cache-control")).toBe("no-store");
  });

  it("every answer has an id of its own, which the log line also has and which no client chooses", async () => {
    const { headers } = await world.api.call("GET /v1/items", { headers: { "x-request-id": "mine" } });
    const id = headers.get("x-request-id");
    expect(id).not.toBe("mine");
    await expect.poll(() => world.api.logged.filter((line) => line.includes(`"${id}"`))).toHaveLength(1);
  });

  it("every answer leaves one log line with method, route pattern, status and milliseconds, and no content", async () => {
    const answer = await world.api.call("GET /v1/items/an-id-of-mine?integration_id=svi_secretish");
    const id = answer.headers.get("x-request-id") ?? "";
    await expect.poll(() => world.api.logged.find((line) => line.includes(id))).toBeDefined();
    const line = world.api.logged.find((line) => line.includes(id)) ?? "";
    expect(JSON.parse(line)).toMatchObject({
      method: "GET",
      route: "/v1/items/:item_id",
      status: 404,
      ms: expect.any(Number),
    });
    expect(line).not.toMatch(/an-id-of-mine|secretish|Bearer|an-api-key/);
  });
});

it("bytes that are not HTTP are answered in the API's shape of errors, and the connection is closed", async () => {
  const { port } = new URL(world.api.url);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.write("\x16\x03\x01 not http\r\n\r\n"));
    let text = "";
    socket
      .on("data", (data) => (text += data))
      .on("close", () => resolve(text))
      .on("error", reject);
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain('{"error":{"code":"invalid_request"');
});
