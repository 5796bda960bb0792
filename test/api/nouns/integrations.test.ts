import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSimulator } from "../../../src/simulator/index.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const integrationBody = () => ({
  client_id: world.simulator.clientId,
  secret: world.simulator.secret,
  environment: "sandbox",
  plaid_url: world.simulator.url,
});

describe("creating an integration", () => {
  it("creating an integration answers with its id, its intake URL and its webhook secret, once Plaid has accepted the credentials", async () => {
    const made = await world.api.call("POST /v1/integrations", {
      body: { ...integrationBody(), name: "ours", country_codes: ["US", "CA"] },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      id: expect.stringMatching(/^svi_[a-z0-9]{22,}$/),
      url: `${world.api.url}/v1/integrations/${made.body.id}`,
      webhook_secret: expect.stringMatching(/^.{8,}$/),
      credentials_checked: true,
      name: "ours",
      environment: "sandbox",
      country_codes: ["US", "CA"],
      plaid_url: world.simulator.url,
    });
    expect(made.body).not.toHaveProperty("secret");
    expect(made.body).not.toHaveProperty("warning");
  });

  it("creating an integration keeps a given webhook secret", async () => {
    const made = await world.api.integrate({ webhook_secret: "chosen-by-hand" });
    expect(made.webhook_secret).toBe("chosen-by-hand");
  });

  it("creating an integration stores nothing when Plaid refuses the credentials, and names the fields", async () => {
    const before = (await world.api.call("GET /v1/integrations?limit=500")).body.data.length;
    const refused = await world.api.call("POST /v1/integrations", {
      body: { ...integrationBody(), secret: "not-the-secret" },
    });
    expect(refused.status).toBe(422);
    expect(refused.body.error).toMatchObject({
      code: "plaid_credentials_refused",
      fields: { secret: expect.any(String) },
    });
    expect(refused.text).not.toContain("not-the-secret");
    expect((await world.api.call("GET /v1/integrations?limit=500")).body.data).toHaveLength(before);
  });

  it("an integration is created with a warning when Plaid cannot be reached", async () => {
    const gone = await startSimulator();
    await gone[Symbol.asyncDispose]();
    const made = await world.api.call("POST /v1/integrations", { body: { ...integrationBody(), plaid_url: gone.url } });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      credentials_checked: false,
      warning: expect.stringContaining("does not answer"),
    });
  });

  it("creating an integration with verify: false does not ask Plaid, and says so", async () => {
    const made = await world.api.call("POST /v1/integrations", {
      body: { ...integrationBody(), secret: "later", verify: false },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ credentials_checked: false, warning: expect.stringContaining("verify") });
  });

  it("creating an integration refuses a plaid_url whose server is not Plaid", async () => {
    const refused = await world.api.call("POST /v1/integrations", {
      body: { ...integrationBody(), plaid_url: world.api.url },
    });
    expect(refused.status).toBe(422);
    expect(refused.body.error.fields).toHaveProperty("plaid_url");
  });

  it("creating an integration names every invalid field at once with how to fix it", async () => {
    const body = {
      environment: "staging",
      plaid_url: "ftp://x",
      webhook_secret: "short",
      country_codes: ["us"],
      wat: 1,
    };
    const refused = await world.api.call("POST /v1/integrations", { body });
    expect(refused.status).toBe(400);
    expect(refused.body.error.code).toBe("invalid_request");
    expect(refused.body.error.fields).toEqual({
      client_id: "is required",
      secret: "is required",
      environment: "must be sandbox or production",
      plaid_url: "must be an http or https URL",
      webhook_secret: "must be at least 8 characters",
      "country_codes.0": "must be two capital letters, such as US",
      wat: expect.stringContaining("known are client_id, secret, environment"),
    });
  });
});

describe("an integration", () => {
  it("an integration is shown and listed without any secret", async () => {
    const made = await world.api.integrate({ name: "shown" });
    const shown = await world.api.call(`GET /v1/integrations/${made.id}`);
    expect(shown.status).toBe(200);
    expect(Object.keys(shown.body).toSorted()).toEqual([
      "adopt_items",
      "client_id",
      "consumer_report_permissible_purpose",
      "country_codes",
      "created_at",
      "days_requested",
      "enabled_resources",
      "environment",
      "id",
      "include_original_description",
      "link_client_name",
      "link_language",
      "masking_resources",
      "name",
      "plaid_url",
      "revealed_resources",
      "revoked_data",
      "service",
      "updated_at",
      "url",
    ]);
    const listed = await world.api.call("GET /v1/integrations?limit=500");
    expect(listed.body.data).toContainEqual(shown.body);
  });

  it("an integration's options for transactions are set at creation and changed without asking Plaid", async () => {
    const made = await world.api.integrate({ days_requested: 730, include_original_description: true });
    expect(made).toMatchObject({ days_requested: 730, include_original_description: true });
    expect(made).toMatchObject({ revealed_resources: [], enabled_resources: [] });
    const body = { days_requested: null, include_original_description: false, revealed_resources: ["liabilities"] };
    const changed = await world.api.call(`PATCH /v1/integrations/${made.id}`, { body });
    expect(changed.body).toMatchObject(body);
    expect(changed.body).not.toHaveProperty("credentials_checked");
  });

  it("the requests of an integration to Plaid are counted for it, and none for another", async () => {
    const { id } = await world.api.integrate();
    const counted = await world.api.call(`GET /v1/integrations/${id}/calls?from=2026-01-01&to=2026-01-31`);
    expect([counted.status, counted.body]).toEqual([
      200,
      { from: "2026-01-01", to: "2026-01-31", endpoints: [], days: [], total: { calls: 0, failures: 0, billed: 0 } },
    ]);
    expect((await world.api.call("GET /v1/integrations/svi_none/calls")).status).toBe(404);
  });

  it("days_requested outside of Plaid's range is refused by the field's name", async () => {
    const refused = await world.api.call("POST /v1/integrations", {
      body: { ...integrationBody(), days_requested: 731 },
    });
    expect(refused.status).toBe(400);
    expect(refused.body.error.fields).toHaveProperty("days_requested");
  });

  it("an integration's name is changed without asking Plaid", async () => {
    const made = await world.api.integrate();
    const changed = await world.api.call(`PATCH /v1/integrations/${made.id}`, { body: { name: "renamed" } });
    expect(changed.status).toBe(200);
    expect(changed.body.name).toBe("renamed");
    expect(changed.body).not.toHaveProperty("credentials_checked");
  });

  it("a new secret of an integration is stored only if Plaid accepts it with the existing client id", async () => {
    const made = await world.api.integrate();
    const refused = await world.api.call(`PATCH /v1/integrations/${made.id}`, { body: { secret: "wrong" } });
    expect(refused.status).toBe(422);
    const taken = await world.api.call(`PATCH /v1/integrations/${made.id}`, {
      body: { secret: world.simulator.secret },
    });
    expect(taken.body).toMatchObject({ id: made.id, credentials_checked: true });
  });

  it("rotating an integration's webhook secret answers with the new one, and the old one stops working", async () => {
    const made = await world.api.integrate();
    const rotated = await world.api.call(`POST /v1/integrations/${made.id}/rotate_secret`);
    expect(rotated.status).toBe(200);
    expect(rotated.body).toEqual({ id: made.id, webhook_secret: expect.any(String) });
    expect(rotated.body.webhook_secret).not.toBe(made.webhook_secret);
    const post = (secret: string) =>
      world.api.call(`POST /v1/integrations/${made.id}`, {
        key: null,
        body: { webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "an-item" },
        headers: { "tartan-webhook-secret": secret },
      });
    await expect.poll(async () => (await post(rotated.body.webhook_secret)).status).toBe(200);
    expect((await post(made.webhook_secret)).status).toBe(401);
  });

  it("a deleted integration is 404 at its own path, at its verbs and at the intake", async () => {
    const made = await world.api.integrate();
    const deleted = await world.api.call(`DELETE /v1/integrations/${made.id}?purge=true`);
    expect(deleted.body).toEqual({ id: made.id, deleted: true, purged: true });
    for (const request of ["GET ", "DELETE ", "PATCH "]) {
      const { status } = await world.api.call(
        `${request}/v1/integrations/${made.id}`,
        request === "PATCH " ? { body: {} } : {},
      );
      expect([request, status]).toEqual([request, 404]);
    }
    expect((await world.api.call(`POST /v1/integrations/${made.id}/rotate_secret`)).status).toBe(404);
    const posted = () => world.api.call(`POST /v1/integrations/${made.id}`, { key: null, body: {} });
    await expect.poll(async () => (await posted()).status).toBe(404);
  });
  it("a deleted integration can be deleted again with purge=true, which deletes its remaining rows", async () => {
    const made = await world.api.integrate();
    expect((await world.api.call(`DELETE /v1/integrations/${made.id}`)).body).toMatchObject({
      deleted: true,
      purged: false,
    });
    expect((await world.api.call(`DELETE /v1/integrations/${made.id}?purge=true`)).body).toMatchObject({
      purged: true,
    });
    expect((await world.api.call(`DELETE /v1/integrations/${made.id}?purge=true`)).status).toBe(404);
  });
});

it("an intake URL begins with the configured public URL", async () => {
  await using server = await startWorld({ api: { config: { publicUrl: "https://tartan.example.com" } } });
  const made = await server.api.integrate();
  expect(made.url).toBe(`https://tartan.example.com/v1/integrations/${made.id}`);
});
