import { describe, expect, test } from "vitest";
import { signJwt, webhookBody } from "../support/plaid-signer.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { subjects } from "./support.ts";

const TOKEN = "access-sandbox-5e1f0c7d-0000-4000-8000-123456789abc";
const created = { webhook_type: "ITEM", webhook_code: "CREATED", item_id: "created-item-id", access_token: TOKEN };

async function items({ database }: World<"receiver">) {
  const { rows } = await database.query<{ item_id: string; user_id: string | null; access_token_sealed: Buffer }>(
    "select item_id, user_id, access_token_sealed from tartan.items order by item_id",
  );
  return rows;
}

/** Every byte of every row that the intake may have written, sealed columns left out. */
async function everythingWritten({ database }: World<"receiver">): Promise<string> {
  const { rows } = await database.query<{ text: string }>(
    `select coalesce(string_agg(t, ' '), '') as text from (
       select encode(body, 'escape') || row_to_json(w)::text as t from journal.webhooks w
       union all select row_to_json(r)::text from journal.refusals r
       union all select row_to_json(s)::text from sync.subjects s
       union all select item_id || coalesce(user_id, '') from tartan.items) all_of_it`,
  );
  return rows[0]?.text ?? "";
}

describe("a new item from your backend", () => {
  test("a new item that is posted as WebhookDB's Ruby code does is linked, journaled without its token, and due with everything", async () => {
    await using world = await startWorld({ receiver: {} });
    // Net::HTTP.post(URI(url), body.to_json, headers)
    const answer = await world.receiver.post(
      `{"webhook_type":"ITEM","webhook_code":"CREATED","item_id":"created-item-id","access_token":"${TOKEN}"}`,
      { "Content-Type": "application/json", "Whdb-Webhook-Secret": world.receiver.secret },
    );
    expect(answer).toMatchObject({ status: 200, body: { ok: true, duplicate: false } });
    expect(await world.receiver.webhooks()).toMatchObject([
      {
        id: answer.body.webhook_id,
        source: "BACKEND",
        item_id: "created-item-id",
        user_id: null,
        webhook_type: "ITEM",
        webhook_code: "CREATED",
        webhook: { webhook_type: "ITEM", webhook_code: "CREATED", item_id: "created-item-id" },
        verification: null,
      },
    ]);
    expect(await items(world)).toMatchObject([{ item_id: "created-item-id", access_token_sealed: expect.any(Buffer) }]);
    expect(await subjects(world.database)).toMatchObject([{ kind: "item", id: "created-item-id", requested: ["*"] }]);
    expect(await everythingWritten(world)).not.toContain(TOKEN);
  });

  test("a new item from your backend may name its user, and may come again with a new token", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ ...created, user_id: "user-1" });
    const [before] = await items(world);
    expect(before).toMatchObject({ user_id: "user-1" });
    expect(await world.receiver.backend({ ...created, access_token: `${TOKEN}2` })).toMatchObject({ status: 200 });
    const [after] = await items(world);
    expect(after?.user_id).toBe("user-1");
    expect(after?.access_token_sealed.equals(before?.access_token_sealed ?? Buffer.alloc(0))).toBe(false);
    expect(await world.receiver.webhooks()).toMatchObject([{ user_id: "user-1" }, { user_id: "user-1" }]);
  });

  test("a new item from your backend gives the webhooks that came before it their user", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.plaid(webhookBody({ item_id: "created-item-id" }));
    await world.receiver.backend({ ...created, user_id: "user-1" });
    await world.receiver.plaid(webhookBody({ item_id: "created-item-id" }));
    expect((await world.receiver.webhooks()).map(({ user_id }) => user_id)).toEqual(["user-1", "user-1", "user-1"]);
  });

  test("a new item from your backend is refused with each missing or invalid field and without their values", async () => {
    await using world = await startWorld({ receiver: {} });
    const cases: [Record<string, unknown>, string[]][] = [
      [{}, ["webhook_type", "webhook_code"]],
      [{ webhook_type: "ITEM" }, ["webhook_code", "item_id"]],
      [{ ...created, item_id: undefined, access_token: undefined }, ["item_id", "access_token"]],
      [{ ...created, item_id: 7, access_token: null }, ["item_id", "access_token"]],
      [{ ...created, item_id: "", access_token: "" }, ["item_id", "access_token"]],
      [{ ...created, item_id: "a\0b" }, ["item_id"]],
      [{ ...created, access_token: "x".repeat(5000) }, ["access_token"]],
      [{ ...created, access_token: "x".repeat(256) }, ["access_token"]],
      [{ ...created, user_id: ["u"] }, ["user_id"]],
      [{ ...created, item_id: "x".repeat(201) }, ["item_id"]],
      [{ webhook_type: "ITEM", webhook_code: "UPDATED" }, ["item_id"]],
      [{ webhook_type: "TRANSACTIONS", webhook_code: "HISTORICAL_UPDATE", item_id: "i", full: "yes" }, ["full"]],
      [{ webhook_type: "AUTH", webhook_code: "DEFAULT_UPDATE", item_id: {} }, ["item_id"]],
      [{ webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "i", source: "PLAID" }, ["source"]],
    ];
    for (const [fields, faults] of cases) {
      const { status, body } = await world.receiver.backend(fields);
      expect(status, JSON.stringify(fields)).toBe(400);
      expect(body.error?.code).toBe("webhook_malformed");
      expect(Object.keys(body.error?.fields ?? {}).toSorted(), JSON.stringify(fields)).toEqual(faults.toSorted());
      expect(JSON.stringify(body)).not.toContain(TOKEN);
    }
    expect(await world.receiver.webhooks()).toEqual([]);
    expect(await items(world)).toEqual([]);
    expect(await everythingWritten(world)).not.toContain(TOKEN);
  });

  test("a new item from your backend that is not a JSON object is refused with that reason", async () => {
    await using world = await startWorld({ receiver: {} });
    for (const text of ["", "{", "[]", "null", '"ITEM"', "webhook_type=ITEM"])
      expect(await world.receiver.backend(text), text).toMatchObject({
        status: 400,
        body: { error: { code: "webhook_malformed", fields: { body: "must be a JSON object" } } },
      });
  });
});

describe("a request by secret", () => {
  const updated = { webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "item-1" };

  test("a request of the backend may carry the secret in any of three headers", async () => {
    await using world = await startWorld({ receiver: {} });
    const { secret } = world.receiver;
    for (const headers of [
      { "Whdb-Webhook-Secret": secret },
      { "tartan-webhook-secret": secret },
      { authorization: `Bearer ${secret}` },
      { authorization: `bearer ${secret}` },
      { authorization: "Bearer of another", "Tartan-Webhook-Secret": secret },
    ])
      expect(await world.receiver.backend(updated, headers)).toMatchObject({ status: 200 });
  });

  test("a request without the secret is 401 and says what to send, and one with a wrong secret is 401 and recorded", async () => {
    await using world = await startWorld({ receiver: {} });
    const missing = await world.receiver.backend(updated, {});
    expect(missing).toMatchObject({ status: 401, body: { error: { code: "webhook_secret_missing" } } });
    expect(missing.body.error?.message).toContain("Whdb-Webhook-Secret");
    const { secret } = world.receiver;
    for (const wrong of ["x", secret.slice(0, -1), `${secret}x`, secret.toUpperCase(), secret.repeat(500)]) {
      const answer = await world.receiver.backend(updated, { "Whdb-Webhook-Secret": wrong });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: "webhook_secret_mismatch" } } });
      expect(JSON.stringify(answer)).not.toContain(wrong.length > 1 ? wrong : "\0");
    }
    expect(await world.receiver.backend(updated, { authorization: `Basic ${secret}` })).toMatchObject({ status: 401 });
    expect(await world.receiver.webhooks()).toEqual([]);
    const refusals = await world.receiver.refusals();
    expect(refusals.map(({ reason, count }) => [reason, count])).toEqual([
      ["webhook_secret_mismatch", 5],
      ["webhook_secret_missing", 2],
    ]);
    expect(JSON.stringify(refusals)).not.toContain(secret);
  });

  test("ITEM/UPDATED after a repair has everything of the item read again", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend(updated);
    expect(await subjects(world.database)).toMatchObject([{ id: "item-1", requested: ["*"] }]);
    await world.receiver.backend({ ...updated, item_id: "item-2", full: true });
    expect((await subjects(world.database))[1]?.requested).toEqual(["*:full"]);
  });

  test("ITEM/UPDATED with an access_token replaces the token of the item, and is journaled as ITEM/UPDATED without it", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ ...created, user_id: "user-1" });
    const [before] = await items(world);
    const rotated = { ...updated, item_id: created.item_id, access_token: `${TOKEN}2`, full: true };
    expect(await world.receiver.backend(rotated)).toMatchObject({ status: 200 });
    const [after, ...more] = await items(world);
    expect(more).toEqual([]);
    expect(after?.user_id).toBe("user-1");
    expect(after?.access_token_sealed.equals(before?.access_token_sealed ?? Buffer.alloc(0))).toBe(false);
    const { access_token: _, ...kept } = rotated;
    expect((await world.receiver.webhooks())[0]).toMatchObject({ webhook_code: "UPDATED", webhook: kept });
    expect((await subjects(world.database))[0]?.requested).toContain("*:full");
    expect(await everythingWritten(world)).not.toContain(TOKEN);
    expect(await world.receiver.backend({ ...updated, access_token: 7 })).toMatchObject({
      status: 400,
      body: { error: { fields: { access_token: expect.stringContaining("/item/access_token/invalidate") } } },
    });
  });

  test("a backend may post HISTORICAL_UPDATE to have the history read, or with full to have it read anew", async () => {
    await using world = await startWorld({ receiver: {} });
    const fake = { webhook_type: "TRANSACTIONS", webhook_code: "HISTORICAL_UPDATE", item_id: "item-1" };
    await world.receiver.backend(fake);
    expect(await subjects(world.database)).toMatchObject([{ due_at: expect.any(Date), requested: [] }]);
    await world.receiver.backend({ ...fake, full: true });
    expect(await subjects(world.database)).toMatchObject([{ due_at: expect.any(Date), requested: ["*:full"] }]);
  });

  test("a backend's webhook of any other type is kept and marks its subject", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ webhook_type: "AUTH", webhook_code: "AUTOMATICALLY_VERIFIED", item_id: "item-1" });
    await world.receiver.backend({ webhook_type: "OURS", webhook_code: "OWN", note: 1 });
    expect(await subjects(world.database)).toMatchObject([{ id: "item-1", requested: [] }]);
    expect(await world.receiver.webhooks()).toMatchObject([
      { webhook_type: "OURS", item_id: null, webhook: { note: 1 } },
      { webhook_type: "AUTH", item_id: "item-1", environment: "sandbox" },
    ]);
  });

  test("in a backend's webhook about a user, user_id is Plaid's identifier, and in any other your own", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ ...updated, user_id: "user-1" });
    await world.receiver.backend({ webhook_type: "INCOME", webhook_code: "BANK_INCOME_COMPLETE", user_id: "usr_1" });
    expect(await world.receiver.webhooks()).toMatchObject([
      { user_id: null, subject: { kind: "user", id: "usr_1" } },
      { user_id: "user-1", subject: { kind: "item", id: "item-1" } },
    ]);
  });

  test("a webhook of a login listener has its source", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.backend({ ...updated, source: "FROM_LISTENER", user_id: "user-1" });
    expect(await world.receiver.webhooks()).toMatchObject([{ source: "FROM_LISTENER", user_id: "user-1" }]);
  });

  test("a backend's webhook that is sent twice is two webhooks, since it has no token", async () => {
    await using world = await startWorld({ receiver: {} });
    await Promise.all([world.receiver.backend(updated), world.receiver.backend(updated)]);
    expect(await world.receiver.webhooks()).toHaveLength(2);
    expect(await subjects(world.database)).toHaveLength(1);
  });

  test("every access_token is cut out of a backend's webhook, at any depth and in any spelling", async () => {
    await using world = await startWorld({ receiver: {} });
    const bodies = [
      JSON.stringify({ ...updated, access_token: TOKEN }),
      JSON.stringify({ ...updated, item: { access_token: TOKEN, list: [{ access_token: TOKEN }] } }),
      `{"webhook_type":"ITEM","webhook_code":"UPDATED","item_id":"i","\\u0061ccess_token":"${TOKEN}"}`,
      `{"access_token":"${TOKEN}","webhook_type":"ITEM","webhook_code":"UPDATED","item_id":"i","access_token":"${TOKEN}"}`,
      JSON.stringify({ ...created, note: `the token is ${TOKEN}` }),
    ];
    for (const text of bodies) expect(await world.receiver.backend(text)).toMatchObject({ status: 200 });
    expect(await everythingWritten(world)).not.toContain(TOKEN);
  });

  test("a backend's webhook without a token is kept byte for byte", async () => {
    await using world = await startWorld({ receiver: {} });
    const text = '{ "webhook_type":"ITEM",\t"webhook_code":"UPDATED","item_id":"i", "n":12345678901234567890 }\n';
    await world.receiver.backend(text);
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks");
    expect(rows[0]?.body.toString()).toBe(text);
  });

  test("a webhook of Plaid's without its proof is not accepted as the backend's", async () => {
    await using world = await startWorld({ receiver: {} });
    const body = webhookBody();
    expect(await world.receiver.post(body, { "Plaid-Verificatio": signJwt(world.receiver.key, body) })).toMatchObject({
      status: 401,
    });
  });
});
