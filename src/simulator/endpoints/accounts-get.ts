/** POST /accounts/get: the accounts with their last known balances. */
import { accountObject } from "../account.ts";
import { itemObject } from "../item.ts";
import { accountOptions, accountsAsked } from "./account-options.ts";
import { itemEndpoint } from "./endpoint.ts";

export const accountsGet = itemEndpoint(
  "/accounts/get",
  "healthy",
  { options: accountOptions },
  (item, body) => ({ accounts: accountsAsked(item, body.options).map(accountObject), item: itemObject(item) }),
  { perItem: 100, perClient: 5000, code: "ACCOUNTS_LIMIT" },
);
