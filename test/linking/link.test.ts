/** Link tokens and the exchange of public tokens, by the API and in the tables. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { getItemSecret } from "../../src/integrations/items.ts";
import type { Database } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { exchangePublicToken } from "../../src/linking/exchange.ts";
import { takeInExchanges } from "../../src/linking/rescued-exchanges.ts";
import { pruneLinks } from "../../src/linking/forget.ts";
import { tokenSha256 } from "../../src/linking/link-tokens.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { startWorld, type Answer, type World } from "../support/world/index.ts";

let world: World<"api" | "linking">;
let integration: { id: string; url: string };
beforeAll(async () => {
  world = await startWorld({ api: {}, linking: {} });
  const more = { link_client_name: "Acme Budget", country_codes: ["US", "CA"], days_requested: 365 };
  integration = await world.api.integrate(more);
});
afterAll(() => world[Symbol.asyncDispose]());

const create = (more: Record<string, unknown> = {}): Promise<Answer> =>
  world.api.call("POST /v1/link/tokens", {
    body: { integration_id: integration.id, user_id: "ann", products: ["transactions"], ...more },
  });
const exchange = (public_token: string, more: Record<string, unknown> = {}): Promise<Answer> =>
  world.api.call("POST /v1/link/exchange", { body: { integration_id: integration.id, public_token, ...more } });

/** What the simulator was asked for with the token. */
const asked = (linkToken: string) => world.simulator.control.linkToken(linkToken);

/** Finishes a session of a new Link token, and returns its public token. */
async function linked(more: Record<string, unknown> = {}): Promise<{ public_token: string; item_id: string }> {
  const { body } = await create(more);
  const { public_token, item_id } = world.simulator.control.completeLink({ link_token: body.link_token });
  return { public_token: public_token ?? "", item_id };
}

describe("a Link token", () => {
  it("a Link token has the intake URL as its webhook, the user as client_user_id, and the integration's settings", async () => {
    const made = await create();
    expect(made.status, made.text).toBe(201);
    expect(made.body).toEqual({
      link_token: expect.stringMatching(/^link-sandbox-/),
      expiration: expect.stringMatching(/Z$/),
      hosted_link_url: null,
      integration_id: integration.id,
      user_id: "ann",
      item_id: null,
      webhook: integration.url,
      adopt: false,
      request_id: expect.any(String),
    });
    expect(asked(made.body.link_token)).toMatchObject({
      webhook: integration.url,
      client_user_id: "ann",
      client_name: "Acme Budget",
      language: "en",
      country_codes: ["US", "CA"],
      days: 365,
      products: ["transactions"],
    });
    const { rows } = await world.database.query("select * from linking.link_tokens where token_sha256 = $1", [
      tokenSha256(made.body.link_token),
    ]);
    expect(rows).toMatchObject([{ integration_id: integration.id, user_id: "ann", item_id: null, adopt: null }]);
    expect(world.api.logged.join("")).not.toContain(made.body.link_token);
  });

  it("a Link token says what its request says where that differs from the integration, and passes Plaid's other fields on", async () => {
    const more = {
      client_name: "Acme",
      language: "fr",
      country_codes: ["CA"],
      days_requested: 30,
      adopt: true,
      hosted_link: { url_lifetime_seconds: 600 },
      plaid: {
        enable_multi_item_link: true,
        user: { phone_number: "+14155550123" },
        redirect_uri: "https://a.example.com",
      },
    };
    const made = await create(more);
    expect(made.body).toMatchObject({ adopt: true, hosted_link_url: expect.stringMatching(/^https:/) });
    expect(asked(made.body.link_token)).toMatchObject({
      client_name: "Acme",
      language: "fr",
      country_codes: ["CA"],
      days: 30,
      reported: true,
      client_user_id: "ann",
    });
  });

  it("a Link token is refused with each field that is missing, wrong, or that Tartan sets itself", async () => {
    const other = await world.api.integrate();
    const body = {
      integration_id: other.id,
      account_selection: true,
      days_requested: 1000,
      plaid: {
        webhook: "https://elsewhere.example.com",
        user: { client_user_id: "bob" },
        access_token: "access-sandbox-1",
      },
    };
    const refused = await world.api.call("POST /v1/link/tokens", { body });
    expect(refused.status).toBe(400);
    expect(Object.keys(refused.body.error.fields).toSorted()).toEqual([
      "days_requested",
      "plaid.access_token",
      "plaid.user.client_user_id",
      "plaid.webhook",
    ]);
    expect(refused.text).not.toContain("access-sandbox-1");
    const incomplete = await world.api.call("POST /v1/link/tokens", {
      body: { integration_id: other.id, account_selection: true },
    });
    expect(incomplete.body.error.fields).toEqual({
      user_id: expect.stringContaining("is required"),
      client_name: expect.stringContaining("link_client_name"),
      products: expect.stringContaining("transactions"),
      account_selection: expect.stringContaining("item_id"),
    });
    expect((await create({ integration_id: "svi_none" })).status).toBe(404);
    expect((await create({ plaid: { institution_id: "x".repeat(20_000) } })).body.error.fields).toHaveProperty("plaid");
  });

  it("a Link token for update mode carries the item's access token and its user, and a session of it repairs the item", async () => {
    const { public_token, item_id } = await linked({ user_id: "eve" });
    expect((await exchange(public_token, { user_id: "eve" })).status).toBe(201);
    world.simulator.control.breakItem(item_id, { webhooks: false });
    const made = await create({ user_id: undefined, products: undefined, item_id, account_selection: true });
    expect(made.body, made.text).toMatchObject({ item_id, user_id: "eve", adopt: false });
    expect(asked(made.body.link_token)).toMatchObject({ item_id, account_selection: true, client_user_id: "eve" });
    expect(world.simulator.control.completeLink({ link_token: made.body.link_token })).toMatchObject({ item_id });
    expect((await create({ item_id: "item-nowhere" })).status).toBe(409);
  });

  it("what Plaid refuses is answered with its error and no token", async () => {
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/link/token/create", count: 1 });
    const refused = await create();
    expect([refused.status, refused.body.error.code]).toEqual([502, "plaid_error"]);
  });
});

describe("a Link token that is kept", () => {
  const kept = async (integrationId: string): Promise<string[]> =>
    (
      await world.database.query<{ row: string }>(
        "select w::text as row from linking.watched_tokens w where integration_id = $1",
        [integrationId],
      )
    ).rows.map(({ row }) => row);

  it("only a Link token whose sessions Tartan acts on is kept, sealed, and no longer than its integration", async () => {
    const other = await world.api.integrate({ link_client_name: "Acme" });
    const more = { integration_id: other.id };
    await create({ ...more, adopt: false });
    expect(await kept(other.id)).toEqual([]);
    const { link_token } = (await create({ ...more, adopt: true })).body;
    const [row, ...rest] = await kept(other.id);
    expect([rest.length, row?.includes(link_token)]).toEqual([0, false]);
    expect(row).not.toContain(Buffer.from(String(link_token)).toString("hex"));
    expect((await world.api.call(`DELETE /v1/integrations/${other.id}`)).status).toBe(200);
    expect(await kept(other.id)).toEqual([]);
  });
});

describe("the exchange of a public token", () => {
  it("a public token becomes a linked item of the user, whose access token no answer and no table shows in the clear", async () => {
    const { public_token, item_id } = await linked();
    const answer = await exchange(public_token, { user_id: "ann" });
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body).toEqual({
      item_id,
      integration_id: integration.id,
      webhook_id: expect.stringMatching(/^whk_/),
      created: true,
    });
    const secret = await getItemSecret(world.database, world.vault, integration.id, item_id);
    expect(secret).toMatchObject({ access_token: expect.stringMatching(/^access-sandbox-/), user_id: "ann" });
    const webhook = await world.api.call(`GET /v1/webhooks/${answer.body.webhook_id}`);
    expect(webhook.body).toMatchObject({ webhook_type: "ITEM", webhook_code: "CREATED", item_id, user_id: "ann" });
    const { rows } = await world.database.query("select t::text as text from linking.public_tokens t");
    const seen = [answer.text, webhook.text, world.api.logged.join(""), JSON.stringify(rows)].join("");
    expect(seen).not.toContain(public_token);
    const audited = (await world.api.call(`GET /v1/audit?integration_id=${integration.id}&limit=2`)).body.data;
    expect(audited).toMatchObject([
      { action: "public_token.exchanged", target: item_id, actor: "admin key" },
      { action: "link_token.created", target: null, actor: "admin key", details: { user_id: "ann" } },
    ]);
    expect(seen).not.toContain(secret?.access_token);
  });

  it("simultaneous and repeated requests with one public token get one item, and Plaid exchanges it once", async () => {
    const { public_token, item_id } = await linked();
    const before = world.simulator.asked("/item/public_token/exchange");
    const answers = await Promise.all([1, 2, 3].map(() => exchange(public_token)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 201]);
    expect((await exchange(public_token)).body).toMatchObject({ item_id, created: false, webhook_id: null });
    expect(answers.every(({ body }) => body.item_id === item_id)).toBe(true);
    expect(world.simulator.asked("/item/public_token/exchange")).toBe(before + 1);
  });

  it("a public token that Plaid does not know is refused, and the list says that it was exchanged elsewhere", async () => {
    const { public_token } = await linked();
    const { clientId, secret, url } = world.simulator;
    await fetch(`${url}/item/public_token/exchange`, {
      method: "POST",
      headers: { "content-type": "application/json", "plaid-client-id": clientId, "plaid-secret": secret },
      body: JSON.stringify({ public_token }),
    });
    const refused = await exchange(public_token, { user_id: "zoe" });
    expect([refused.status, refused.body.error.code]).toEqual([422, "public_token_refused"]);
    expect(refused.body.error.fields).toHaveProperty("public_token");
    const { body } = await world.api.call("GET /v1/link/adoptions?user_id=zoe");
    expect(body.data).toMatchObject([
      {
        status: "failed",
        reason: "exchanged_elsewhere",
        last_error: "INVALID_PUBLIC_TOKEN",
        adopt: false,
        next_step: expect.stringContaining("ITEM/CREATED"),
      },
    ]);
    expect((await exchange("access-sandbox-not-a-public-token")).body.error.fields).toHaveProperty("public_token");
    expect((await exchange(public_token, { integration_id: "svi_none" })).status).toBe(404);
  });

  it("an exchange whose answer was cut off is lost, and the list says so and what to do", async () => {
    const { public_token } = await linked();
    world.simulator.control.addFault({
      kind: "connection_cut",
      endpoint: "/item/public_token/exchange",
      count: 1,
      after_bytes: 0,
    });
    expect((await exchange(public_token, { user_id: "lou" })).status).toBe(502);
    expect((await exchange(public_token)).body.error.code).toBe("public_token_refused");
    const { body } = await world.api.call("GET /v1/link/adoptions?status=failed&user_id=lou");
    expect(body.data).toMatchObject([{ reason: "lost", attempts: 2, next_step: expect.stringContaining("support") }]);
  });

  it("an access token that Postgres does not store is sealed in a file, and taken in once, without another question to Plaid", async () => {
    const { public_token, item_id } = await linked();
    const { deps } = world.linking;
    const database: Database = {
      query: (...args) => world.database.query(...args),
      listen: (...args) => world.database.listen(...args),
      transaction: (work, kind) =>
        world.database.transaction(async (tx) => {
          await work(tx);
          throw new TartanError("database_unavailable", "Postgres is away.");
        }, kind),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    let hours = 0;
    const clock = { ...deps.clock, now: () => Date.now() + (hours += 1) * 3_600_000 };
    const given = { integration_id: integration.id, public_token, user_id: "ron" };
    const error: unknown = await exchangePublicToken({ ...deps, database, clock }, given).catch((why: unknown) => why);
    const folder = join(deps.dataDir, "rescued-exchanges");
    const [name = "", ...more] = readdirSync(folder);
    const file = join(folder, name);
    expect(more).toEqual([]);
    expect(error).toMatchObject({ code: "database_unavailable", message: expect.stringContaining(file) });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const content = readFileSync(file, "utf8");
    const token = () => getItemSecret(world.database, world.vault, integration.id, item_id);
    expect(await token()).toBeNull();
    const before = world.simulator.asked("/item/public_token/exchange");
    await world.database.query("update linking.public_tokens set next_at = now() where user_id = 'ron'");
    expect(await exchangePublicToken(deps, given)).toMatchObject({ item_id, created: true });
    expect(await token()).toMatchObject({ user_id: "ron" });
    expect(content).not.toContain((await token())?.access_token);
    expect([readdirSync(folder), world.simulator.asked("/item/public_token/exchange")]).toEqual([[], before]);
    // As if the process had died before it deleted the file.
    writeFileSync(file, content);
    expect(await takeInExchanges(deps)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("a passing failure of Plaid leaves the public token to another request, which links its item", async () => {
    const { public_token, item_id } = await linked();
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/public_token/exchange", count: 1 });
    expect((await exchange(public_token)).status).toBe(502);
    expect((await exchange(public_token)).body).toMatchObject({ item_id, created: true });
    const { body } = await world.api.call(`GET /v1/link/adoptions?item_id=${item_id}`);
    expect(body.data).toMatchObject([{ status: "linked", attempts: 2, reason: null, last_error: null }]);
  });

  it("an erased item takes its Link tokens and public tokens along, and old rows of both are deleted", async () => {
    const { public_token, item_id } = await linked();
    await exchange(public_token);
    await create({ item_id, products: undefined });
    const count = async (): Promise<unknown> =>
      (
        await world.database.query(
          `select (select count(*)::int from linking.public_tokens where item_id = $1) as public_tokens,
            (select count(*)::int from linking.link_tokens where item_id = $1) as link_tokens,
            (select count(*)::int from linking.watched_tokens join linking.link_tokens using (token_sha256)
              where item_id = $1) as watched_tokens`,
          [item_id],
        )
      ).rows[0];
    expect(await count()).toEqual({ public_tokens: 1, link_tokens: 1, watched_tokens: 1 });
    expect(await pruneLinks(world.database)).toBe(0);
    await eraseItem(world.database, integration.id, item_id);
    expect(await count()).toEqual({ public_tokens: 0, link_tokens: 0, watched_tokens: 0 });
    await create({ user_id: "old" });
    await world.database.query(
      "update linking.link_tokens set expires_at = now() - interval '8 days' where user_id = 'old'",
    );
    expect(await pruneLinks(world.database)).toBe(1);
  });
});
