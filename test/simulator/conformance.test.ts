/**
 * The official SDK walks through every endpoint, and Plaid's own OpenAPI document judges every request, every answer, every error and
 * every kind of webhook. Then each endpoint gets the requests that it must refuse. A new endpoint needs a walk (walks/).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CountryCode,
  Products,
  SandboxItemFireWebhookRequestWebhookCodeEnum as Code,
  WebhookType,
  type PlaidApi,
} from "plaid";
import { PLAID_PATHS } from "../../src/simulator/plaid-api.ts";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { post, sdkFor } from "./support/client.ts";
import PLAID from "../../scripts/plaid-endpoints.json" with { type: "json" };
import { sdkSchema } from "./support/sdk-schema.ts";
import { openPlaidSchema, type PlaidSchema } from "./support/plaid-schema.ts";
import { WALKS } from "./walks/index.ts";

/** what the SDK's client says of an answer and its request */
interface Answered<T> {
  data: T;
  config?: { data?: unknown };
  headers?: Record<string, string>;
}

const schema = openPlaidSchema();
const EXTRACTION = { initialMs: 10_000, historicalMs: 60_000, refreshMs: 5_000 };

describe.skipIf(schema === null)("judged by Plaid's schema", () => {
  let simulator: Simulator;
  let inbox: Inbox;
  let sdk: PlaidApi;
  /** the first request of each endpoint, without credentials */
  const walked = new Map<string, Record<string, unknown>>();
  const judge = schema as PlaidSchema;

  /** The answer of a call, after its schema and that of the request were checked. */
  async function judged<T>(path: string, call: Promise<{ status: number; data: T }>): Promise<T> {
    const { data, config, headers = {} } = (await call) as Answered<T>;
    const request = JSON.parse(typeof config?.data === "string" ? config.data : "{}") as Record<string, unknown>;
    if (!walked.has(path)) walked.set(path, request);
    expect(judge.requestFaults(path, request)).toEqual([]);
    const type = headers["content-type"] ?? "application/json";
    expect(judge.answerTypes(path)).toContain(type);
    if (type !== "application/json") return data;
    expect(judge.answerFaults(path, data)).toEqual([]);
    expect((data as { request_id: string }).request_id).toMatch(/^\w{15}$/);
    return data;
  }

  /** The webhooks that the Sandbox fires for an Item, by type; it refuses all others with one of two errors. */
  async function fired(access_token: string): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    for (const webhook_type of [...Object.values(WebhookType), "IDENTITY"]) {
      for (const webhook_code of Object.values(Code)) {
        const body = { access_token, webhook_type, webhook_code };
        const answer = await post(simulator, "/sandbox/item/fire_webhook", body);
        if (answer.status === 200) found[webhook_type] = [...(found[webhook_type] ?? []), webhook_code].toSorted();
        else {
          expect(judge.errorFaults(answer.body)).toEqual([]);
          expect(["SANDBOX_PRODUCT_NOT_ENABLED", "SANDBOX_WEBHOOK_INVALID"]).toContain(answer.body["error_code"]);
        }
      }
    }
    return found;
  }

  beforeAll(async () => {
    inbox = await openInbox();
    simulator = await startSimulator({ seed: "conformance", extraction: EXTRACTION, rateLimits: 1000 });
    sdk = sdkFor(simulator);
  });
  afterAll(async () => {
    await simulator[Symbol.asyncDispose]();
    await inbox[Symbol.asyncDispose]();
  });

  test.each(WALKS)("Plaid's SDK walks through $through", async ({ walk }) => {
    simulator.control.addClient({ client_id: simulator.clientId, secret: simulator.secret, webhook: inbox.url });
    inbox.arrived.length = 0;
    const arrived = async () => {
      await simulator.control.idle();
      return inbox.codes();
    };
    await walk({ simulator, sdk, webhook: inbox.url, judged, arrived });
    await arrived();
    expect(inbox.arrived.flatMap(({ body }) => judge.webhookFaults(body))).toEqual([]);
    simulator.control.addClient({ client_id: simulator.clientId, secret: simulator.secret, webhook: null });
  });

  test("every path that the simulator serves was walked through", () => {
    expect([...walked.keys()].toSorted()).toEqual([...PLAID_PATHS].toSorted());
  });

  test("the list of Plaid's endpoints, of which the docs say what is served, is that of Plaid's document and SDK", () => {
    const listed = Object.values(PLAID.products).flat();
    const newer = [...sdkSchema().paths.keys()].filter((path) => !judge.paths.includes(path));
    expect(PLAID.newer.toSorted()).toEqual(newer.toSorted());
    expect(listed.toSorted()).toEqual([...judge.paths, ...newer].toSorted());
  });

  test("every endpoint refuses a request without a required field, with a field that Plaid lacks, or of a stranger", async () => {
    const wrong: string[] = [];
    const refused = async (path: string, body: unknown, codes: string[], headers?: Record<string, string>) => {
      const answer = await post(simulator, path, body, headers);
      const code = String(answer.body["error_code"]);
      const fine = answer.status === (codes.includes("INTERNAL_SERVER_ERROR") ? 500 : 400) && codes.includes(code);
      if (!fine) wrong.push(`${path} answers ${answer.status} ${code} to ${JSON.stringify(body).slice(0, 300)}`);
      wrong.push(...judge.errorFaults(answer.body));
    };
    for (const [path, body] of walked) {
      for (const field of judge.requestFields(path).required) {
        const { [field]: _, ...rest } = body;
        await refused(path, rest, ["MISSING_FIELDS"]);
      }
      await refused(path, { ...body, a_field_that_plaid_lacks: 1 }, ["UNKNOWN_FIELDS"]);
      await refused(path, body, ["INVALID_API_KEYS"], { "plaid-client-id": simulator.clientId, "plaid-secret": "x" });
      if ("access_token" in body) {
        const access_token = "access-sandbox-00000000-0000-4000-8000-000000000000";
        await refused(path, { ...body, access_token }, ["INVALID_ACCESS_TOKEN"]);
      }
      simulator.control.addFault({ kind: "server_error", count: 1 });
      await refused(path, body, ["INTERNAL_SERVER_ERROR"]);
    }
    expect(wrong).toEqual([]);
  });

  test("every endpoint knows every field that Plaid's document has for its request", async () => {
    const unknown: string[] = [];
    for (const [path, body] of walked) {
      const { optional } = judge.requestFields(path);
      const all = Object.fromEntries(optional.map((field) => [field, body[field] ?? null]));
      // The field that Plaid lacks makes the request fail, and the refusal names all unknown ones.
      const { body: answer } = await post(simulator, path, { ...body, ...all, a_field_that_plaid_lacks: 1 });
      const named = /recognized by this endpoint: (.*)/.exec(String(answer["error_message"]))?.[1]?.split(", ") ?? [];
      unknown.push(...named.filter((field) => optional.includes(field)).map((field) => `${path}: ${field}`));
    }
    expect(unknown).toEqual([]);
  });

  test("a finished Link session becomes an Item with the session's webhook and products", async () => {
    const session = {
      client_name: "Tartan",
      language: "en",
      country_codes: [CountryCode.Us],
      user: { client_user_id: "user-18" },
    };
    const products = [Products.Transactions];
    const { link_token } = (await sdk.linkTokenCreate({ ...session, products, webhook: inbox.url })).data;
    const { public_token } = simulator.control.completeLink({ link_token, institution_id: "ins_109511" });
    const { access_token, item_id } = (await sdk.itemPublicTokenExchange({ public_token: public_token ?? "" })).data;
    expect((await sdk.itemGet({ access_token })).data.item).toMatchObject({
      item_id,
      institution_name: "Tartan Bank",
      webhook: inbox.url,
      products,
    });
    simulator.control.breakItem(item_id);
    const update = (await sdk.linkTokenCreate({ ...session, access_token })).data;
    expect(simulator.control.completeLink({ link_token: update.link_token })).toEqual({ public_token: null, item_id });
    expect((await sdk.itemGet({ access_token })).data.item.error).toBeNull();
  });

  test("every kind of webhook matches Plaid's document", async () => {
    const [item] = simulator.control.createItems({
      webhook: inbox.url,
      products: ["transactions", "auth", "identity", "investments", "liabilities", "assets"],
      user_id: "usr_9nSp2KuZ2x4JDw",
      transactions: 20,
    }).items;
    const { access_token, item_id } = item ?? { access_token: "", item_id: "" };
    await sdk.transactionsSync({ access_token });
    const { control } = simulator;
    inbox.arrived.length = 0;
    control.createItems({ webhook: inbox.url, ready: false });
    await control.advanceClock({ advance_s: 60 });
    await sdk.itemWebhookUpdate({ access_token, webhook: `${inbox.url}?again` });
    control.changeTransactions(item_id, { add: 2, modify: 1, remove: 2, post_pending: "all", add_pending: 1 });
    control.breakItem(item_id, { error_code: "ITEM_LOCKED" });
    control.repairItem(item_id);
    control.addAccount(item_id, { transactions: 3 });
    control.revokeAccount(item_id);
    expect(await fired(access_token)).toEqual({
      AUTH: ["DEFAULT_UPDATE", "SMS_MICRODEPOSITS_VERIFICATION"],
      HOLDINGS: ["DEFAULT_UPDATE"],
      IDENTITY: ["DEFAULT_UPDATE"],
      INVESTMENTS_TRANSACTIONS: ["DEFAULT_UPDATE"],
      ITEM: [
        "AUTHORIZATION_GRANTED",
        "LOGIN_REPAIRED",
        "NEW_ACCOUNTS_AVAILABLE",
        "PENDING_DISCONNECT",
        "USER_ACCOUNT_REVOKED",
        "USER_PERMISSION_REVOKED",
      ],
      LIABILITIES: ["DEFAULT_UPDATE"],
      TRANSACTIONS: ["DEFAULT_UPDATE", "RECURRING_TRANSACTIONS_UPDATE", "SYNC_UPDATES_AVAILABLE"],
      ASSETS: ["ERROR", "PRODUCT_READY"],
    });
    const [bare] = control.createItems({ webhook: inbox.url, products: ["balance"] }).items;
    expect(Object.keys(await fired(bare?.access_token ?? ""))).toEqual(["ITEM"]);
    const [silent] = control.createItems({ products: ["auth", "transactions"] }).items;
    expect(await fired(silent?.access_token ?? "")).toEqual({});
    for (const webhook_code of ["PENDING_EXPIRATION", "ERROR"]) {
      control.sendWebhook({ item_id, webhook_type: "ITEM", webhook_code });
    }
    control.revokeItem(item_id);
    await control.idle();
    const kinds = new Set(inbox.codes());
    // The one that can be fired although Plaid's document has no schema of it.
    expect(kinds.delete("ITEM/AUTHORIZATION_GRANTED")).toBe(true);
    const documented = inbox.arrived.filter(({ body }) => body["webhook_code"] !== "AUTHORIZATION_GRANTED");
    expect(documented.flatMap(({ body }) => judge.webhookFaults(body))).toEqual([]);
    expect([...kinds].toSorted()).toEqual([
      "ASSETS/ERROR",
      "ASSETS/PRODUCT_READY",
      "AUTH/DEFAULT_UPDATE",
      "AUTH/SMS_MICRODEPOSITS_VERIFICATION",
      "HOLDINGS/DEFAULT_UPDATE",
      "IDENTITY/DEFAULT_UPDATE",
      "INVESTMENTS_TRANSACTIONS/DEFAULT_UPDATE",
      "ITEM/ERROR",
      "ITEM/LOGIN_REPAIRED",
      "ITEM/NEW_ACCOUNTS_AVAILABLE",
      "ITEM/PENDING_DISCONNECT",
      "ITEM/PENDING_EXPIRATION",
      "ITEM/USER_ACCOUNT_REVOKED",
      "ITEM/USER_PERMISSION_REVOKED",
      "ITEM/WEBHOOK_UPDATE_ACKNOWLEDGED",
      "LIABILITIES/DEFAULT_UPDATE",
      "TRANSACTIONS/DEFAULT_UPDATE",
      "TRANSACTIONS/HISTORICAL_UPDATE",
      "TRANSACTIONS/INITIAL_UPDATE",
      "TRANSACTIONS/RECURRING_TRANSACTIONS_UPDATE",
      "TRANSACTIONS/SYNC_UPDATES_AVAILABLE",
      "TRANSACTIONS/TRANSACTIONS_REMOVED",
    ]);
  });

  test("every webhook about an Item that the control sends without further fields matches Plaid's document", async () => {
    const { control } = simulator;
    await control.idle();
    const products = ["transactions", "auth", "identity", "investments", "liabilities", "statements"];
    const [item] = control.createItems({ webhook: inbox.url, products, user_id: "usr_9nSp2KuZ2x4JDw" }).items;
    inbox.arrived.length = 0;
    for (const kind of judge.itemWebhooks) {
      const [webhook_type, webhook_code] = kind.split("/");
      control.sendWebhook({ item_id: item?.item_id, webhook_type, webhook_code });
    }
    await control.idle();
    expect(inbox.arrived.flatMap(({ body }) => judge.webhookFaults(body))).toEqual([]);
    expect(inbox.codes().toSorted()).toEqual(judge.itemWebhooks.toSorted());
  });

  test("transactions of every merchant, place and account kind match Plaid's document", async () => {
    for (const user of ["user_good", "controlled"] as const) {
      const [item] = simulator.control.createItems({ user, transactions: 3000, days: 730 }).items;
      let cursor = "";
      for (let more = true; more;) {
        const call = sdk.transactionsSync({ access_token: item?.access_token ?? "", cursor, count: 500 });
        const page = await judged("/transactions/sync", call);
        cursor = page.next_cursor;
        more = page.has_more;
      }
      await judged("/accounts/get", sdk.accountsGet({ access_token: item?.access_token ?? "" }));
    }
  });

  test("every error is a PlaidError with a request_id", async () => {
    const { control } = simulator;
    const [item] = control.createItems({ count: 1 }).items;
    const { access_token } = item ?? { access_token: "" };
    const bad: [string, unknown][] = [
      ["/item/get", {}],
      ["/item/get", { access_token, extra: 1 }],
      ["/item/get", "not json"],
      ["/item/get", "[]"],
      ["/item/get", { access_token: "nonsense" }],
      ["/item/get", { access_token: "access-production-1" }],
      ["/transactions/sync", { access_token, count: 501 }],
      ["/transactions/sync", { access_token, cursor: "bm9uc2Vuc2U=" }],
      ["/webhook_verification_key/get", { key_id: "unknown" }],
      ["/no/such/path", {}],
    ];
    for (const [path, body] of bad) {
      const answer = await post(simulator, path, body);
      expect(judge.errorFaults(answer.body)).toEqual([]);
      expect(answer.body).toMatchObject({
        error_code: expect.any(String),
        request_id: expect.stringMatching(/^\w{15}$/),
      });
      expect(answer.status).toBe(path === "/no/such/path" ? 404 : 400);
    }
  });
});
