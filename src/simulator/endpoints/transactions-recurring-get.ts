/** POST /transactions/recurring/get: the streams of money that come and go regularly. */
import { z } from "zod";
import { recurringTransactions, streamsObject, updatedText } from "../products/recurring-transactions.ts";
import { accountsAsked } from "./account-options.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const recurringOptions = z
  .strictObject({
    include_personal_finance_category: z.boolean().optional(),
    personal_finance_category_version: z.enum(["v1", "v2"]).optional(),
  })
  .optional();

export const transactionsRecurringGet = productEndpoint(
  "/transactions/recurring/get",
  recurringTransactions,
  { account_ids: z.array(z.string()).optional(), options: recurringOptions },
  (state, item, body) => {
    const accounts = accountsAsked(item, body.account_ids ? { account_ids: body.account_ids } : undefined);
    const asked = state.list.filter(({ account }) => accounts.includes(account));
    return { ...streamsObject(asked), updated_datetime: updatedText(state) };
  },
  { perItem: 20, perClient: 1000, code: "RATE_LIMIT" },
);
