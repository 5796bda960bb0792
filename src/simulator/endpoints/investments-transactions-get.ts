/** POST /investments/transactions/get: the transactions of investment accounts between two dates, newest first, by offset. */
import { z } from "zod";
import { itemObject } from "../item.ts";
import {
  investmentTransactions,
  newestTradesFirst,
  securitiesOf,
  tradeObject,
} from "../products/investment-transactions.ts";
import { holdings } from "../products/holdings.ts";
import { readable } from "../products/shelf.ts";
import { accountsAsked } from "./account-options.ts";
import { daysAsked } from "./day-range.ts";
import { investmentAccountObject } from "./investment-account.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const tradeOptions = z.strictObject({
  account_ids: z.array(z.string()).optional(),
  count: z.int().min(1).max(500).default(100),
  offset: z.int().min(0).default(0),
  /** The simulator never holds a request until the first pull has ended, so it makes no difference. */
  async_update: z.boolean().optional(),
});

export const investmentsTransactionsGet = productEndpoint(
  "/investments/transactions/get",
  investmentTransactions,
  { start_date: z.string(), end_date: z.string(), options: tradeOptions.optional() },
  (state, item, body, sim) => {
    const { count = 100, offset = 0 } = body.options ?? {};
    const [from, to] = daysAsked(body);
    const accounts = accountsAsked(item, body.options);
    const all = newestTradesFirst(state).filter(
      ({ account, day }) => day >= from && day <= to && accounts.includes(account),
    );
    const held = readable(sim, item, holdings);
    const page = all.slice(offset, offset + count);
    return {
      accounts: accounts.map((account) => investmentAccountObject(account, held)),
      investment_transactions: page.map(tradeObject),
      is_investments_fallback_item: held?.fallback ?? false,
      item: itemObject(item),
      securities: securitiesOf(state, page, item.institution.institution_id),
      total_investment_transactions: all.length,
    };
  },
  { perItem: 100, perClient: 1000, code: "INVESTMENT_TRANSACTIONS_LIMIT" },
);
