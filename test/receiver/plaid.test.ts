import { describe, expect, test } from "vitest";
import { newSigningKey, plaidFault, sha256, signJwt, webhookBody } from "../support/plaid-signer.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { subjects } from "./support.ts";

const body = webhookBody();

/** Nothing of it was taken, and the refusal is there to be seen. */
async function expectRefused(world: World<"receiver">, reason: string): Promise<void> {
  expect(await world.receiver.webhooks()).toEqual([]);
  expect((await world.receiver.refusals())[0]).toMatchObject({ reason, integration_id: world.receiver.integrationId });
}

describe("a webhook of Plaid", () => {
  test("a webhook of Plaid's is answered 200 with its id, journaled byte for byte, and makes its item due", async () => {
    await using world = await startWorld({ receiver: {} });
    const answer = await world.receiver.plaid(body);
    expect(answer).toMatchObject({
      status: 200,
      body: { ok: true, webhook_id: expect.stringMatching(/^whk_[0-9a-f]{32}$/), duplicate: false },
    });
    const [record] = await world.receiver.webhooks();
    expect(record).toMatchObject({
      id: answer.body.webhook_id,
      source: "PLAID",
      item_id: "item-1",
      webhook_type: "TRANSACTIONS",
      webhook_code: "SYNC_UPDATES_AVAILABLE",
      verification: { key_id: world.receiver.key.kid, body_sha256: sha256(body) },
    });
    const { rows } = await world.database.query<{ body: Buffer; verification: string }>(
      "select * from journal.webhooks",
    );
    expect(rows[0]?.body).toEqual(body);
    expect(rows[0]?.verification).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await subjects(world.database)).toMatchObject([{ kind: "item", id: "item-1", generation: 1 }]);
    expect(await world.receiver.refusals()).toEqual([]);
  });

  test("a webhook of Plaid's is also accepted at the path of WebhookDB's clients", async () => {
    await using world = await startWorld({ receiver: {} });
    const headers = { "plaid-verification": signJwt(world.receiver.key, body) };
    const path = world.receiver.path.replace("integrations", "service_integrations");
    expect(await world.receiver.post(body, headers, path)).toMatchObject({ status: 200 });
  });

  test("a webhook of Plaid's that is sent again is a duplicate with the first one's id, also while the first is being stored", async () => {
    await using world = await startWorld({ receiver: {} });
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body) };
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.receiver.post(body, headers)));
    answers.push(await world.receiver.post(body, headers));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(new Set(answers.map((answer) => answer.body.webhook_id)).size).toBe(1);
    expect(answers.filter((answer) => !answer.body.duplicate)).toHaveLength(1);
    expect(await world.receiver.webhooks()).toHaveLength(1);
    expect(await subjects(world.database)).toMatchObject([{ generation: 1 }]);
  });

  test("a webhook with the same body under another token is another webhook", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.plaid(body);
    await world.receiver.plaid(body);
    expect(await world.receiver.webhooks()).toHaveLength(2);
  });

  test("a webhook of Plaid's of an unknown type, code or shape is kept and answered 200", async () => {
    await using world = await startWorld({ receiver: {} });
    const bodies = [
      webhookBody({ webhook_type: "NEW", webhook_code: "NEWER", item_id: undefined }),
      Buffer.from("not json"),
      Buffer.from([0, 1, 2, 255]),
      Buffer.from("[]"),
      Buffer.alloc(0),
      webhookBody({ item_id: "a\0b", webhook_type: 7 }),
      webhookBody({ item_id: "x".repeat(5000), webhook_code: "\ud800" }),
    ];
    for (const one of bodies) expect(await world.receiver.plaid(one)).toMatchObject({ status: 200 });
    const { rows } = await world.database.query<{ body: Buffer; item_id: string | null }>(
      "select body, item_id from journal.webhooks order by id",
    );
    expect(rows.map((row) => row.body)).toEqual(bodies);
    expect(rows.map((row) => row.item_id)).toEqual(bodies.map(() => null));
  });

  test("a webhook of Plaid's that names another environment than its integration is kept", async () => {
    await using world = await startWorld({ receiver: {} });
    expect(await world.receiver.plaid(webhookBody({ environment: "production" }))).toMatchObject({ status: 200 });
    expect(await world.receiver.webhooks()).toMatchObject([{ environment: "production" }]);
  });

  test("a signed webhook with an access_token links no item", async () => {
    await using world = await startWorld({ receiver: {} });
    await world.receiver.plaid(
      webhookBody({ webhook_type: "ITEM", webhook_code: "CREATED", access_token: "access-x" }),
    );
    const { rows } = await world.database.query("select 1 from tartan.items");
    expect(rows).toEqual([]);
  });

  test("a webhook of Plaid's may be 1 MiB long and not longer", async () => {
    await using world = await startWorld({ receiver: {} });
    const largest = webhookBody({ pad: "" });
    const pad = "x".repeat(1024 * 1024 - largest.length);
    expect(await world.receiver.plaid(webhookBody({ pad }))).toMatchObject({ status: 200 });
    expect(await world.receiver.plaid(webhookBody({ pad: `${pad}x` }))).toMatchObject({
      status: 413,
      body: { error: { code: "body_too_large" } },
    });
    expect((await world.receiver.refusals())[0]).toMatchObject({ reason: "body_too_large" });
  });

  test("a webhook that was also posted to the URL of another integration is still accepted at its own", async () => {
    await using world = await startWorld({ receiver: {} });
    const other = await world.receiver.integrate();
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body) };
    expect(await world.receiver.post(body, headers, other)).toMatchObject({ status: 200, body: { duplicate: false } });
    expect(await world.receiver.post(body, headers)).toMatchObject({ status: 200, body: { duplicate: false } });
    expect(await world.receiver.post(body, headers)).toMatchObject({ status: 200, body: { duplicate: true } });
  });
});

describe("what is not proven", () => {
  test("an unproven webhook is 401 with the reason, in the answer and in the record", async () => {
    await using world = await startWorld({ receiver: {} });
    const thief = newSigningKey(world.receiver.key.kid);
    const cases: [string, Record<string, string>][] = [
      ["token_malformed", { "Plaid-Verification": "x" }],
      ["token_malformed", { "Plaid-Verification": "" }],
      ["algorithm_refused", { "Plaid-Verification": signJwt(world.receiver.key, body, { header: { alg: "HS256" } }) }],
      ["key_id_malformed", { "Plaid-Verification": signJwt(world.receiver.key, body, { header: { kid: "a/b" } }) }],
      ["key_unknown", { "Plaid-Verification": signJwt(newSigningKey(), body) }],
      ["signature_invalid", { "Plaid-Verification": signJwt(thief, body) }],
      ["body_mismatch", { "Plaid-Verification": signJwt(world.receiver.key, webhookBody({ item_id: "other" })) }],
    ];
    for (const [reason, headers] of cases) {
      const answer = await world.receiver.post(body, headers);
      expect(answer, reason).toMatchObject({ status: 401, body: { error: { code: "webhook_unverified" } } });
      expect(answer.body.error?.fields?.["Plaid-Verification"], reason).toContain(reason);
      await expectRefused(world, reason);
    }
    expect(await subjects(world.database)).toEqual([]);
  });

  test("a request with a signature and a secret is accepted by its signature only", async () => {
    await using world = await startWorld({ receiver: {} });
    const headers = { "Plaid-Verification": "x", "Whdb-Webhook-Secret": world.receiver.secret };
    expect(await world.receiver.post(body, headers)).toMatchObject({
      status: 401,
      body: { error: { code: "webhook_unverified" } },
    });
  });

  test("two genuine webhooks with swapped bodies are both refused", async () => {
    await using world = await startWorld({ receiver: {} });
    const other = webhookBody({ item_id: "item-2" });
    const [one, two] = [signJwt(world.receiver.key, body), signJwt(world.receiver.key, other)];
    expect(await world.receiver.post(other, { "Plaid-Verification": one })).toMatchObject({ status: 401 });
    expect(await world.receiver.post(body, { "Plaid-Verification": two })).toMatchObject({ status: 401 });
    await expectRefused(world, "body_mismatch");
  });

  test("a genuine webhook that comes too late is refused, and its item is checked once", async () => {
    await using world = await startWorld({ receiver: {} });
    const headers = {
      "Plaid-Verification": signJwt(world.receiver.key, body, { claims: { iat: Math.floor(Date.now() / 1000) - 400 } }),
    };
    for (let turn = 0; turn < 3; turn += 1)
      expect(await world.receiver.post(body, headers)).toMatchObject({ status: 401 });
    await expectRefused(world, "issued_too_old");
    expect(await subjects(world.database)).toMatchObject([{ id: "item-1", generation: 1 }]);
  });

  test("a genuine webhook that is dated ahead is refused, and its item is checked once", async () => {
    await using world = await startWorld({ receiver: {} });
    const iat = Math.floor(Date.now() / 1000) + 90;
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body, { claims: { iat } }) };
    for (let turn = 0; turn < 3; turn += 1) {
      const answer = await world.receiver.post(body, headers);
      expect(answer).toMatchObject({ status: 401, body: { error: { code: "webhook_unverified" } } });
      expect(answer.body.error?.fields?.["Plaid-Verification"]).toContain("issued_in_future");
    }
    await expectRefused(world, "issued_in_future");
    expect(await subjects(world.database)).toMatchObject([{ id: "item-1", generation: 1 }]);
  });

  test("a genuine webhook at the wrong time that touches nothing mirrored marks nothing", async () => {
    await using world = await startWorld({ receiver: {} });
    const income = webhookBody({ webhook_type: "INCOME", webhook_code: "INCOME_VERIFICATION" });
    for (const offset of [-400, 90]) {
      const iat = Math.floor(Date.now() / 1000) + offset;
      await world.receiver.post(income, {
        "Plaid-Verification": signJwt(world.receiver.key, income, { claims: { iat } }),
      });
    }
    expect(await subjects(world.database)).toEqual([]);
  });

  test("an accepted webhook that is sent again an hour later is still a duplicate", async () => {
    await using world = await startWorld({ receiver: {} });
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body) };
    const first = await world.receiver.post(body, headers);
    world.receiver.clock.advance(60 * 60_000);
    expect(await world.receiver.post(body, headers)).toMatchObject({
      status: 200,
      body: { duplicate: true, webhook_id: first.body.webhook_id },
    });
    expect(await subjects(world.database)).toMatchObject([{ generation: 1 }]);
  });

  test("a webhook at the wrong time with a changed body marks nothing", async () => {
    await using world = await startWorld({ receiver: {} });
    for (const offset of [-400, 90]) {
      const iat = Math.floor(Date.now() / 1000) + offset;
      const jwt = signJwt(world.receiver.key, body, { claims: { iat } });
      await world.receiver.post(webhookBody({ item_id: "victim" }), { "Plaid-Verification": jwt });
      await world.receiver.post(body, {
        "Plaid-Verification": signJwt(newSigningKey(world.receiver.key.kid), body, { claims: { iat } }),
      });
    }
    expect(await subjects(world.database)).toEqual([]);
  });
});

describe("keys", () => {
  test("a key rotation between two webhooks loses none", async () => {
    await using world = await startWorld({ receiver: {} });
    const next = newSigningKey();
    const before = Array.from({ length: 20 }, () => world.receiver.plaid(body));
    world.receiver.server.keys.set(next.kid, next.jwk);
    const after = Array.from({ length: 20 }, () => world.receiver.plaid(body, {}, next));
    const answers = await Promise.all([...before, ...after]);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(await world.receiver.webhooks()).toHaveLength(40);
    expect(world.receiver.server.asked.toSorted()).toEqual([world.receiver.key.kid, next.kid].toSorted());
  });

  test("without a quarantine a webhook whose key cannot be fetched is 503 with Retry-After, and is accepted when it is sent again", async () => {
    await using world = await startWorld({ receiver: {} });
    world.receiver.server.fault = plaidFault(500, "API_ERROR", "INTERNAL_SERVER_ERROR");
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body) };
    expect(await world.receiver.post(body, headers)).toMatchObject({
      status: 503,
      retryAfter: "10",
      body: { error: { code: "verification_key_unavailable" } },
    });
    await expectRefused(world, "key_unavailable");
    world.receiver.server.fault = null;
    world.receiver.clock.advance(2_000);
    expect(await world.receiver.post(body, headers)).toMatchObject({ status: 200, body: { duplicate: false } });
  });

  test("thousands of made-up key ids cause a few fetches from Plaid, and genuine webhooks are accepted meanwhile", async () => {
    await using world = await startWorld({ receiver: { fetchesPerMinute: 5, still: true } });
    await world.receiver.plaid(body);
    const garbage = Array.from({ length: 300 }, (_, index) =>
      world.receiver.plaid(body, {}, { ...world.receiver.key, kid: `kid-${index}` }),
    );
    const genuine = Array.from({ length: 20 }, () => world.receiver.plaid(body));
    expect((await Promise.all(genuine)).every(({ status }) => status === 200)).toBe(true);
    for (const { status } of await Promise.all(garbage)) expect([401, 503]).toContain(status);
    // Five of the open share, which the genuine key is one of, and one of the share of senders that are vouched for.
    expect(world.receiver.server.asked).toHaveLength(6);
    const rows = await world.receiver.refusals();
    expect(rows.map(({ reason }) => reason).toSorted()).toEqual(["key_unavailable", "key_unknown"]);
    expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(300);
  });
});
