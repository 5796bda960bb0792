import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resetAdminKey } from "../../../src/integrations/api-keys.ts";
import { routesOf } from "../routes.ts";
import { KEY, startWorld, type World } from "../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

/** They have proofs of their own: Plaid's signature, your webhook secret, or a listener's token. */
const INTAKE = ["POST /v1/integrations/:id", "POST /v1/service_integrations/:id", "POST /v1/listeners/:id"];

describe("without an API key", () => {
  it("without an API key every operation under /v1 except those that take in webhooks and logins answers 401 before it checks anything else", async () => {
    const guarded = routesOf(world.api.app).filter((route) => route.includes(" /v1/") && !INTAKE.includes(route));
    expect(guarded.length).toBeGreaterThan(15);
    for (const route of guarded) {
      const request = route.replaceAll(/:\w+/g, "whatever");
      const { status, body, headers } = await world.api.call(`${request}?nonsense=1`, { key: null });
      expect([route, status]).toEqual([route, 401]);
      expect(headers.get("www-authenticate")).toBe('Bearer realm="tartan"');
      if (!route.startsWith("HEAD")) expect(body.error).toMatchObject({ code: "unauthorized" });
    }
  });

  it("the body of a request without an API key is not read", async () => {
    expect((await world.api.call("POST /v1/items", { key: null, body: "{" })).status).toBe(401);
  });

  it("the answer to a request without an API key says how to fix it", async () => {
    const { body } = await world.api.call("GET /v1/items", { key: null });
    expect(body.error.message).toContain("Authorization: Bearer <API key>");
  });
});

describe("an API key", () => {
  it("an API key is accepted in any case and spacing of the scheme", async () => {
    for (const authorization of [`Bearer ${KEY}`, `bearer ${KEY}`, `Bearer   ${KEY} `])
      expect((await world.api.call("GET /v1/items", { key: null, headers: { authorization } })).status).toBe(200);
  });

  it("an API key that is wrong, empty, of another scheme or too long is refused and not repeated", async () => {
    const wrong = [
      "Bearer not-the-key-at-all",
      "Bearer ",
      "Bearer",
      `Basic ${KEY}`,
      KEY,
      `Bearer ${KEY} x`,
      `Bearer ${"k".repeat(8000)}`,
    ];
    for (const authorization of wrong) {
      const { status, text } = await world.api.call("GET /v1/items", { key: null, headers: { authorization } });
      expect([authorization.slice(0, 30), status]).toEqual([authorization.slice(0, 30), 401]);
      expect(text).not.toContain("not-the-key-at-all");
    }
  });

  it("an unknown API key that is well formed is 401", async () => {
    const unknown = [
      KEY.slice(0, -1) + (KEY.endsWith("x") ? "y" : "x"),
      KEY.toUpperCase(),
      [...KEY].toReversed().join(""),
      `tak_${"A".repeat(43)}`,
    ];
    for (const key of unknown) {
      const { status, body } = await world.api.call("GET /v1/items", { key });
      expect([status, body.error.code]).toEqual([401, "unauthorized"]);
    }
    expect((await world.api.call("GET /v1/items")).status).toBe(200);
  });

  it("an API key in the query string is refused as an unknown parameter", async () => {
    expect((await world.api.call(`GET /v1/items?api_key=${KEY}`, { key: null })).status).toBe(401);
  });

  it("an API key that was reset is refused", async () => {
    await using other = await startWorld({ api: {} });
    expect((await other.api.call("GET /v1/items")).status).toBe(200);
    const { key } = await resetAdminKey(other.database);
    expect((await other.api.call("GET /v1/items")).status).toBe(401);
    expect((await other.api.call("GET /v1/items", { key })).status).toBe(200);
  });
});
