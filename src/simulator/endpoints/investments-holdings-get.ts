/** POST /investments/holdings/get: the holdings of the investment accounts, and their securities. */
import { itemObject } from "../item.ts";
import { holdings, holdingsAnswer } from "../products/holdings.ts";
import { accountOptions, accountsAsked } from "./account-options.ts";
import { investmentAccountObject } from "./investment-account.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const investmentsHoldingsGet = productEndpoint(
  "/investments/holdings/get",
  holdings,
  { options: accountOptions },
  (state, item, body) => {
    const accounts = accountsAsked(item, body.options);
    const rows = state.list.filter((one) => accounts.includes(one.account));
    const { institution_id } = item.institution;
    return {
      accounts: accounts.map((account) => investmentAccountObject(account, state)),
      ...holdingsAnswer(state, rows, institution_id),
      is_investments_fallback_item: state.fallback,
      item: itemObject(item),
    };
  },
  { perItem: 100, perClient: 1000, code: "INVESTMENT_HOLDINGS_GET_LIMIT" },
);
