/** POST /identity/get: the accounts with their owners. */
import { accountObject } from "../account.ts";
import { itemObject } from "../item.ts";
import { identity, ownersOf } from "../products/identity.ts";
import { accountOptions, accountsAsked } from "./account-options.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const identityGet = productEndpoint(
  "/identity/get",
  identity,
  { options: accountOptions },
  (state, item, body) => ({
    accounts: accountsAsked(item, body.options).map((account) => ({
      ...accountObject(account),
      owners: ownersOf(state, account),
    })),
    item: itemObject(item),
  }),
  { perItem: 100, perClient: 1000, code: "IDENTITY_LIMIT" },
);
