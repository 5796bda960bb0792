import { expect } from "vitest";
import type { Walk } from "./walk.ts";

const TRADES = { start_date: "2020-01-01", end_date: "2099-12-31" };

export const investments: Walk = {
  through: "investment transactions, recurring streams and real-time balances",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { control } = simulator;
    const [item] = control.createItems({
      user: "user_good",
      products: ["transactions", "investments", "recurring_transactions"],
      transactions: 200,
      days: 300,
      webhook,
    }).items;
    const { item_id, access_token } = item ?? { item_id: "", access_token: "" };
    control.change(item_id, "investment_transactions", { add: 300, modify: 20, remove: 20 });
    const options = { count: 500, offset: 0, async_update: true };
    const all = await judged(
      "/investments/transactions/get",
      sdk.investmentsTransactionsGet({ access_token, ...TRADES, options }),
    );
    expect(all.total_investment_transactions).toBe(all.investment_transactions.length);
    const page = await sdk.investmentsTransactionsGet({ access_token, ...TRADES, options: { count: 7, offset: 11 } });
    expect(page.data.investment_transactions).toEqual(all.investment_transactions.slice(11, 18));
    const named = new Set(page.data.investment_transactions.flatMap(({ security_id }) => security_id ?? []));
    expect(new Set(page.data.securities.map(({ security_id }) => security_id))).toEqual(named);

    control.change(item_id, "recurring_transactions", { modify: 5, remove: 1 });
    const streams = await judged("/transactions/recurring/get", sdk.transactionsRecurringGet({ access_token }));
    expect(streams.outflow_streams.length).toBeGreaterThan(3);
    expect(streams.inflow_streams.length).toBeGreaterThan(0);
    const balances = await judged(
      "/accounts/balance/get",
      sdk.accountsBalanceGet({ access_token, options: { min_last_updated_datetime: "2020-01-01T00:00:00Z" } }),
    );
    expect(balances.accounts).toHaveLength(control.accounts(item_id).accounts.length);
    expect(await arrived()).toEqual([
      "INVESTMENTS_TRANSACTIONS/DEFAULT_UPDATE",
      "TRANSACTIONS/RECURRING_TRANSACTIONS_UPDATE",
    ]);
  },
};
