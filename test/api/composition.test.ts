import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { startWorld } from "../support/world/index.ts";

it("when Tartan fails, the answer names the request and nothing else, and the log has the details", async () => {
  await using world = await startWorld({ api: {} });
  await world.database.query("alter table journal.refusals rename to elsewhere");
  const answer = await world.api.call("GET /v1/refusals");
  expect(answer.status).toBe(500);
  expect(answer.body.error).toEqual({
    code: "internal",
    message: expect.stringContaining(answer.headers.get("x-request-id") ?? "?"),
  });
  expect(world.api.logged.some((line) => line.includes("request failed") && line.includes("42P01"))).toBe(true);
});

it("while Postgres is down every answer is 503 with Retry-After", async () => {
  await using world = await startWorld({ api: {} });
  await world.api.call("GET /v1/items");
  await world.database[Symbol.asyncDispose]();
  for (const request of [
    "GET /v1/items",
    "GET /v1/webhooks",
    "POST /v1/items/x/sync",
    "GET /v1/status",
    "GET /v1/destinations",
    "GET /v1/deliveries",
    "POST /v1/jobs/x/pause",
    "GET /v1/events?wait_s=30",
    "GET /v1/events/stream",
  ]) {
    const { status, body, headers } = await world.api.call(request);
    expect([request, status, body.error.code]).toEqual([request, 503, "database_unavailable"]);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  }
});

it("a server that closes finishes running answers", async () => {
  await using world = await startWorld({ api: {} });
  await world.api.call("GET /v1/integrations");
  let release: () => void = () => undefined;
  const locked = new Promise<void>((resolve) => {
    void world.database.transaction(async (tx) => {
      await tx.query("lock table tartan.integrations in access exclusive mode");
      resolve();
      await new Promise<void>((go) => (release = go));
    });
  });
  await locked;
  const answer = world.api.call("GET /v1/integrations");
  const waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
  await expect.poll(async () => (await world.database.query(waiting)).rowCount).toBe(1);
  const closed = world.api.door.close();
  release();
  expect((await answer).status).toBe(200);
  await closed;
  await expect(world.api.call("GET /livez")).rejects.toThrow();
});

it("a server that closes does not wait for idle connections", { timeout: 20_000 }, async () => {
  await using world = await startWorld({ api: {} });
  const accepted = new Promise((resolve) => world.api.door.server.once("connection", resolve));
  const socket = connect(Number(new URL(world.api.url).port), "127.0.0.1");
  await accepted;
  const ended = new Promise((resolve) => socket.once("close", resolve));
  await world.api.door.close();
  await ended;
});

it.each([
  "POST /v1/x HTTP/1.1\r\nHost",
  "POST /v1/integrations/svi_x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
])("a server that closes does not wait for ever for the rest of a request: %j", { timeout: 30_000 }, async (sent) => {
  await using world = await startWorld({ api: {} });
  const accepted = new Promise<Socket>((resolve) => world.api.door.server.once("connection", resolve));
  const socket = connect(Number(new URL(world.api.url).port), "127.0.0.1", () => socket.write(sent));
  socket.on("error", () => undefined);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  const seen = await accepted;
  await expect.poll(() => seen.bytesRead).toBe(sent.length);
  await world.api.door.close();
  await ended;
});

describe("trusted proxies", () => {
  const addressSeen = async (trustedProxies: string[]) => {
    await using world = await startWorld({ api: { config: { trustedProxies } } });
    const { id } = await world.api.integrate();
    const headers = { "x-forwarded-for": "203.0.113.9" };
    await world.api.call(`POST /v1/integrations/${id}`, { key: null, body: {}, headers });
    const list = async () => (await world.api.call("GET /v1/refusals")).body.data;
    await expect.poll(list, { timeout: 5000 }).toHaveLength(1);
    return (await list())[0].remote_address;
  };

  it("X-Forwarded-For is trusted from trusted proxies only", async () => {
    expect(await addressSeen(["127.0.0.0/8"])).toBe("203.0.113.9");
    expect(await addressSeen(["10.0.0.1"])).toBe("127.0.0.1");
    expect(await addressSeen([])).toBe("127.0.0.1");
  });

  it("every invalid entry of the trusted proxies is refused by name", async () => {
    const start = startWorld({ api: { config: { trustedProxies: ["10.0.0.0/8", "10.0.0.0/33", "my-proxy"] } } });
    await expect(start).rejects.toThrow("TARTAN_TRUSTED_PROXIES: 10.0.0.0/33, my-proxy: neither");
  });
});

describe("roles", () => {
  it("a process without the role api serves only intake and probes, and its 404 names the missing role", async () => {
    await using world = await startWorld({ api: { roles: { receiver: true, api: false } } });
    const missing = await world.api.call("GET /v1/items");
    expect([missing.status, missing.body.error.message]).toEqual([
      404,
      expect.stringContaining("without the role api"),
    ]);
    expect((await world.api.call("GET /v1/integrations/svi_x")).headers.get("allow")).toContain("POST");
    expect((await world.api.call("GET /openapi.json")).status).toBe(404);
    expect((await world.api.call("GET /livez")).status).toBe(200);
    expect((await world.api.call("POST /v1/integrations/svi_unknown", { key: null, body: {} })).status).toBe(404);
  });

  it("a process without the role receiver answers a webhook with 405 and the reason, and Plaid sends it again", async () => {
    await using world = await startWorld({ api: { roles: { receiver: false, api: true } } });
    const made = await world.api.integrate();
    const posted = await world.api.call(`POST /v1/integrations/${made.id}`, { key: null, body: {} });
    expect([posted.status, posted.body.error.message]).toEqual([
      405,
      expect.stringContaining("without the role receiver"),
    ]);
    const old = await world.api.call("POST /v1/service_integrations/svi_x", { key: null, body: {} });
    expect([old.status, old.body.error.message]).toEqual([404, expect.stringContaining("without the role receiver")]);
  });
});
