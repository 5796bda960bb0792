import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NewListener } from "../../src/listeners/listener.schema.ts";
import {
  createListener,
  deleteListener,
  getListener,
  rotateListenerToken,
  updateListener,
} from "../../src/listeners/listeners.ts";
import { listWebhooks } from "../../src/journal/records.ts";
import type { TakenLogins } from "../../src/model/listener.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { subjects } from "../receiver/support.ts";
import { logEvent } from "./auth0-events.ts";

let world: World<"receiver">;
beforeAll(async () => {
  world = await startWorld({ receiver: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

let users = 0;
/** A user with linked items of the integration, or of another one. */
async function userWith(count: number, integrationId = world.receiver.integrationId) {
  const userId = `user-${(users += 1)}`;
  const items = Array.from({ length: count }, (_, index) => `item-${users}-${String(index).padStart(4, "0")}`);
  await world.database.query(
    `insert into tartan.items (integration_id, item_id, user_id, access_token_sealed)
    select $1, unnest($2::text[]), $3, '\\x00'`,
    [integrationId, items, userId],
  );
  return { userId, items };
}

interface Answer {
  status: number;
  retryAfter: string | null;
  body: Partial<TakenLogins> & { ok?: boolean; error?: { code: string; fields?: Record<string, string> } };
}

async function listen(given: Partial<NewListener> = {}) {
  const listener = await createListener(world.database, { kind: "generic", ...given });
  const path = `/v1/listeners/${listener.id}`;
  const post = (body: unknown, authorization: string | null = listener.token) =>
    world.receiver.post(
      typeof body === "string" ? body : JSON.stringify(body),
      authorization === null ? {} : { authorization },
      path,
    ) as Promise<Answer>;
  return { ...listener, path, post };
}

const webhooksOf = async (user_id: string) =>
  (await listWebhooks(world.database, { user_id, limit: 500, source: "FROM_LISTENER" })).data;

const verified = (items: readonly string[], ago: string) =>
  world.database.query(
    `insert into sync.subjects (integration_id, kind, id, status, verified_at)
    select $1, 'item', unnest($2::text[]), 'ok', now() - $3::interval`,
    [world.receiver.integrationId, items, ago],
  );

describe("a login", () => {
  it("a login makes a webhook for each of the user's linked items, which has all of the item read", async () => {
    const { userId, items } = await userWith(2);
    await world.database.query(
      "insert into tartan.items (integration_id, item_id, user_id) values ($1, 'unlinked-item', $2)",
      [world.receiver.integrationId, userId],
    );
    const { id, post } = await listen();
    const at = new Date().toISOString();
    expect(await post({ user_id: userId, at })).toMatchObject({
      status: 200,
      body: { ok: true, logins: 1, ignored: 0, unknown_users: 0, webhooks: 2, fresh: 0 },
    });
    const made = await webhooksOf(userId);
    expect(made.map(({ item_id }) => item_id).toSorted()).toEqual(items);
    expect(made[0]).toMatchObject({
      source: "FROM_LISTENER",
      webhook_type: "ITEM",
      webhook_code: "USER_LOGGED_IN",
      user_id: userId,
      environment: "sandbox",
      subject: { kind: "item", id: made[0]?.item_id },
      webhook: { item_id: made[0]?.item_id, login: { listener_id: id, at } },
      verification: null,
    });
    const due = (await subjects(world.database)).filter((subject) => items.includes(subject.id));
    expect(due).toMatchObject([{ requested: ["*"] }, { requested: ["*"] }]);
  });

  it("a login makes no webhook for an item that had a login, or was synced, within the throttle or since the login", async () => {
    const { userId, items } = await userWith(1);
    const { post } = await listen({ throttle_s: 600 });
    expect((await post({ user_id: userId })).body).toMatchObject({ webhooks: 1, fresh: 0 });
    expect((await post({ user_id: userId })).body).toMatchObject({ webhooks: 0, fresh: 1 });
    const other = await listen({ throttle_s: 60 });
    expect((await other.post({ user_id: userId })).body).toMatchObject({ webhooks: 0, fresh: 1 });
    await world.database.query(
      "update journal.webhooks set id = tartan.new_id(now() - interval '5 minutes') where item_id = $1",
      [items[0]],
    );
    expect((await post({ user_id: userId })).body, "within ten minutes").toMatchObject({ webhooks: 0, fresh: 1 });
    const before = new Date(Date.now() - 360_000).toISOString();
    expect((await other.post({ user_id: userId, at: before })).body, "since the login").toMatchObject({ webhooks: 0 });
    expect((await other.post({ user_id: userId })).body, "more than a minute ago").toMatchObject({ webhooks: 1 });

    const synced = await userWith(2);
    await verified(synced.items.slice(0, 1), "5 minutes");
    await verified(synced.items.slice(1), "20 minutes");
    expect((await post({ user_id: synced.userId })).body).toMatchObject({ webhooks: 1, fresh: 1 });
    expect(await webhooksOf(synced.userId)).toMatchObject([{ item_id: synced.items[1] }]);
  });

  it("a login of long ago counts for an item that nobody synced for a week", async () => {
    const { userId, items } = await userWith(1);
    await verified(items, "8 days");
    const { post } = await listen();
    expect((await post({ user_id: userId, at: "2001-01-01T00:00:00Z" })).body).toMatchObject({ webhooks: 1 });
  });

  it("a login that your backend reports itself counts for the throttle of listeners", async () => {
    const { userId, items } = await userWith(1);
    const fields = { webhook_type: "TRANSACTIONS", webhook_code: "HISTORICAL_UPDATE", source: "FROM_LISTENER" };
    expect(await world.receiver.backend({ ...fields, item_id: items[0] })).toMatchObject({ status: 200 });
    const { post } = await listen();
    expect((await post({ user_id: userId })).body).toMatchObject({ webhooks: 0, fresh: 1 });
    const other = await userWith(1);
    const { source: _, ...itsOwn } = fields;
    expect(await world.receiver.backend({ ...itsOwn, item_id: other.items[0] })).toMatchObject({ status: 200 });
    expect((await post({ user_id: other.userId })).body, "its other webhooks do not").toMatchObject({ webhooks: 1 });
  });

  it("logins of one user at the same time, to several listeners, make one webhook for each item", async () => {
    const { userId, items } = await userWith(3);
    const listeners = await Promise.all([listen(), listen(), listen({ kind: "auth0" })]);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => {
        const { post, kind } = listeners[index % 3] as (typeof listeners)[number];
        return post(
          kind === "auth0" ? logEvent({ user_id: userId, date: new Date().toISOString() }) : { user_id: userId },
        );
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
    expect((await webhooksOf(userId)).map(({ item_id }) => item_id).toSorted()).toEqual(items);
    expect(answers.reduce((sum, { body }) => sum + (body.webhooks ?? 0), 0)).toBe(3);
  });

  it("a login concerns the items of the listener's integration only, and those of all integrations where it names none", async () => {
    const { userId } = await userWith(1);
    const another = (await world.receiver.integrate()).split("/").at(-1) ?? "";
    await world.database.query(
      "insert into tartan.items (integration_id, item_id, user_id, access_token_sealed) values ($1, 'elsewhere', $2, '\\x00')",
      [another, userId],
    );
    const one = await listen({ integration_id: another });
    expect((await one.post({ user_id: userId })).body).toMatchObject({ webhooks: 1 });
    expect(await webhooksOf(userId)).toMatchObject([{ item_id: "elsewhere", integration_id: another }]);
    const all = await listen();
    expect((await all.post({ user_id: userId })).body).toMatchObject({ webhooks: 1, fresh: 1 });
    await world.database.query("update tartan.integrations set deleted_at = now() where id = $1", [another]);
    expect((await all.post({ user_id: userId })).body, "not of a deleted one").toMatchObject({ webhooks: 0, fresh: 1 });
  });

  it("more items and users than one transaction takes are all synced, each once", async () => {
    const rich = await userWith(450);
    const others = await Promise.all(Array.from({ length: 120 }, () => userWith(1)));
    const { id, post } = await listen();
    const body = [rich, ...others].map(({ userId }) => ({ user_id: userId }));
    const unknown = Array.from({ length: 30 }, (_, index) => ({ user_id: `nobody-${index}` }));
    expect((await post([...body, ...unknown])).body).toMatchObject({
      logins: 151,
      unknown_users: 30,
      webhooks: 570,
      fresh: 0,
    });
    expect((await post(body)).body).toMatchObject({ logins: 121, webhooks: 0, fresh: 570 });
    const { rows } = await world.database.query<{ item_id: string }>(
      "select item_id from journal.webhooks where source = 'FROM_LISTENER' and user_id = $1",
      [rich.userId],
    );
    expect(rows.map(({ item_id }) => item_id).toSorted()).toEqual(rich.items);
    const { counts, last_received_at } = await getListener(world.database, id);
    expect(counts).toEqual({ logins: 272, events_ignored: 0, unknown_users: 30, webhooks: 570, items_fresh: 570 });
    expect(last_received_at).not.toBeNull();
    const auth0 = await listen({ kind: "auth0" });
    const strangers = Array.from({ length: 150 }, (_, index) => logEvent({ user_id: `auth0|nobody-${index}` }));
    const answer = await auth0.post([logEvent({ type: "f" }), ...strangers]);
    expect(answer.body, "what is ignored counts once").toMatchObject({ logins: 150, ignored: 1, unknown_users: 150 });
  });

  it("unknown users leave no trace but a count", async () => {
    const { id, post } = await listen({ kind: "auth0" });
    const stranger = "auth0|a-stranger-to-tartan";
    const events = [logEvent({ user_id: stranger }), logEvent({ type: "f", user_id: stranger })];
    expect(await post(events)).toMatchObject({
      status: 200,
      body: { logins: 1, ignored: 1, unknown_users: 1, webhooks: 0 },
    });
    expect((await getListener(world.database, id)).counts).toMatchObject({
      logins: 1,
      events_ignored: 1,
      unknown_users: 1,
    });
    const { rows } = await world.database.query<{ n: number }>("select count(*)::int as n from listeners.users");
    expect(rows).toEqual([{ n: 1024 }]);
    expect(await webhooksOf(stranger)).toEqual([]);
  });
});

describe("the URL of a listener", () => {
  it("a log stream of Auth0 is accepted with the token alone or behind Bearer, and a forged one is refused and recorded", async () => {
    const { userId } = await userWith(1);
    const { id, token, post } = await listen({ kind: "auth0", cut_prefix: "auth0|" });
    const body = [logEvent({ user_id: `auth0|${userId}`, date: new Date().toISOString() })];
    for (const forged of ["x", `${token}x`, token.slice(0, -1), token.toUpperCase(), `Basic ${token}`, "Bearer "]) {
      const answer = await post(body, forged);
      expect(answer, forged).toMatchObject({ status: 401, body: { error: { code: "listener_token_mismatch" } } });
      expect(JSON.stringify(answer)).not.toContain(token);
    }
    expect(await post(body, null)).toMatchObject({ status: 401, body: { error: { code: "listener_token_missing" } } });
    expect(await webhooksOf(userId)).toEqual([]);
    expect(await post(body, token)).toMatchObject({ status: 200, body: { webhooks: 1 } });
    expect(await post(body, `Bearer ${token}`)).toMatchObject({ status: 200, body: { fresh: 1 } });
    const refused = (await world.receiver.refusals()).filter(({ listener_id }) => listener_id === id);
    expect(refused.map(({ reason, count, integration_id }) => [reason, count, integration_id])).toEqual([
      ["listener_token_missing", 1, null],
      ["listener_token_mismatch", 6, null],
    ]);
    expect(JSON.stringify(refused)).not.toContain(token);
  });

  it("an unknown listener is 404, a body that is no JSON 400, one above 1 MiB 413, and each is recorded", async () => {
    const { id, token, post, path } = await listen();
    const headers = { authorization: token };
    for (const unknown of ["/v1/listeners/lsn_none", "/v1/listeners/x", `${path}x`])
      expect(await world.receiver.post("{}", headers, unknown)).toMatchObject({ status: 404 });
    expect(await post("{")).toMatchObject({ status: 400, body: { error: { code: "login_malformed" } } });
    expect(await post([{ user_id: "" }])).toMatchObject({
      status: 400,
      body: { error: { fields: { "0.user_id": expect.any(String) } } },
    });
    expect(await post(`[${" ".repeat(1024 * 1024)}]`)).toMatchObject({ status: 413 });
    const refused = await world.receiver.refusals();
    const reasons = refused.filter(({ listener_id }) => listener_id === id).map(({ reason, count }) => [reason, count]);
    expect(reasons).toEqual(
      expect.arrayContaining([
        ["body_too_large", 1],
        ["login_malformed", 2],
      ]),
    );
    expect(refused.find(({ reason }) => reason === "listener_unknown")).toMatchObject({ count: 3, listener_id: null });
  });

  it("a login is read whatever content type it is sent with, and a compressed one is refused", async () => {
    const { userId } = await userWith(1);
    const { token, path } = await listen();
    const body = JSON.stringify({ user_id: userId });
    const post = (headers: Record<string, string>, sent: Buffer | string = Buffer.from(body)) =>
      world.receiver.post(sent, { authorization: token, ...headers }, path);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
      expect(await post({ "content-type": type }), type).toMatchObject({ status: 200, body: { logins: 1 } });
    expect(await post({}), "none").toMatchObject({ status: 200, body: { logins: 1 } });
    expect(await post({ "content-type": "a b" })).toMatchObject({ status: 415 });
    expect(await post({ "content-encoding": "gzip" }, gzipSync(body))).toMatchObject({
      status: 400,
      body: { error: { code: "login_malformed" } },
    });
    expect(await webhooksOf(userId)).toHaveLength(1);
  });

  it("a new token, other settings and a deletion count from the next request on", async () => {
    const { userId } = await userWith(1);
    const { id, token, post } = await listen({ kind: "auth0" });
    const rotated = await rotateListenerToken(world.database, id);
    expect(await post([], token)).toMatchObject({ status: 401 });
    await updateListener(world.database, id, { event_types: ["ssa"], cut_prefix: "auth0|" });
    const events = [logEvent({ user_id: `auth0|${userId}` }), logEvent({ type: "ssa", user_id: `auth0|${userId}` })];
    expect(await post(events, rotated.token)).toMatchObject({
      status: 200,
      body: { logins: 1, ignored: 1, webhooks: 1 },
    });
    await deleteListener(world.database, id);
    expect(await post(events, rotated.token)).toMatchObject({ status: 404 });
  });
});
