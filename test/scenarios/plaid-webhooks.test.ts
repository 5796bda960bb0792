/**
 * Every webhook of Plaid's document, and webhooks that nobody expects, through the server's intake, signed by the simulator: each is
 * stored, answered 200, processed and shown, whatever Tartan knows of it.
 */
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { CATALOGUE } from "../../src/plaid/catalogue.ts";
import { readWebhook } from "../../src/plaid/webhooks.ts";
import { resourcesOf, subjectKind, touches } from "../../src/resources/index.ts";
import { plaidWebhooks } from "../simulator/support/plaid-schema.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";

type Body = Record<string, unknown>;
const document = plaidWebhooks();
const nameOf = (body: Body): string => `${String(body["webhook_type"])}/${String(body["webhook_code"])}`;

let world: World<"api" | "sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ api: {}, sync: {} });
  item = await world.sync.synced(3);
});
afterAll(() => world[Symbol.asyncDispose]());

/** Posts as Plaid does, and resolves with the webhook's id. */
async function post(text: string): Promise<string> {
  const { body, jwt } = world.simulator.control.signWebhook({ body: text });
  const path = `POST /v1/integrations/${world.integration.id}`;
  const answer = await world.api.call(path, { key: null, body, headers: { "plaid-verification": jwt ?? "" } });
  expect([text.slice(0, 200), answer.status]).toEqual([text.slice(0, 200), 200]);
  return answer.body.webhook_id;
}

/** Posts all, works until nothing is due, and resolves with each webhook as the API shows it. */
async function processed(texts: readonly string[]): Promise<Json[]> {
  const ids: string[] = [];
  for (const text of texts) ids.push(await post(text));
  await using worker = await world.sync.start();
  await worker.idle();
  return await Promise.all(
    ids.map(async (id) => {
      const { status, body } = await world.api.call(`GET /v1/webhooks/${id}`);
      expect(status).toBe(200);
      return body;
    }),
  );
}

/** The outcome where no request to Plaid is needed; null where one is. */
function outcomeWithoutRun(body: Body, linked: ReadonlySet<unknown>): string | null {
  const { type, code, subject } = readWebhook(Buffer.from(JSON.stringify(body)));
  const read = (kind: string) => resourcesOf(kind).filter(({ touchedBy }) => touches(touchedBy, type, code));
  if (subject === null || read(subject.kind).length === 0) {
    const { about = [] } = CATALOGUE.find((known) => known.type === type && known.code === code) ?? {};
    return about.some(({ kind }) => read(kind).length > 0) ? "no_subject" : "no_resource";
  }
  const access = subjectKind(subject.kind)?.access;
  if (access?.by === "access_token") return linked.has(subject.id) ? null : "item_unknown";
  if (access?.by === "token" && access.inWebhook === undefined) return "subject_unknown";
  return read(subject.kind).every(({ billed }) => billed !== undefined) ? "not_enabled" : null;
}

describe("Plaid's own example webhooks", () => {
  test.skipIf(document === null)(
    "end processed, with the outcome that the catalogue and the resources promise",
    async () => {
      const examples = document?.examples ?? [];
      expect(examples.length).toBeGreaterThanOrEqual(89);
      const shown = await processed(examples.map((example) => JSON.stringify(example, null, 2)));
      for (const [index, example] of examples.entries()) {
        const { webhook_type, webhook_code, processed_at, update_info } = shown[index];
        expect([nameOf({ webhook_type, webhook_code }), processed_at]).toEqual([nameOf(example), expect.any(String)]);
        const outcome = outcomeWithoutRun(example, new Set());
        if (outcome !== null) expect([nameOf(example), update_info]).toEqual([nameOf(example), { outcome }]);
        else expect([nameOf(example), update_info.duration_ms]).toEqual([nameOf(example), expect.any(Number)]);
      }
    },
  );
});

describe("webhooks about an item that is linked", () => {
  it("each webhook of the catalogue that may name an item ends processed", async () => {
    const linked = new Set([item.item_id]);
    // The last ones end the item.
    const named = CATALOGUE.filter(({ about }) => about.some(({ kind }) => kind === "item")).toSorted(
      (one, other) => Number(one.effect === "permission_revoked") - Number(other.effect === "permission_revoked"),
    );
    const bodies = named.map(({ type, code }) => ({ webhook_type: type, webhook_code: code, item_id: item.item_id }));
    const shown = await processed(bodies.map((body) => JSON.stringify(body)));
    for (const [index, body] of bodies.entries()) {
      const outcome = outcomeWithoutRun(body, linked) ?? "synced";
      expect([nameOf(body), shown[index].update_info]).toMatchObject([nameOf(body), { outcome }]);
    }
  });
});

describe("webhooks that nobody expects", () => {
  const type = '"webhook_type": "TRANSACTIONS"';
  const code = '"webhook_code": "SYNC_UPDATES_AVAILABLE"';

  it.each([
    ["of an unknown type", `{"webhook_type": "NEXT_YEAR", "webhook_code": "X", "item_id": "i"}`, "unknown_webhook"],
    [
      "of an unknown code",
      `{"webhook_type": "ASSETS", "webhook_code": "X", "asset_report_id": "a"}`,
      "unknown_webhook",
    ],
    ["without type and code", `{"item_id": "i"}`, "unknown_webhook"],
    ["without a code", `{${type}, "item_id": "i"}`, "item_unknown"],
    [
      "of a user that names an item only",
      `{"webhook_type": "INCOME", "webhook_code": "INCOME_VERIFICATION", "item_id": "i"}`,
      "no_subject",
    ],
    ["without the id of its subject", `{${type}, ${code}}`, "no_subject"],
    ["with a subject of another type", `{${type}, ${code}, "item_id": {"id": 7}, "account_id": []}`, "no_subject"],
    [
      "with a type of another type",
      `{"webhook_type": ["ITEM"], "webhook_code": 1.5, "item_id": "i"}`,
      "unknown_webhook",
    ],
    ["with a huge id", `{${type}, ${code}, "item_id": "${"x".repeat(100_000)}"}`, "no_subject"],
    ["with an id that Postgres cannot hold", `{${type}, ${code}, "item_id": "a\\u0000b\\ud800"}`, "no_subject"],
    [
      "with the same key twice",
      `{${type}, "item_id": 7, ${code}, "item_id": "twice", "item_id": "twice"}`,
      "item_unknown",
    ],
    ["with a prototype", `{"__proto__": {${type}}, "constructor": {${code}}, "item_id": "i"}`, "unknown_webhook"],
    [
      "whose type is a member of every object",
      `{"webhook_type": "constructor", "webhook_code": "name"}`,
      "unknown_webhook",
    ],
    ["deeply nested", `{${type}, ${code}, "error": ${"[".repeat(5000)}${"]".repeat(5000)}}`, "no_subject"],
    [
      "of another subject that also names an item",
      `{"webhook_type": "DASHBOARD_CONFIGURED_ALERT", "webhook_code": "X", "institution_id": "ins_109508", "item_id": "i"}`,
      "synced",
    ],
    [
      "of a product that is not mirrored",
      `{"webhook_type": "PROTECT", "webhook_code": "PROTECT_USER_EVENT"}`,
      "no_resource",
    ],
    ["that is no JSON", "webhook_type=ITEM", "unknown_webhook"],
    ["that is empty", "", "unknown_webhook"],
  ])("a webhook %s is stored, answered 200, processed and shown", async (_what, text, outcome) => {
    const [shown] = await processed([text]);
    expect(shown).toMatchObject({ processed_at: expect.any(String), update_info: { outcome } });
  });
});
