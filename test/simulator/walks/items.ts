import { CountryCode, Products, SandboxItemFireWebhookRequestWebhookCodeEnum as Code, WebhookType } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

export const items: Walk = {
  through: "items from Link to their removal",
  async walk({ sdk, simulator, webhook, judged }) {
    const link = await judged(
      "/link/token/create",
      sdk.linkTokenCreate({
        client_name: "Tartan",
        language: "en",
        country_codes: [CountryCode.Us],
        user: { client_user_id: "user-17" },
        products: [Products.Transactions],
        webhook: webhook,
      }),
    );
    expect(link.link_token).toMatch(/^link-sandbox-[0-9a-f-]{36}$/);

    const { public_token } = await judged(
      "/sandbox/public_token/create",
      sdk.sandboxPublicTokenCreate({
        institution_id: "ins_109508",
        initial_products: [Products.Transactions, Products.Auth, Products.Investments, Products.Liabilities],
        options: { webhook: webhook, override_username: "user_transactions_dynamic", override_password: "x" },
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
    expect(Object.keys(owed.liabilities)).toEqual(["credit", "line_of_credit", "loan", "mortgage", "student"]);
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
      sdk.itemWebhookUpdate({ access_token, webhook: `${webhook}?moved` }),
    );
    expect(updated.item.webhook).toBe(`${webhook}?moved`);
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
  },
};
