import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { toWebhookId } from "../../src/model/ids.ts";
import { dispatch, readStream } from "./event-support.ts";
import { routesOf } from "./routes.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type Answer, type Call, type World } from "../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

it("no answer and no log line holds a token or a secret, except the two answers with the webhook secret", async () => {
  const token = "access-sandbox-11111111-2222-3333-4444-555555555555";
  const chosen = "webhook-secret-chosen-for-this-test";
  const rotated = "webhook-secret-rotated-for-this-test";
  const plaidSecret = "plaid-secret-of-this-test";
  const secrets = [token, chosen, rotated, plaidSecret];
  const { id } = await world.api.integrate({ webhook_secret: chosen, secret: plaidSecret, verify: false });
  const rotation = await world.api.call(`POST /v1/integrations/${id}/rotate_secret`, {
    body: { webhook_secret: rotated },
  });
  expect(rotation.body.webhook_secret).toBe(rotated);

  const texts: string[] = [];
  const call: Call = async (request, options) => {
    const answer = await world.api.call(request, options);
    texts.push(`${request} → ${answer.status} ${answer.text} ${JSON.stringify([...answer.headers])}`);
    return answer;
  };
  const item = { integration_id: id, item_id: "kept-quiet", access_token: token };
  await call("POST /v1/items", { body: { ...item, user_id: "someone" } });
  const headers = { "whdb-webhook-secret": rotated };
  const created = { webhook_type: "ITEM", webhook_code: "CREATED", item_id: "kept-quiet-too", access_token: token };
  await expect
    .poll(async () => (await call(`POST /v1/integrations/${id}`, { key: null, body: created, headers })).status)
    .toBe(200);
  // And what is refused: misspelt, misplaced, malformed, at the wrong path.
  await call("POST /v1/items", { body: { ...item, item_id: 5, acess_token: token } });
  await call("POST /v1/items", { body: `{"access_token": "${token}", oops` });
  await call("POST /v1/integrations", { body: { client_id: "c", secret: plaidSecret, environment: plaidSecret } });
  await call("POST /v1/integrations", {
    body: { client_id: "c", secret: plaidSecret, environment: "sandbox", plaid_url: world.simulator.url },
  });
  await call(`PATCH /v1/integrations/${id}`, { body: { secret: plaidSecret, plaid_url: "x" } });
  await call(`PATCH /v1/integrations/${id}`, { body: { secret: plaidSecret, client_id: "d" } });
  await call(`POST /v1/integrations/${id}`, { key: null, body: created, headers: { "whdb-webhook-secret": chosen } });
  await call(`POST /v1/integrations/${id}`, { key: null, body: { ...created, item_id: 7 }, headers });
  await call("GET /v1/items?access_token=1");
  await call("DELETE /v1/items/kept-quiet?remove_at_plaid=true");

  const parameters: Record<string, string> = { ":id": id, ":item_id": "kept-quiet" };
  for (const route of routesOf(world.api.app).filter((route) => route.startsWith("GET ")))
    await call(route.replaceAll(/:\w+/g, (name) => parameters[name] ?? name));
  for (const { id: webhook } of (await call("GET /v1/webhooks")).body.data) await call(`GET /v1/webhooks/${webhook}`);

  for (const secret of secrets) {
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    expect(world.api.logged.filter((line) => line.includes(secret))).toEqual([]);
  }
});

it("no answer and no log line holds a header's value or a signing secret, except answers with a new secret", async () => {
  const mine = `whsec_${Buffer.alloc(32, 5).toString("base64")}`;
  const header = "Bearer header-value-of-this-test";
  const body = { url: "https://receiver.example.com/", headers: { Authorization: header }, signing_secret: mine };
  const made = await world.api.call("POST /v1/destinations", { body });
  expect([made.status, made.body.signing_secret, made.text.includes(header)]).toEqual([201, mine, false]);
  const { id } = made.body;
  const handed = [mine];
  for (const scheme of ["v1", "v1a"]) {
    const rotated = await world.api.call(`POST /v1/destinations/${id}/rotate-secret`, { body: { scheme } });
    expect([rotated.status, rotated.text.includes(mine)]).toEqual([200, false]);
    handed.push(rotated.body.signing_secret);
  }
  const texts: string[] = [];
  const call = async (request: string, sent?: unknown): Promise<void> => {
    const answer = await world.api.call(request, sent === undefined ? {} : { body: sent });
    texts.push(`${request} → ${answer.status} ${answer.text} ${JSON.stringify([...answer.headers])}`);
  };
  // What is refused repeats nothing either, wherever a secret was put by mistake.
  await call("POST /v1/destinations", { ...body, url: "ftp://x", timeout_ms: header });
  await call("POST /v1/destinations", { ...body, headers: { [header]: "x", "x-fine": `${header}\n` } });
  await call("POST /v1/destinations", { ...body, signing_secret: `${mine}=`, signing_scheme: mine });
  await call("POST /v1/destinations", { ...body, url: `https://user:${handed[1]}@receiver.example.com/` });
  await call("POST /v1/destinations", `{"signing_secret": "${mine}", oops`);
  await call(`PATCH /v1/destinations/${id}`, { headers: { authorization: header, host: header } });
  await call(`PATCH /v1/destinations/${id}`, { headers: { authorization: header }, name: "changed" });
  await call(`POST /v1/destinations/${id}/rotate-secret`, { secret: mine, scheme: "v1a" });
  for (const verb of ["pause", "resume", "disable", "enable"]) await call(`POST /v1/destinations/${id}/${verb}`);
  const { body: route } = await world.api.call("POST /v1/routes", { body: { destination_id: id } });
  const parameters: Record<string, string> = { ":id": id };
  for (const path of routesOf(world.api.app).filter((one) => one.startsWith("GET ")))
    await call(path.replaceAll(/:\w+/g, (name) => (path.includes("/routes/") ? route.id : parameters[name]) ?? name));
  await call(`DELETE /v1/destinations/${id}`);
  for (const secret of [header, "header-value-of-this-test", ...handed]) {
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    expect(world.api.logged.filter((line) => line.includes(secret))).toEqual([]);
  }
});

it("no answer, event or preview shows the public tokens and link tokens of Plaid's LINK webhooks", async () => {
  const { id: integration } = await world.api.integrate();
  const secret = "b0e2c4ee-a763-4df5-bfe9-46a46bce993d";
  const body = {
    webhook_type: "LINK",
    webhook_code: "SESSION_FINISHED",
    status: "SUCCESS",
    link_token: `link-sandbox-${secret}`,
    public_tokens: [`public-sandbox-${secret}`],
  };
  const destination = await world.api.call("POST /v1/destinations", { body: { url: "http://127.0.0.1:9/" } });
  const definition = { destination_id: destination.body.id, filter: { types: ["webhook.received"] }, form: "original" };
  const route = await world.api.call("POST /v1/routes", { body: definition });
  const linked = webhook({
    integrationId: integration,
    itemId: null,
    webhookType: "LINK",
    webhookCode: "SESSION_FINISHED",
    body: Buffer.from(JSON.stringify(body, null, 2)),
  });
  await append(world.database, [linked]);
  await dispatch(world);
  const texts: string[] = [];
  const call = async (request: string, options?: { body: unknown }): Promise<Answer> => {
    const answer = await world.api.call(request, options);
    expect([request, answer.status]).toEqual([request, expect.toBeOneOf([200, 201])]);
    texts.push(answer.text);
    return answer;
  };
  const shown = await call(`GET /v1/webhooks/${toWebhookId(linked.id)}`);
  expect(shown.body).toMatchObject({ tokens_cut: true, webhook: { link_token: "[cut]", public_tokens: ["[cut]"] } });
  expect(shown.body.webhook.status).toBe("SUCCESS");
  await call("GET /v1/webhooks?type=LINK");
  const events = await call(`GET /v1/events?integration_id=${integration}`);
  expect(events.body.data[0].data).toMatchObject({ tokens_cut: true, webhook: { link_token: "[cut]" } });
  await call(`GET /v1/events/${events.body.data[0].id}`);
  const { data: deliveries } = (await call(`GET /v1/deliveries?destination_id=${destination.body.id}`)).body;
  await call(`GET /v1/deliveries/${deliveries[0].id}`);
  const sent = await call(`GET /v1/deliveries/${deliveries[0].id}/body`);
  expect(sent.text).toContain('"link_token": "[cut]"');
  const { destination_id: _, ...previewed } = definition;
  const preview = await call("POST /v1/routes/preview", { body: { definition: previewed } });
  expect(preview.text).toContain("[cut]");
  expect(route.status).toBe(201);
  const { events: streamed } = await readStream(
    world.api,
    { query: `cursor=start&integration_id=${integration}` },
    (read) => read.events.length > 0,
  );
  texts.push(...streamed.map(({ data }) => data));
  expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  expect(world.api.logged.filter((line) => line.includes(secret))).toEqual([]);
});

it("an answer holds only its declared fields, even if the code returns more", async () => {
  const { id } = await world.api.integrate();
  const body = { integration_id: id, item_id: "cut", access_token: "access-sandbox-cut" };
  await world.api.call("POST /v1/items", { body });
  const summary = { outcome: "synced" };
  const sql = `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
    values ('0192f3a8-7d01-7c3e-8b2a-000000000001', $1, 'item', 'cut', now(), now(), 'synced', 1, $2)`;
  await world.database.query(sql, [id, JSON.stringify(summary)]);
  const allowed = (await world.api.call("GET /openapi.json")).body.components.schemas;
  const shown = {
    Item: (await world.api.call("GET /v1/items/cut")).body,
    Webhook: (await world.api.call("GET /v1/webhooks")).body.data[0],
    Run: (await world.api.call("GET /v1/items/cut/runs")).body.data[0],
    Integration: (await world.api.call(`GET /v1/integrations/${id}`)).body,
  };
  for (const [name, value] of Object.entries(shown))
    for (const key of Object.keys(value))
      expect([name, Object.keys(allowed[name].properties)]).toEqual([name, expect.arrayContaining([key])]);
});

it("an answer that does not match its schema is not sent, and the log names its fields without their values", async () => {
  const { id } = await world.api.integrate();
  await world.database.query(
    "insert into journal.refusals (integration_id, reason, detail, count) values ($1, 'odd', 'a-detail-indeed', 1)",
    [id],
  );
  await world.database.query("alter table journal.refusals alter column body_bytes type text using 'not-a-number'");
  const answer = await world.api.call(`GET /v1/refusals?integration_id=${id}`);
  await world.database.query("alter table journal.refusals alter column body_bytes type integer using 0");
  expect([answer.status, answer.body.error.code]).toEqual([500, "internal"]);
  const lines = world.api.logged.filter((line) => line.includes("not as declared"));
  expect(lines).toEqual([expect.stringContaining("data.0.body_bytes")]);
  expect(answer.text + lines.join("")).not.toMatch(/not-a-number|a-detail-indeed/);
});
