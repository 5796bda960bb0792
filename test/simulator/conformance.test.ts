/**
 * The official SDK walks through every endpoint, and Plaid's own OpenAPI document judges every answer, every error and
 * every kind of webhook.
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
import { post, refusal, sdkFor } from "./support/client.ts";
import { openPlaidSchema, type PlaidSchema } from "./support/plaid-schema.ts";
import { WALKS } from "./walks/index.ts";

const schema = openPlaidSchema();
const EXTRACTION = { initialMs: 10_000, historicalMs: 60_000, refreshMs: 5_000 };

describe.skipIf(schema === null)("judged by Plaid's schema", () => {
  let simulator: Simulator;
  let inbox: Inbox;
  let sdk: PlaidApi;
  const walked = new Set<string>();
  const judge = schema as PlaidSchema;

  /** The answer of a call, after its schema was checked. */
  async function judged<T>(path: string, call: Promise<{ status: number; data: T }>): Promise<T> {
    const { data } = await call;
    walked.add(path);
    expect(judge.answerFaults(path, data)).toEqual([]);
    expect((data as { request_id: string }).request_id).toMatch(/^\w{15}$/);
    return data;
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

  test("Plaid's SDK links, exchanges, syncs, refreshes, repairs and removes an item", async () => {
    const link = await judged(
      "/link/token/create",
      sdk.linkTokenCreate({
        client_name: "Tartan",
        language: "en",
        country_codes: [CountryCode.Us],
        user: { client_user_id: "user-17" },
        products: [Products.Transactions],
        webhook: inbox.url,
      }),
    );
    expect(link.link_token).toMatch(/^link-sandbox-[0-9a-f-]{36}$/);

    const { public_token } = await judged(
      "/sandbox/public_token/create",
      sdk.sandboxPublicTokenCreate({
        institution_id: "ins_109508",
        initial_products: [Products.Transactions, Products.Auth, Products.Investments, Products.Liabilities],
        options: { webhook: inbox.url, override_username: "user_transactions_dynamic", override_password: "x" },
        user_id: "usr_9nSp2KuZ2x4JDw",
      }),
    );
    const { access_token, item_id } = await judged(
      "/item/public_token/exchange",
      sdk.itemPublicTokenExchange({ public_token }),
    );
    expect(access_token).toMatch(/^access-sandbox-[0-9a-f-]{36}$/);
    expect((await refusal(sdk.itemPublicTokenExchange({ public_token }))).error_code).toBe("INVALID_PUBLIC_TOKEN");

    const empty = await judged("/transactions/sync", sdk.transactionsSync({ access_token }));
    expect(empty).toMatchObject({
      transactions_update_status: "NOT_READY",
      next_cursor: "",
      has_more: false,
      added: [],
    });
    const dates = { start_date: "2020-01-01", end_date: "2099-12-31" };
    expect((await refusal(sdk.transactionsGet({ access_token, ...dates }))).error_code).toBe("PRODUCT_NOT_READY");

    await simulator.control.advanceClock({ advance_s: 10 });
    const initial = await judged("/transactions/sync", sdk.transactionsSync({ access_token, count: 500 }));
    expect(initial.transactions_update_status).toBe("INITIAL_UPDATE_COMPLETE");
    await simulator.control.advanceClock({ advance_s: 50 });
    const rest = await judged(
      "/transactions/sync",
      sdk.transactionsSync({ access_token, cursor: initial.next_cursor, count: 500 }),
    );
    expect(rest.transactions_update_status).toBe("HISTORICAL_UPDATE_COMPLETE");
    expect(initial.added.length + rest.added.length).toBe(50);
    const all = await judged("/transactions/get", sdk.transactionsGet({ access_token, ...dates }));
    expect(all.total_transactions).toBe(50);

    await judged("/transactions/refresh", sdk.transactionsRefresh({ access_token }));
    const today = (await simulator.control.clock()).now.slice(0, 10);
    const purchase = { date_transacted: today, date_posted: today, amount: 89.4, description: 'A "purchase" at Zoë’s' };
    await judged(
      "/sandbox/transactions/create",
      sdk.sandboxTransactionsCreate({ access_token, transactions: [purchase] }),
    );
    await simulator.control.advanceClock({ advance_s: 5 });
    const news = await judged(
      "/transactions/sync",
      sdk.transactionsSync({
        access_token,
        cursor: rest.next_cursor,
        count: 500,
        options: { include_original_description: true },
      }),
    );
    expect(news.added.some((row) => row.name === purchase.description && row.amount === 89.4)).toBe(true);
    expect(news.modified.length).toBe(1);
    expect(news.removed.length).toBeGreaterThan(0);

    const held = await judged("/investments/holdings/get", sdk.investmentsHoldingsGet({ access_token }));
    expect(held.holdings.length).toBeGreaterThan(0);
    const owed = await judged("/liabilities/get", sdk.liabilitiesGet({ access_token }));
    expect(Object.keys(owed.liabilities)).toEqual(["credit", "mortgage", "student"]);
    const { accounts } = await judged("/accounts/get", sdk.accountsGet({ access_token }));
    expect(accounts[0]?.subtype).toBe("checking");
    await judged("/institutions/get", sdk.institutionsGet({ count: 10, offset: 0, country_codes: [CountryCode.Us] }));
    const { institution } = await judged(
      "/institutions/get_by_id",
      sdk.institutionsGetById({
        institution_id: "ins_109508",
        country_codes: [CountryCode.Us],
        options: { include_optional_metadata: true, include_status: true },
      }),
    );
    expect(institution.name).toBe("First Platypus Bank");

    const updated = await judged(
      "/item/webhook/update",
      sdk.itemWebhookUpdate({ access_token, webhook: `${inbox.url}?moved` }),
    );
    expect(updated.item.webhook).toBe(`${inbox.url}?moved`);
    await judged("/sandbox/item/reset_login", sdk.sandboxItemResetLogin({ access_token }));
    expect((await refusal(sdk.accountsGet({ access_token }))).error_code).toBe("ITEM_LOGIN_REQUIRED");
    const broken = await judged("/item/get", sdk.itemGet({ access_token }));
    expect(broken.item.error?.error_code).toBe("ITEM_LOGIN_REQUIRED");
    simulator.control.repairItem(item_id);

    const { new_access_token } = await judged(
      "/item/access_token/invalidate",
      sdk.itemAccessTokenInvalidate({ access_token }),
    );
    expect((await refusal(sdk.itemGet({ access_token }))).error_code).toBe("INVALID_ACCESS_TOKEN");
    const healthy = await judged("/item/get", sdk.itemGet({ access_token: new_access_token }));
    expect(healthy.item).toMatchObject({ item_id, error: null });
    expect(healthy.status?.last_webhook?.code_sent).toBe("LOGIN_REPAIRED");

    await judged(
      "/sandbox/item/fire_webhook",
      sdk.sandboxItemFireWebhook({
        access_token: new_access_token,
        webhook_type: WebhookType.Transactions,
        webhook_code: Code.SyncUpdatesAvailable,
      }),
    );
    await simulator.control.idle();
    const kid = simulator.control.webhooks().webhooks.at(-1)?.attempts[0]?.kid ?? "";
    const { key } = await judged("/webhook_verification_key/get", sdk.webhookVerificationKeyGet({ key_id: kid }));
    expect(key).toMatchObject({ kid, alg: "ES256", crv: "P-256", kty: "EC", use: "sig", expired_at: null });

    await judged("/item/remove", sdk.itemRemove({ access_token: new_access_token }));
    expect((await refusal(sdk.itemGet({ access_token: new_access_token }))).error_code).toBe("ITEM_NOT_FOUND");
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

  test("every path that the simulator answers was walked through", () => {
    expect([...walked].toSorted()).toEqual([...PLAID_PATHS].toSorted());
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
      products: ["transactions", "auth", "investments", "liabilities", "assets"],
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
    const types = ["AUTH", "HOLDINGS", "INVESTMENTS_TRANSACTIONS", "ITEM", "LIABILITIES", "TRANSACTIONS", "ASSETS"];
    for (const webhook_type of types) {
      for (const webhook_code of Object.values(Code)) {
        await post(simulator, "/sandbox/item/fire_webhook", { access_token, webhook_type, webhook_code });
      }
    }
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
