/** POST /auth/get: the account numbers, in the networks of the bank's country. */
import { accountObject } from "../account.ts";
import { itemObject } from "../item.ts";
import { auth, isPayable, numbersObject } from "../products/auth.ts";
import { accountOptions, accountsAsked } from "./account-options.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const authGet = productEndpoint(
  "/auth/get",
  auth,
  { options: accountOptions },
  ({ list }, item, body) => {
    const accounts = accountsAsked(item, body.options).filter(isPayable);
    return {
      accounts: accounts.map(accountObject),
      item: itemObject(item),
      numbers: numbersObject(
        list.filter((one) => accounts.includes(one.account)),
        item,
      ),
    };
  },
  { perItem: 100, perClient: 500, code: "AUTH_LIMIT" },
);
