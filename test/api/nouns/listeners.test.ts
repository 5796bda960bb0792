import { afterAll, beforeAll, expect, it } from "vitest";
import { deleteIntegration } from "../../../src/lifecycle/integrations.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { logEvent } from "../../listeners/auth0-events.ts";
import { until } from "../../support/until.ts";

let world: World<"api" | "sync">;
beforeAll(async () => {
  world = await startWorld({ api: {}, sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const call: World<"api">["api"]["call"] = (...given) => world.api.call(...given);

it("a listener is created with a token that is shown once, listed with its URL, changed, rotated and deleted, and each is in the audit log", async () => {
  const { id: integration_id } = await world.api.integrate();
  const made = await call("POST /v1/listeners", {
    body: { kind: "auth0", integration_id, cut_prefix: "auth0|", reason: "logins" },
  });
  expect(made.status).toBe(201);
  const { id, token } = made.body;
  expect(made.body).toMatchObject({
    id: expect.stringMatching(/^lsn_[a-z0-9]{24}$/),
    token: expect.stringMatching(/^lst_.{43}$/),
    url: `${world.api.url}/v1/listeners/${id}`,
    name: "Logins from Auth0",
    throttle_s: 900,
    event_types: ["s", "scoa", "sens"],
    counts: { logins: 0, webhooks: 0 },
    last_received_at: null,
  });
  const shown = await call(`GET /v1/listeners/${id}`);
  expect(shown.body).toEqual({ ...made.body, token: undefined });
  const listed = await call("GET /v1/listeners?limit=500");
  expect(listed.body.data).toEqual([shown.body]);
  expect(shown.text + listed.text).not.toContain(token);

  const changed = await call(`PATCH /v1/listeners/${id}`, { body: { throttle_s: 60, cut_prefix: null } });
  expect(changed.body).toMatchObject({ throttle_s: 60, cut_prefix: null, event_types: ["s", "scoa", "sens"] });
  const rotated = await call(`POST /v1/listeners/${id}/rotate`, { body: {} });
  expect(rotated.body.token).toMatch(/^lst_/);
  expect(rotated.body.token).not.toBe(token);
  expect((await call(`DELETE /v1/listeners/${id}?reason=over`)).body).toEqual({ id, deleted: true });
  expect((await call(`GET /v1/listeners/${id}`)).status).toBe(404);

  const { body } = await call(`GET /v1/audit?target=${id}`);
  expect(body.data).toMatchObject([
    { action: "listener.deleted", actor: "admin key", integration_id, reason: "over" },
    { action: "listener.rotated" },
    { action: "listener.changed", details: { fields: ["throttle_s", "cut_prefix"] } },
    { action: "listener.created", reason: "logins", details: { kind: "auth0" } },
  ]);
  expect(JSON.stringify(body) + world.api.logged.join("")).not.toContain(token);
});

it("a listener with settings that cannot be used is refused with each field, and one that does not exist with 404", async () => {
  const cases: [Record<string, unknown>, string[]][] = [
    [{}, ["kind"]],
    [{ kind: "okta" }, ["kind"]],
    [{ kind: "auth0", throttle_s: 59, event_types: [], name: " " }, ["throttle_s", "event_types", "name"]],
    [{ kind: "auth0", event_types: ["S"], token: "short", cut_prefix: "" }, ["event_types.0", "token", "cut_prefix"]],
    [{ kind: "generic", event_types: ["s"] }, ["event_types"]],
    [{ kind: "generic", token: " starts-with-a-blank" }, ["token"]],
  ];
  for (const [body, fields] of cases) {
    const refused = await call("POST /v1/listeners", { body });
    expect([refused.status, Object.keys(refused.body.error.fields).toSorted()]).toEqual([400, fields.toSorted()]);
    if (typeof body["token"] === "string") expect(refused.text).not.toContain(body["token"]);
  }
  const nowhere = { kind: "generic", integration_id: "svi_none" };
  expect((await call("POST /v1/listeners", { body: nowhere })).status).toBe(404);
  for (const request of ["GET /v1/listeners/lsn_none", "PATCH /v1/listeners/lsn_none", "DELETE /v1/listeners/lsn_none"])
    expect((await call(request, request.startsWith("PATCH") ? { body: {} } : {})).status).toBe(404);
  const own = (await call("POST /v1/listeners", { body: { kind: "generic" } })).body;
  const change = await call(`PATCH /v1/listeners/${own.id}`, { body: { event_types: ["s"] } });
  expect([change.status, Object.keys(change.body.error.fields)]).toEqual([400, ["event_types"]]);
});

it("a login that Auth0 reports has the user's item synced, and its webhook carries the summary of the run", async () => {
  const { id: integration_id } = await world.api.integrate();
  const [item] = world.integration.makeItems(1, 8);
  await call("POST /v1/items", { body: { integration_id, ...item, user_id: "user-of-a-login" } });
  await using worker = await world.sync.start();
  const verifiedAt = async () => (await call(`GET /v1/items/${item?.item_id}`)).body.verified_at;
  await until("the first sync", async () => (await verifiedAt()) !== null);
  await worker.idle();
  await world.database.query("update sync.subjects set verified_at = now() - interval '1 hour'");
  world.simulator.control.changeTransactions(item?.item_id ?? "", { add: 3, webhooks: false });

  const { id, token } = (await call("POST /v1/listeners", { body: { kind: "auth0", cut_prefix: "auth0|" } })).body;
  const body = logEvent({ user_id: "auth0|user-of-a-login", date: new Date().toISOString() });
  const answer = await call(`POST /v1/listeners/${id}`, { key: null, headers: { authorization: token }, body });
  expect(answer.body).toEqual({ ok: true, logins: 1, ignored: 0, unknown_users: 0, webhooks: 1, fresh: 0 });
  await until("the login's run", async () => {
    const { body: page } = await call("GET /v1/webhooks?source=FROM_LISTENER&user_id=user-of-a-login");
    return page.data[0]?.update_info?.total_transactions === 11;
  });
  expect(Date.parse(await verifiedAt())).toBeGreaterThan(Date.now() - 600_000);
});

it("the listeners of a deleted integration are gone, and those of all integrations stay", async () => {
  const { id: integration_id } = await world.api.integrate();
  const make = async (more: object) =>
    (await call("POST /v1/listeners", { body: { kind: "generic", ...more } })).body.id as string;
  const [own, all] = [await make({ integration_id }), await make({})];
  await deleteIntegration(world.database, integration_id);
  expect((await call(`GET /v1/listeners/${own}`)).status).toBe(404);
  expect((await call(`GET /v1/listeners/${all}`)).status).toBe(200);
});
