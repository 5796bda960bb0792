import { ProcessorTokenCreateRequestProcessorEnum as Processor, Products } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk, Walker } from "./walk.ts";

const DAYS = { start_date: "2020-01-01", end_date: "2099-12-31" };

export const processors: Walk = {
  through: "tokens of processors and what they read",
  async walk(walker) {
    const { sdk, simulator, webhook, judged, arrived } = walker;
    const { control } = simulator;
    const products = ["transactions", "auth", "identity", "investments", "liabilities", "recurring_transactions"];
    const [item] = control.createItems({ products, transactions: 60, institution_id: "ins_109508" }).items;
    const { item_id = "", access_token = "" } = item ?? {};
    const { accounts } = (await sdk.accountsGet({ access_token })).data;
    const account_id = accounts[0]?.account_id ?? "";
    const { processor_token } = await judged(
      "/processor/token/create",
      sdk.processorTokenCreate({ access_token, account_id, processor: Processor.Dwolla }),
    );
    const update = await judged(
      "/processor/token/webhook/update",
      sdk.processorTokenWebhookUpdate({ processor_token, webhook }),
    );
    expect(update.request_id).toBeTruthy();
    await read(walker, processor_token, account_id);

    control.changeTransactions(item_id, { add: 3, remove: 0, account_id });
    expect(await arrived()).toEqual([
      "PROCESSOR_TOKEN/WEBHOOK_UPDATE_ACKNOWLEDGED",
      "TRANSACTIONS/DEFAULT_UPDATE",
      "TRANSACTIONS/SYNC_UPDATES_AVAILABLE",
    ]);
    await judged(
      "/processor/token/permissions/set",
      sdk.processorTokenPermissionsSet({ processor_token, products: [Products.Auth] }),
    );
    const allowed = await judged(
      "/processor/token/permissions/get",
      sdk.processorTokenPermissionsGet({ processor_token }),
    );
    expect(allowed.products).toEqual(["auth"]);
    expect((await refusal(sdk.processorIdentityGet({ processor_token }))).error_code).toBe("INVALID_PRODUCT");
    control.breakItem(item_id);
    expect((await refusal(sdk.processorAuthGet({ processor_token }))).error_code).toBe("ITEM_LOGIN_REQUIRED");
    await sdk.itemRemove({ access_token });
    expect((await refusal(sdk.processorAuthGet({ processor_token }))).error_code).toBe("ITEM_NOT_FOUND");

    const sandbox = await judged(
      "/sandbox/processor_token/create",
      sdk.sandboxProcessorTokenCreate({ institution_id: "ins_109508" }),
    );
    const { account } = (await sdk.processorAccountGet({ processor_token: sandbox.processor_token })).data;
    expect(account.subtype).toBe("checking");
    expect((await refusal(sdk.processorAccountGet({ processor_token: "processor-sandbox-1" }))).error_code).toBe(
      "INVALID_PROCESSOR_TOKEN",
    );
  },
};

async function read({ sdk, judged }: Walker, processor_token: string, account_id: string): Promise<void> {
  const of = { processor_token };
  const account = await judged("/processor/account/get", sdk.processorAccountGet(of));
  expect(account.account.account_id).toBe(account_id);
  const { numbers } = await judged("/processor/auth/get", sdk.processorAuthGet(of));
  expect(numbers.ach?.account_id).toBe(account_id);
  const { account: owned } = await judged("/processor/identity/get", sdk.processorIdentityGet(of));
  expect(owned.owners.length).toBeGreaterThan(0);
  const synced = await judged("/processor/transactions/sync", sdk.processorTransactionsSync({ ...of, count: 500 }));
  const got = await judged("/processor/transactions/get", sdk.processorTransactionsGet({ ...of, ...DAYS }));
  expect(got.total_transactions).toBe(synced.added.length);
  expect(new Set(synced.added.map((one) => one.account_id))).toEqual(new Set([account_id]));
  await judged("/processor/transactions/refresh", sdk.processorTransactionsRefresh(of));
  const owed = await judged("/processor/liabilities/get", sdk.processorLiabilitiesGet(of));
  expect(owed.liabilities.credit).toBeNull();
  const held = await judged("/processor/investments/holdings/get", sdk.processorInvestmentsHoldingsGet(of));
  expect(held).toMatchObject({ holdings: [], securities: [] });
  const trades = await judged(
    "/processor/investments/transactions/get",
    sdk.processorInvestmentsTransactionsGet({ ...of, ...DAYS, options: { count: 500, async_update: true } }),
  );
  expect(trades).toMatchObject({ account: { account_id }, total_investment_transactions: 0 });
  const streams = await judged("/processor/transactions/recurring/get", sdk.processorTransactionsRecurringGet(of));
  const grouped = [...streams.inflow_streams, ...streams.outflow_streams];
  expect(new Set(grouped.map((stream) => stream.account_id))).toEqual(new Set([account_id]));
  const options = { min_last_updated_datetime: "2020-01-01T00:00:00Z" };
  const now = await judged("/processor/balance/get", sdk.processorBalanceGet({ ...of, options }));
  expect(now.account.balances).toEqual(account.account.balances);
}
