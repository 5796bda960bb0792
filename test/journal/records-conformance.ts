/** What every engine of the port `Records` promises, as tests that take an engine. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newUuid, toWebhookId } from "../../src/model/ids.ts";
import type { Records, WebhookFilter, WebhookPage, WebhookRecord } from "../../src/model/records.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { sha256 } from "../support/plaid-signer.ts";
import { INTEGRATION, proof, webhook } from "../support/webhook.ts";

const DAY = 24 * 60 * 60_000;

/** An engine on an empty store. */
export interface RecordsEngine extends AsyncDisposable {
  records: Records;
  store(webhooks: readonly NewWebhook[]): Promise<void>;
  /** notes on all webhooks what came of them */
  process(at: Date, info: object): Promise<void>;
  /** forgets all webhooks */
  clear(): Promise<void>;
}

export async function allPages(
  records: Records,
  filter: WebhookFilter,
  between?: () => Promise<unknown>,
): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: WebhookPage = await records.list({ ...filter, cursor });
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
    await between?.();
  } while (cursor !== null);
  return ids;
}

/** What the filter means, said once more. */
function isMeant(webhook: NewWebhook, filter: WebhookFilter): boolean {
  const facts = {
    item_id: webhook.itemId,
    user_id: webhook.userId ?? null,
    type: webhook.webhookType,
    code: webhook.webhookCode,
    source: webhook.source,
    integration_id: webhook.integrationId,
  };
  return Object.entries(facts).every(([name, value]) => {
    const asked = filter[name as keyof typeof facts];
    return asked === undefined || asked === value;
  });
}

const expected = (webhooks: readonly NewWebhook[], filter: WebhookFilter): string[] =>
  webhooks
    .filter((one) => isMeant(one, filter))
    .map(({ id }) => id)
    .toSorted()
    .toReversed()
    .map(toWebhookId);

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
const maybe = <T>(...values: T[]) => fc.option(oneOf(...values), { nil: undefined });

const filters: fc.Arbitrary<WebhookFilter> = fc.record({
  item_id: maybe("item-1", "item-2", "item-none"),
  user_id: maybe("user-1", "user-2"),
  type: maybe("ITEM", "TRANSACTIONS"),
  code: maybe("ERROR", "DEFAULT_UPDATE"),
  source: maybe("PLAID" as const, "BACKEND" as const, "FROM_LISTENER" as const),
  integration_id: maybe(INTEGRATION, "svi_other"),
});

const webhooks = fc.array(
  fc
    .record({
      itemId: oneOf("item-1", "item-2", null),
      userId: oneOf("user-1", "user-2", null),
      webhookType: oneOf("ITEM", "TRANSACTIONS", null),
      webhookCode: oneOf("ERROR", "DEFAULT_UPDATE", null),
      source: oneOf("PLAID" as const, "BACKEND" as const, "FROM_LISTENER" as const),
      integrationId: oneOf(INTEGRATION, "svi_other"),
      daysAgo: fc.integer({ min: -40, max: 60 }),
    })
    .map(({ daysAgo, ...fields }) =>
      webhook({ ...fields, receivedAt: new Date(Date.now() - daysAgo * DAY), proof: null }),
    ),
  { minLength: 1, maxLength: 60 },
);

export function recordsConformance(name: string, openEngine: () => Promise<RecordsEngine>): void {
  describe(`the records over ${name}`, () => {
    test("any filter, page by page, yields exactly its webhooks, newest first, while others arrive", async () => {
      await using engine = await openEngine();
      await fc.assert(
        fc.asyncProperty(
          webhooks,
          fc.array(filters, { minLength: 1, maxLength: 6 }),
          fc.integer({ min: 1, max: 7 }),
          async (given, asked, limit) => {
            await engine.clear();
            await engine.store(given);
            for (const filter of asked) {
              const before = expected(given, filter);
              const newer = async () => {
                const more = webhook({
                  itemId: "item-1",
                  userId: "user-1",
                  receivedAt: new Date(Date.now() + 41 * DAY),
                  proof: null,
                });
                await engine.store([more]);
                given.push(more);
              };
              expect(await allPages(engine.records, { ...filter, limit }, newer)).toEqual(before);
            }
          },
        ),
        { numRuns: 12 },
      );
    });

    test("a record is what came and what became of it", async () => {
      await using engine = await openEngine();
      const signedAt = new Date("2026-05-01T10:00:00Z");
      const body = Buffer.from('{\n  "item_id": "item-1",\n  "n": 1\n}');
      const given = webhook({
        body,
        userId: "user-1",
        proof: proof(signedAt),
        receivedAt: new Date("2026-05-01T10:00:02.345Z"),
      });
      await engine.store([given]);
      const record: WebhookRecord = {
        id: toWebhookId(given.id),
        integration_id: INTEGRATION,
        source: "PLAID",
        item_id: "item-1",
        user_id: "user-1",
        webhook_type: "TRANSACTIONS",
        webhook_code: "SYNC_UPDATES_AVAILABLE",
        subject: { kind: "item", id: "item-1" },
        environment: "sandbox",
        received_at: "2026-05-01T10:00:02.345Z",
        webhook: { item_id: "item-1", n: 1 },
        tokens_cut: false,
        body_pruned: false,
        body_sha256: sha256(body),
        verification: { key_id: "kid-1", signed_at: "2026-05-01T10:00:00.000Z", body_sha256: sha256(body) },
        processed_at: null,
        update_info: null,
      };
      expect(await engine.records.get(record.id)).toEqual(record);
      expect(await engine.records.list({})).toEqual({ data: [record], next_cursor: null });
      await engine.process(new Date("2026-05-01T10:00:03Z"), { outcome: "synced" });
      expect(await engine.records.get(record.id)).toMatchObject({
        processed_at: "2026-05-01T10:00:03.000Z",
        update_info: { outcome: "synced" },
      });
    });

    test("a body that is no JSON object is shown empty; a webhook by secret has no verification", async () => {
      await using engine = await openEngine();
      for (const text of ["", "[1]", "null", '"x"', "{", "\0"]) {
        const given = webhook({ body: Buffer.from(text), proof: null, source: "BACKEND" });
        await engine.store([given]);
        expect(await engine.records.get(toWebhookId(given.id))).toMatchObject({ webhook: {}, verification: null });
      }
    });

    test("there is no webhook under an unknown or malformed id", async () => {
      await using engine = await openEngine();
      expect(await engine.records.get(toWebhookId(newUuid()))).toBeNull();
      expect(await engine.records.get("whk_1")).toBeNull();
      expect(await engine.records.get("'; drop table")).toBeNull();
    });

    test("cursors that no page gave, and limits that are none, are refused by name", async () => {
      await using engine = await openEngine();
      await engine.store([webhook(), webhook()]);
      const { next_cursor } = await engine.records.list({ limit: 1 });
      const real = String(next_cursor);
      for (const cursor of [
        "",
        "x",
        real.slice(1),
        `${real}A`,
        real.toLowerCase(),
        Buffer.from("1").toString("base64url"),
      ])
        await expect(engine.records.list({ cursor })).rejects.toMatchObject({
          code: "invalid_request",
          fields: { cursor: expect.any(String) },
        });
      for (const limit of [0, 501, 1.5, Number.NaN, -1])
        await expect(engine.records.list({ limit })).rejects.toMatchObject({
          fields: { limit: expect.any(String) },
        });
      await expect(engine.records.list({ item_id: "a\0" })).rejects.toMatchObject({
        fields: { item_id: expect.any(String) },
      });
    });
  });
}
