/** POST /liabilities/get: the terms of credit cards, mortgages and student loans. */
import { accountObject } from "../account.ts";
import { itemObject } from "../item.ts";
import { liabilities, liabilitiesObject } from "../products/liabilities.ts";
import { accountOptions, accountsAsked } from "./account-options.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const liabilitiesGet = productEndpoint(
  "/liabilities/get",
  liabilities,
  { options: accountOptions },
  ({ list }, item, body) => {
    const accounts = accountsAsked(item, body.options);
    return {
      accounts: accounts.map(accountObject),
      item: itemObject(item),
      liabilities: liabilitiesObject(list.filter((one) => accounts.includes(one.account))),
    };
  },
  { perItem: 10, perClient: 1000, code: "RATE_LIMIT" },
);
