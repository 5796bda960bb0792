import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CATALOGUE } from "../../../src/plaid/catalogue.ts";
import { append } from "../../../src/journal/append.ts";
import { newUuid, toWebhookId } from "../../../src/model/ids.ts";
import type { NewWebhook } from "../../../src/model/webhook.ts";
import { webhook as anyWebhook } from "../../support/webhook.ts";
import { startWorld, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
let integration: { id: string; webhook_secret: string };
beforeAll(async () => {
  world = await startWorld({ api: {} });
  integration = await world.api.integrate();
});
afterAll(() => world[Symbol.asyncDispose]());

const webhook = (more: Partial<NewWebhook> = {}): NewWebhook =>
  anyWebhook({ integrationId: integration.id, itemId: null, ...more });

/** All pages of a list, in the order they came. */
async function readAll(path: string): Promise<Json[]> {
  const rows: Json[] = [];
  let cursor = "";
  do {
    const { status, body } = await world.api.call(`GET ${path}${cursor}`);
    expect(status).toBe(200);
    rows.push(...body.data);
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor !== "");
  return rows;
}

describe("a webhook", () => {
  it("a webhook posted by the backend is shown with its body, its source and no proof", async () => {
    const body = { webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "shown-item", note: "kept" };
    const headers = { "tartan-webhook-secret": integration.webhook_secret };
    const posted = await world.api.call(`POST /v1/integrations/${integration.id}`, { key: null, body, headers });
    expect(posted.status).toBe(200);
    const shown = await world.api.call(`GET /v1/webhooks/${posted.body.webhook_id}`);
    expect(shown.body).toEqual({
      id: posted.body.webhook_id,
      integration_id: integration.id,
      source: "BACKEND",
      item_id: "shown-item",
      user_id: null,
      webhook_type: "ITEM",
      webhook_code: "UPDATED",
      subject: { kind: "item", id: "shown-item" },
      environment: "sandbox",
      received_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      webhook: body,
      tokens_cut: false,
      body_pruned: false,
      body_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      verification: null,
      processed_at: null,
      update_info: null,
      about: {
        known: true,
        meaning: expect.stringMatching(/^Your backend says .*\.$/),
        resources: expect.arrayContaining(["items", "accounts"]),
        unread: null,
        effect: expect.stringContaining("item.updated"),
        deprecated: false,
      },
    });
  });

  it("a webhook is shown with what it means, and with the resources that are read for its subject", async () => {
    const shown = async (fields: Partial<NewWebhook>) => {
      const stored = webhook(fields);
      await append(world.database, [stored]);
      return (await world.api.call(`GET /v1/webhooks/${toWebhookId(stored.id)}`)).body;
    };
    const holdings = { webhookType: "HOLDINGS", webhookCode: "DEFAULT_UPDATE", subject: { kind: "item", id: "i" } };
    expect((await shown(holdings)).about).toMatchObject({ known: true, resources: ["accounts", "holdings"] });
    // No resource of the kind of its subject is read after it.
    const elsewhere = { ...holdings, subject: { kind: "institution", id: "ins_1" } };
    const unread = "Its body does not name the item that Tartan reads after such a webhook.";
    expect(await shown(elsewhere)).toMatchObject({
      subject: elsewhere.subject,
      about: { known: true, resources: [], unread },
    });
    expect((await shown({ webhookType: "BEACON", webhookCode: "REPORT_CREATED" })).about).toMatchObject({
      resources: [],
      unread: expect.stringMatching(/Beacon/),
      deprecated: true,
    });
    const unknown = { known: false, meaning: null, resources: [], unread: null, effect: null, deprecated: false };
    expect((await shown({ webhookType: "NEXT_YEAR", webhookCode: null })).about).toEqual(unknown);
  });

  it("every webhook of the catalogue is listed with its subjects, its resources and its meaning", async () => {
    const { body } = await world.api.call("GET /v1/webhook-types");
    expect(body.data.map(({ type, code }: Json) => [type, code])).toEqual(
      CATALOGUE.map(({ type, code }) => [type, code]),
    );
    const find = (...of: string[]) => body.data.find(({ type, code }: Json) => type === of[0] && code === of[1]);
    expect(find("TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")).toMatchObject({
      sender: "PLAID",
      subjects: ["item", "processor_account"],
      resources: expect.arrayContaining(["accounts", "transactions"]),
    });
    expect(find("TRANSFER", "TRANSFER_EVENTS_UPDATE")).toMatchObject({ subjects: ["transfer_ledger"] });
    expect(find("ITEM", "WEBHOOK_UPDATE_ACKNOWLEDGED")).toMatchObject({ also_sent_as: ["UPDATE_ACKNOWLEDGED"] });
  });

  it("a webhook signed by Plaid is shown with the proof of it", async () => {
    const signed = webhook({
      proof: {
        jwt: "a.b.c",
        tokenSha256: Buffer.alloc(32, 7),
        keyId: "a-key",
        signedAt: new Date("2026-11-20T17:00:00Z"),
      },
    });
    await append(world.database, [signed]);
    const { body } = await world.api.call(`GET /v1/webhooks/${toWebhookId(signed.id)}`);
    expect(body.verification).toEqual({
      key_id: "a-key",
      signed_at: "2026-11-20T17:00:00.000Z",
      body_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it("an unknown webhook is 404 with every form of id", async () => {
    for (const id of [toWebhookId(newUuid()), "whk_1", "nonsense", newUuid(), "%F0%9F%92%A5"])
      expect([id, (await world.api.call(`GET /v1/webhooks/${id}`)).status]).toEqual([id, 404]);
  });
});

describe("webhooks are found", () => {
  const types = ["TRANSACTIONS", "ITEM"] as const;
  const codes = ["DEFAULT_UPDATE", "ERROR"] as const;
  const sources = ["PLAID", "BACKEND", "FROM_LISTENER", "RECONCILER"] as const;
  const stored: NewWebhook[] = [];

  beforeAll(async () => {
    for (let index = 0; index < 120; index += 1) {
      const pick = <T>(of: readonly T[], by: number) => of[Math.floor(index / by) % of.length] as T;
      const itemId = `found-item-${index % 3}`;
      const userId = `found-user-${index % 2}`;
      const at = { webhookType: pick(types, 1), webhookCode: pick(codes, 5), source: pick(sources, 7) };
      stored.push(webhook({ itemId, userId, subject: { kind: "item", id: itemId }, ...at }));
    }
    await append(world.database, stored);
  });

  it("webhooks are found by each filter and any combination, newest first, each once, with every page size", async () => {
    const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const filters = fc.record({
      item_id: fc.constantFrom("found-item-0", "found-item-1", "found-item-2"),
      user_id: some(fc.constantFrom("found-user-0", "found-user-1", "nobody")),
      type: some(fc.constantFrom(...types)),
      code: some(fc.constantFrom(...codes)),
      source: some(fc.constantFrom(...sources)),
      integration_id: some(fc.constantFrom(integration.id, "svi_none")),
    });
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 60 }), async (filter, limit) => {
        const given = Object.entries(filter).filter(([, value]) => value !== undefined) as [string, string][];
        const rows = await readAll(`/v1/webhooks?${new URLSearchParams([...given, ["limit", String(limit)]])}`);
        const expected = stored.filter(
          (one) =>
            one.itemId === filter.item_id &&
            (filter.user_id ?? one.userId) === one.userId &&
            (filter.type ?? one.webhookType) === one.webhookType &&
            (filter.code ?? one.webhookCode) === one.webhookCode &&
            (filter.source ?? one.source) === one.source &&
            (filter.integration_id ?? one.integrationId) === one.integrationId,
        );
        expect(rows.map(({ id }) => id)).toEqual(expected.map(({ id }) => toWebhookId(id)).toReversed());
      }),
      { numRuns: 40 },
    );
  });

  it("the pages of webhooks stay the same while new ones arrive between them", async () => {
    const first = await world.api.call("GET /v1/webhooks?item_id=found-item-0&limit=10");
    await append(world.database, [webhook({ itemId: "found-item-0" })]);
    const second = await world.api.call(
      `GET /v1/webhooks?item_id=found-item-0&limit=10&cursor=${first.body.next_cursor}`,
    );
    const ids = [...first.body.data, ...second.body.data].map(({ id }: { id: string }) => id);
    const expected = stored.filter(({ itemId }) => itemId === "found-item-0").toReversed();
    expect(ids).toEqual(expected.slice(0, 20).map(({ id }) => toWebhookId(id)));
  });

  it("an unknown source of webhooks is refused with the known ones", async () => {
    const { status, body } = await world.api.call("GET /v1/webhooks?source=plaid");
    expect([status, body.error.fields.source]).toEqual([
      400,
      "must be one of PLAID, BACKEND, FROM_LISTENER, RECONCILER; did you mean PLAID?",
    ]);
  });
});

describe("a refused request", () => {
  it("a refusal is listed with its reason and without the request's content", async () => {
    const { id } = await world.api.integrate();
    const body = { webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "x" };
    const wrong = { "tartan-webhook-secret": "a-wrong-secret-indeed" };
    expect((await world.api.call(`POST /v1/integrations/${id}`, { key: null, body, headers: wrong })).status).toBe(401);
    const jwt = { "plaid-verification": `e30.e30.${randomBytes(32).toString("base64url")}` };
    expect((await world.api.call(`POST /v1/integrations/${id}`, { key: null, body, headers: jwt })).status).toBe(401);
    const list = `/v1/refusals?integration_id=${id}&limit=1`;
    await expect.poll(async () => (await readAll(list)).length, { timeout: 5000 }).toBe(2);
    const rows = await readAll(list);
    expect(rows.map(({ reason }) => reason).toSorted()).toEqual(["token_malformed", "webhook_secret_mismatch"]);
    expect(rows[0]).toMatchObject({
      integration_id: id,
      count: 1,
      remote_address: "127.0.0.1",
      body_bytes: expect.any(Number),
    });
    expect(JSON.stringify(rows)).not.toContain("a-wrong-secret-indeed");
  });
});

describe("integrations and Items are listed", () => {
  it("integrations and Items are listed each once, with every page size", async () => {
    const made = [];
    for (let index = 0; index < 7; index += 1) made.push((await world.api.integrate({ verify: false })).id);
    const last = made.at(-1) ?? "";
    for (let index = 0; index < 7; index += 1) {
      const body = { integration_id: last, item_id: `listed-${index}`, access_token: "access-sandbox-listed" };
      await world.api.call("POST /v1/items", { body });
    }
    for (const limit of [1, 2, 3, 7, 500]) {
      const integrations = (await readAll(`/v1/integrations?limit=${limit}`)).map(({ id }) => id);
      expect(new Set(integrations).size).toBe(integrations.length);
      expect(integrations).toEqual(expect.arrayContaining(made));
      const items = (await readAll(`/v1/items?integration_id=${last}&limit=${limit}`)).map(({ item_id }) => item_id);
      expect(items).toEqual(Array.from({ length: 7 }, (_, index) => `listed-${index}`));
    }
  });
});
