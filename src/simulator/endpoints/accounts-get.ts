/** POST /accounts/get: the accounts with the balances last known. */
import { z } from "zod";
import { accountObject } from "../account.ts";
import { bookOf, itemObject } from "../item.ts";
import { invalidAccountId } from "../plaid-error.ts";
import { itemEndpoint } from "./endpoint.ts";

export const accountsGet = itemEndpoint(
  "/accounts/get",
  "healthy",
  { options: z.strictObject({ account_ids: z.array(z.string()).optional() }).optional() },
  (item, body) => {
    const { accounts } = bookOf(item);
    const wanted = body.options?.account_ids;
    if (wanted?.some((id) => !accounts.some((account) => account.id === id))) throw invalidAccountId();
    const shown = wanted ? accounts.filter((account) => wanted.includes(account.id)) : accounts;
    return { accounts: shown.map(accountObject), item: itemObject(item) };
  },
);
