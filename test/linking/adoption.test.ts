/** Adoption: public tokens in Plaid's webhooks become items, each once, with others at work on them too. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { lookInto } from "../../src/linking/sessions.ts";
import { silentLogger } from "../../src/logger.ts";
import { markAll } from "../support/mark.ts";
import { webhookBody } from "../support/plaid-signer.ts";
import { until } from "../support/until.ts";
import { webhook } from "../support/webhook.ts";
import { eventsOf, exchangeAtPlaid, sessionOf } from "./support.ts";
import { startWorld, type Json, type World } from "../support/world/index.ts";

let world: World<"api" | "sync" | "linking">;
let adopting: { id: string; url: string; webhook_secret: string };
let leaving: { id: string };
beforeAll(async () => {
  world = await startWorld({ api: {}, sync: {}, linking: {} });
  adopting = await world.api.integrate({ link_client_name: "Acme", adopt_items: true });
  leaving = await world.api.integrate({ link_client_name: "Acme" });
  await world.sync.start();
  await world.linking.start({ graceMs: 0 });
  await world.linking.start({ graceMs: 0 });
});
afterAll(() => world[Symbol.asyncDispose]());

let sessions = 0;
/** A Link token of a hosted session, for a user of its own. */
async function hosted(more: Record<string, unknown> = {}): Promise<{ link_token: string; user_id: string }> {
  const user_id = `user-${(sessions += 1)}`;
  const body = { integration_id: adopting.id, user_id, products: ["transactions"], hosted_link: {}, ...more };
  const made = await world.api.call("POST /v1/link/tokens", { body });
  if (made.status !== 201) throw new Error(made.text);
  return { link_token: made.body.link_token, user_id };
}

const adoptions = async (query: string): Promise<Json[]> =>
  (await world.api.call(`GET /v1/link/adoptions?${query}`)).body.data;
/** The adoptions of a user, once there are `count` and all of them are settled. */
async function settled(user: string, count: number): Promise<Json[]> {
  let found: Json[] = [];
  const isOver = ({ status }: Json): boolean => status === "linked" || status === "failed";
  await until(`the end of ${count} adoptions`, async () => {
    found = await adoptions(`user_id=${user}`);
    return found.length === count && found.every(isOver);
  });
  return found;
}
const webhooks = async (query: string): Promise<Json[]> =>
  (await world.api.call(`GET /v1/webhooks?limit=500&${query}`)).body.data;
const events = (type: string): Promise<Json[]> => eventsOf(world, type);

const quietSession = () => sessionOf(world);
const spend = (publicToken: string): Promise<Json> => exchangeAtPlaid(world, publicToken);

const tell = (fields: Record<string, unknown>, webhook_code = "ITEM_ADD_RESULT", url = adopting.url) =>
  world.simulator.control.sendWebhook({
    url,
    webhook_type: "LINK",
    webhook_code,
    fields: { link_token: "link-sandbox-x", ...fields },
  });

const adoptionOf = async (session: string): Promise<Json> => {
  const find = async () =>
    (await adoptions(`integration_id=${adopting.id}&limit=500`)).find((one) => one.link_session_id === session);
  await until("the end of the adoption", async () => ["linked", "failed"].includes((await find())?.status));
  return find();
};

describe("adoption", () => {
  it("a hosted session's item is adopted once though two webhooks bring its public token, with the Link token's user", async () => {
    const before = world.simulator.asked("/item/public_token/exchange");
    const { link_token, user_id } = await hosted();
    const { item_id, public_token } = world.simulator.control.completeLink({ link_token });
    const [adoption] = await settled(user_id, 1);
    expect(adoption).toMatchObject({ status: "linked", item_id, user_id, adopt: true, attempts: 1, reason: null });
    expect(world.simulator.asked("/item/public_token/exchange")).toBe(before + 1);
    await until(
      "the item's first sync",
      async () => (await world.api.call(`GET /v1/items/${item_id}`)).body.status === "ok",
    );
    expect((await world.api.call(`GET /v1/items/${item_id}`)).body).toMatchObject({
      user_id,
      integration_id: adopting.id,
    });
    const shows = async () =>
      (await webhooks(`user_id=${user_id}&type=LINK`)).filter(({ webhook_code }) => webhook_code !== "EVENTS");
    await until(
      "the webhooks' outcome",
      async () =>
        (await shows()).filter(({ update_info }) => update_info?.outcome && update_info.adoptions).length === 2,
    );
    const both = await shows();
    for (const { update_info } of both)
      expect(update_info.adoptions).toEqual([
        { id: adoption.id, status: "linked", item_id, reason: null, last_error: null },
      ]);
    const recorded = (await events("link.adopted")).filter((event) => event.item_id === item_id);
    expect(recorded).toMatchObject([{ user_id, data: { public_token_id: adoption.id, created: true } }]);
    expect((await events("item.linked")).filter((event) => event.item_id === item_id)).toHaveLength(1);
    expect(both.map(({ id }) => id)).toContain(adoption.webhook_id);
    const shown = [
      JSON.stringify(both),
      JSON.stringify(await adoptions("")),
      JSON.stringify(recorded),
      world.api.logged.join(""),
    ];
    expect(shown.join("")).not.toContain(public_token);
    const created = (await webhooks(`item_id=${item_id}&code=CREATED`))[0];
    expect(created).toMatchObject({
      source: "BACKEND",
      webhook: { adopted_from: { webhook_id: adoption.webhook_id } },
    });
  });

  it("each item of a session that adds several is adopted", async () => {
    const { link_token, user_id } = await hosted({ plaid: { enable_multi_item_link: true } });
    const { item_ids } = world.simulator.control.completeLink({ link_token, items: 3 });
    const found = await settled(user_id, 3);
    expect(found.map(({ item_id }) => item_id).toSorted()).toEqual(item_ids?.toSorted());
    const finished = async () =>
      (await webhooks(`user_id=${user_id}&code=SESSION_FINISHED`))[0]?.update_info?.adoptions;
    await until(
      "all outcomes",
      async () => (await finished())?.filter((one: Json) => one.status === "linked").length === 3,
    );
  });

  it("public tokens stay with the backend unless the integration or the Link token says that Tartan adopts", async () => {
    const own = await hosted({ integration_id: leaving.id });
    const left = await hosted({ adopt: false });
    const asked = await hosted({ integration_id: leaving.id, adopt: true });
    const [a, b, c] = [own, left, asked].map(({ link_token }) => world.simulator.control.completeLink({ link_token }));
    expect(await settled(asked.user_id, 1)).toMatchObject([{ status: "linked", item_id: c?.item_id }]);
    await until(
      "the users",
      async () =>
        (await webhooks(`user_id=${left.user_id}`)).length + (await webhooks(`user_id=${own.user_id}`)).length === 6,
    );
    expect([...(await adoptions(`user_id=${own.user_id}`)), ...(await adoptions(`user_id=${left.user_id}`))]).toEqual(
      [],
    );
    for (const { public_token, item_id } of [a, b].flatMap((one) => one ?? []))
      expect(await spend(public_token ?? "")).toMatchObject({ item_id });
  });

  it("only Plaid's own webhooks bring public tokens: one that a backend posts is adopted by nobody", async () => {
    const { public_token, link_session_id } = quietSession();
    const answer = await fetch(adopting.url, {
      method: "POST",
      headers: { "content-type": "application/json", "tartan-webhook-secret": adopting.webhook_secret },
      body: JSON.stringify({ webhook_type: "LINK", webhook_code: "ITEM_ADD_RESULT", link_session_id, public_token }),
    });
    expect(answer.status).toBe(200);
    // Plaid's webhook about another session comes later, and is adopted.
    const other = quietSession();
    tell(other);
    expect(await adoptionOf(other.link_session_id)).toMatchObject({ status: "linked" });
    expect(await spend(public_token)).toHaveProperty("access_token");
  });

  it("an item that is adopted while its backend posts ITEM/CREATED exists once, and its token works", async () => {
    const all = Array.from({ length: 4 }, quietSession);
    const post = (item_id: string, access_token: string) =>
      fetch(adopting.url, {
        method: "POST",
        headers: { "content-type": "application/json", "tartan-webhook-secret": adopting.webhook_secret },
        body: JSON.stringify({ webhook_type: "ITEM", webhook_code: "CREATED", item_id, access_token, user_id: "both" }),
      });
    await Promise.all(
      all.map(async (session, index) => {
        tell(session);
        // Half of the backends have the access token already; the others exchange the public token too.
        const { access_token } = index % 2 === 0 ? session : await spend(session.public_token);
        if (access_token !== undefined) expect((await post(session.item_id, access_token)).status).toBe(200);
      }),
    );
    for (const { link_session_id, item_id } of all) {
      const { status, reason } = await adoptionOf(link_session_id);
      expect([`linked null`, `failed exchanged_elsewhere`]).toContain(`${status} ${reason}`);
      const { rows } = await world.database.query("select item_id from tartan.items where item_id = $1", [item_id]);
      expect(rows).toHaveLength(1);
      await until("its sync", async () => (await world.api.call(`GET /v1/items/${item_id}`)).body.status === "ok");
    }
  });

  it("a passing failure of Plaid is tried again within the 30 minutes, until the item is linked", async () => {
    const session = quietSession();
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/public_token/exchange", count: 1 });
    tell(session);
    expect(await adoptionOf(session.link_session_id)).toMatchObject({
      status: "linked",
      attempts: 2,
      last_error: null,
    });
  });

  it("a public token that somebody else exchanged fails with the next step, in the list, the webhook and an event", async () => {
    const session = quietSession();
    await spend(session.public_token);
    tell(session, "SESSION_FINISHED");
    tell({ ...session, public_tokens: [session.public_token] }, "SESSION_FINISHED");
    const adoption = await adoptionOf(session.link_session_id);
    expect(adoption).toMatchObject({
      status: "failed",
      reason: "exchanged_elsewhere",
      next_step: expect.stringContaining("adopt_items"),
    });
    const recorded = (await events("link.adoption_failed")).filter(({ data }) => data.public_token_id === adoption.id);
    expect(recorded).toMatchObject([
      { item_id: null, data: { reason: "exchanged_elsewhere", error_code: "INVALID_PUBLIC_TOKEN" } },
    ]);
    const shown = (await world.api.call(`GET /v1/webhooks/${adoption.webhook_id}`)).body;
    expect(shown.update_info.adoptions).toMatchObject([{ status: "failed", reason: "exchanged_elsewhere" }]);
  });

  it("an exchange whose answer was cut off is lost: the list and an event say so and what to do", async () => {
    const session = quietSession();
    const fault = {
      kind: "connection_cut",
      endpoint: "/item/public_token/exchange",
      count: 1,
      after_bytes: 0,
    } as const;
    world.simulator.control.addFault(fault);
    tell(session);
    const adoption = await adoptionOf(session.link_session_id);
    expect(adoption).toMatchObject({
      status: "failed",
      reason: "lost",
      attempts: 2,
      next_step: expect.stringContaining("support"),
    });
    expect((await events("link.adoption_failed")).map(({ data }) => data.reason)).toContain("lost");
  });

  it("a public token that came more than 30 minutes ago is not sent to Plaid, and fails as expired", async () => {
    const { public_token, link_session_id } = quietSession();
    const before = world.simulator.asked("/item/public_token/exchange");
    const receivedAt = new Date(Date.now() - 31 * 60_000);
    const fields = { link_session_id, link_token: "link-sandbox-y", public_token };
    const body = webhookBody({ webhook_type: "LINK", webhook_code: "ITEM_ADD_RESULT", ...fields });
    const about = { webhookType: "LINK", webhookCode: "ITEM_ADD_RESULT", itemId: null, integrationId: adopting.id };
    await append(world.database, [webhook({ ...about, subject: null, receivedAt, body })]);
    expect(await adoptionOf(link_session_id)).toMatchObject({ status: "failed", reason: "expired", attempts: 0 });
    expect(world.simulator.asked("/item/public_token/exchange")).toBe(before);
  });

  it("a webhook of Link whose fields have other shapes holds up no other", async () => {
    for (const fields of [
      { link_token: 7 },
      { public_tokens: { a: 1 } },
      { public_token: ["x"], public_tokens: [null, 3] },
    ])
      tell({ link_session_id: "odd", ...fields }, "SESSION_FINISHED");
    const session = quietSession();
    tell(session);
    expect(await adoptionOf(session.link_session_id)).toMatchObject({ status: "linked", item_id: session.item_id });
    await markAll(world.database);
    expect(await lookInto({ ...world, logger: silentLogger })).toBeNull();
  });

  it("a user whom the exchange names after the adoption becomes the item's, once", async () => {
    const session = quietSession();
    tell(session);
    expect(await adoptionOf(session.link_session_id)).toMatchObject({ status: "linked", user_id: null });
    const body = { integration_id: adopting.id, public_token: session.public_token, user_id: "named-later" };
    const [first, again] = [
      await world.api.call("POST /v1/link/exchange", { body }),
      await world.api.call("POST /v1/link/exchange", { body }),
    ];
    expect(first.body).toMatchObject({ item_id: session.item_id, created: false, webhook_id: expect.any(String) });
    expect(again.body).toMatchObject({ item_id: session.item_id, created: false, webhook_id: null });
    const { user_id } = (await world.api.call(`GET /v1/items/${session.item_id}`)).body;
    expect(user_id).toBe("named-later");
  });

  it("a public token that a request brought and that was never exchanged fails as expired, too", async () => {
    const { public_token } = quietSession();
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/public_token/exchange", count: 1 });
    const body = { integration_id: adopting.id, public_token, user_id: "gone" };
    expect((await world.api.call("POST /v1/link/exchange", { body })).status).toBe(502);
    expect(await adoptions("user_id=gone")).toMatchObject([{ status: "pending", adopt: false }]);
    await world.database.query(
      "update linking.public_tokens set expires_at = now(), next_at = now() where user_id = 'gone'",
    );
    expect(await settled("gone", 1)).toMatchObject([
      { status: "failed", reason: "lost", next_step: expect.any(String) },
    ]);
    expect((await events("link.adoption_failed")).map(({ user_id }) => user_id)).not.toContain("gone");
  });
});
