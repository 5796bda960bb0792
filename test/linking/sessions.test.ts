/** Sessions of Link in update mode, and those whose end no webhook announces: Tartan asks Plaid about the Link tokens that it made. */
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { sessionsIn } from "../../src/linking/token-sessions.ts";
import { askAboutSessions, watchedId, type WatchedToken } from "../../src/linking/watched-tokens.ts";
import { webhookBody } from "../support/plaid-signer.ts";
import { until } from "../support/until.ts";
import { webhook } from "../support/webhook.ts";
import { eventsOf } from "./support.ts";
import { startWorld, type Json, type World } from "../support/world/index.ts";

let world: World<"api" | "sync" | "linking">;
let integration: { id: string; url: string };
beforeAll(async () => {
  world = await startWorld({ api: {}, sync: {}, linking: {} });
  integration = await world.api.integrate({ link_client_name: "Acme", adopt_items: true });
  await world.sync.start();
  await world.linking.start({ graceMs: 0 });
});
afterAll(() => world[Symbol.asyncDispose]());

let tokens = 0;
/** A Link token, for a user of its own, about whose sessions Plaid sends no webhook. */
async function linkTokenOf(more: Record<string, unknown> = {}): Promise<{ link_token: string; user_id: string }> {
  const user_id = `user-${(tokens += 1)}`;
  const body = { integration_id: integration.id, user_id, products: ["transactions"], ...more };
  const made = await world.api.call("POST /v1/link/tokens", { body });
  if (made.status !== 201) throw new Error(made.text);
  return { link_token: made.body.link_token, user_id };
}

const adoptions = async (query: string): Promise<Json[]> =>
  (await world.api.call(`GET /v1/link/adoptions?${query}`)).body.data;
/** The adoption of a user, once it is over. */
async function settled(user: string): Promise<Json> {
  let found: Json = undefined;
  await until("the end of the adoption", async () => {
    [found] = await adoptions(`user_id=${user}`);
    return found?.status === "linked" || found?.status === "failed";
  });
  return found;
}
const webhooks = async (query: string): Promise<Json[]> =>
  (await world.api.call(`GET /v1/webhooks?limit=500&${query}`)).body.data;

interface Watched extends WatchedToken {
  next_at: Date;
}
/** The row of a Link token, as a claim has it. */
const watchedOf = async (linkToken: string, itemId: string | null = null): Promise<Watched | undefined> =>
  (
    await world.database.query<Watched>(
      `select id, integration_id as "integrationId", token_sealed as sealed, asked, next_at, 'sandbox' as environment,
        $2::text as "itemId", true as "isWanted", false as "isLast" from linking.watched_tokens where id = $1`,
      [watchedId(linkToken), itemId],
    )
  ).rows[0];
const askNow = (linkToken: string) =>
  world.database.query("update linking.watched_tokens set next_at = now() where id = $1", [watchedId(linkToken)]);
/** An item of a session. */
async function adopted(): Promise<{ item_id: string }> {
  const { link_token, user_id } = await linkTokenOf({ hosted_link: {} });
  world.simulator.control.completeLink({ link_token });
  return await settled(user_id);
}
const ask = async (linkToken: string, graceMs: number): Promise<string[]> => {
  const watched = await watchedOf(linkToken);
  if (!watched) throw new Error("it is not watched");
  return await askAboutSessions({ ...world.linking.deps, graceMs }, watched);
};

it("the item of a session without a webhook is adopted for its user, and the list of gaps has the session", async () => {
  const { link_token, user_id } = await linkTokenOf();
  const { item_id, public_token } = world.simulator.control.completeLink({ link_token });
  expect(await adoptions(`user_id=${user_id}`)).toEqual([]);
  await askNow(link_token);
  const adoption = await settled(user_id);
  expect(adoption).toMatchObject({ status: "linked", item_id, adopt: true });
  const [gap] = (await world.api.call(`GET /v1/gaps?integration_id=${integration.id}&limit=1`)).body.data;
  expect(gap).toMatchObject({
    id: adoption.webhook_id,
    found_by: "link_token",
    user_id,
    missed_webhook: { webhook_type: "LINK", webhook_code: "SESSION_FINISHED" },
  });
  const shown = await world.api.call(`GET /v1/webhooks/${adoption.webhook_id}`);
  expect(shown.body).toMatchObject({ source: "RECONCILER", tokens_cut: true });
  for (const token of [public_token, link_token]) expect(shown.text).not.toContain(token);
  await until("the end of the questions", async () => (await watchedOf(link_token)) === undefined);
});

it("Plaid's own webhook has two minutes to come, and a session is journaled once", async () => {
  const { link_token } = await linkTokenOf();
  world.simulator.control.completeLink({ link_token });
  const before = (await watchedOf(link_token))?.next_at ?? new Date(0);
  expect(await ask(link_token, 3_600_000)).toEqual([]);
  const soon = (await watchedOf(link_token))?.next_at ?? before;
  expect(soon.getTime()).toBeLessThan(before.getTime());
  const several = await Promise.all([ask(link_token, 0), ask(link_token, 0)]);
  expect(several.flat()).toHaveLength(1);
});

it("a session of which Plaid's list told without tokens is journaled with them, and read with its Link token", async () => {
  const { link_token, user_id } = await linkTokenOf();
  world.simulator.control.completeLink({ link_token });
  const { records } = world.simulator.control;
  const id = records.list("link_session").records.find(({ token }) => token === link_token)?.id ?? "";
  const fields = { link_session_id: id, link_token: "[cut]", public_tokens: ["[cut]"], status: "SUCCESS" };
  const about = { webhookType: "LINK", webhookCode: "SESSION_FINISHED", itemId: null, integrationId: integration.id };
  const subject = { kind: "link_session", id };
  const body = webhookBody({ webhook_type: "LINK", webhook_code: "SESSION_FINISHED", ...fields });
  const tellCut = () => append(world.database, [webhook({ ...about, source: "RECONCILER", subject, body })]);
  await tellCut();
  await askNow(link_token);
  expect(await settled(user_id)).toMatchObject({ status: "linked" });
  const outcomes = async () =>
    (await webhooks(`integration_id=${integration.id}&code=SESSION_FINISHED&source=RECONCILER`))
      .filter(({ webhook: { link_session_id } }) => link_session_id === id)
      .map(({ update_info }) => update_info?.outcome);
  await until("both outcomes", async () => (await outcomes()).filter(Boolean).length === 2);
  await tellCut();
  await until("its outcome", async () => (await outcomes()).filter(Boolean).length === 3);
  expect((await outcomes())[0]).toBe("synced");
});

it("a session that its user left, and an answer of another shape, tell nothing", async () => {
  const { item_id } = await adopted();
  const { link_token } = await linkTokenOf({ item_id, products: undefined });
  world.simulator.control.records.create("link_session", { link_token, outcome: "EXITED", webhooks: false });
  const watched = await watchedOf(link_token, item_id);
  if (!watched) throw new Error("it is not watched");
  expect(await askAboutSessions({ ...world.linking.deps, graceMs: 0 }, watched)).toEqual([]);
  const finished_at = "2026-11-22T10:00:00Z";
  for (const link_sessions of [7, [null, "x", {}], [{ link_session_id: 1, finished_at }], [{ link_session_id: "a" }]])
    expect(sessionsIn({ link_sessions })).toEqual([]);
  const left = { link_session_id: "left", finished_at, exit: null, results: { item_add_results: [] } };
  expect(sessionsIn({ link_sessions: [left] })).toMatchObject([{ isSuccess: false, publicTokens: [] }]);
  const legacy = { ...left, on_success: { public_token: "public-sandbox-1" } };
  expect(sessionsIn({ link_sessions: [legacy] })).toMatchObject([
    { isSuccess: true, publicTokens: ["public-sandbox-1"] },
  ]);
});

it("a Link token that Plaid no longer knows is not asked about again", async () => {
  const { link_token } = await linkTokenOf();
  await world.database.query("update linking.watched_tokens set token_sealed = $2 where id = $1", [
    watchedId(link_token),
    world.vault.seal("link-sandbox-unknown", `linking.watched_tokens:${watchedId(link_token)}:token`),
  ]);
  await askNow(link_token);
  await until("its end", async () => (await watchedOf(link_token)) === undefined);
});

it.each([
  ["of which Plaid tells", { hosted_link: {} }],
  ["whose end no webhook announces", {}],
])(
  "a session in update mode %s makes its item due when it ends well: no error and no notice stays, though Plaid sends no LOGIN_REPAIRED",
  async (_, more) => {
    const { item_id } = await adopted();
    const show = async () => (await world.api.call(`GET /v1/items/${item_id}`)).body;
    await until("its sync", async () => (await show()).status === "ok");
    const { url } = integration;
    world.simulator.control.breakItem(item_id, { webhooks: false });
    world.simulator.control.sendWebhook({
      url,
      item_id,
      webhook_type: "ITEM",
      webhook_code: "ERROR",
      fields: { error: null },
    });
    world.simulator.control.sendWebhook({
      url,
      item_id,
      webhook_type: "ITEM",
      webhook_code: "PENDING_DISCONNECT",
      fields: { reason: "INSTITUTION_MIGRATION" },
    });
    const notices = async () =>
      (await world.database.query("select from sync.notices where item_id = $1", [item_id])).rows.length;
    await until(
      "the error and the notice",
      async () => (await show()).status === "needs_user" && (await notices()) === 1,
    );
    const { link_token } = await linkTokenOf({ item_id, products: undefined, ...more });
    const exchanges = world.simulator.asked("/item/public_token/exchange");
    world.simulator.control.completeLink({ link_token });
    if (!("hosted_link" in more)) await askNow(link_token);
    await until("the repair", async () => (await show()).status === "ok" && (await notices()) === 0);
    expect((await webhooks(`item_id=${item_id}&code=LOGIN_REPAIRED`)).length).toBe(0);
    expect((await eventsOf(world, "item.repaired")).filter((event) => event.item_id === item_id)).toHaveLength(1);
    expect(world.simulator.asked("/item/public_token/exchange")).toBe(exchanges);
  },
);

it("a session in update mode whose item others have locked does not hold up the adoption of other items", async () => {
  const { item_id } = await adopted();
  const locked = await Promise.all([1, 2].map(() => linkTokenOf({ item_id, products: undefined })));
  const other = await linkTokenOf({ hosted_link: {} });
  const client = new Client(world.databaseUrl);
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select from sync.subjects where kind = 'item' and id = $1 for update", [item_id]);
    for (const { link_token } of locked)
      world.simulator.control.sendWebhook({
        url: integration.url,
        webhook_type: "LINK",
        webhook_code: "SESSION_FINISHED",
        fields: { link_token, link_session_id: "locked", status: "SUCCESS" },
      });
    const wait = async () => (await world.database.query("select from linking.arrivals")).rowCount >= 2;
    await until("the webhooks about the locked item", wait);
    world.simulator.control.completeLink({ link_token: other.link_token });
    expect(await settled(other.user_id)).toMatchObject({ status: "linked" });
    expect(await wait()).toBe(true);
  } finally {
    await client.query("rollback");
    await client.end();
  }
});
