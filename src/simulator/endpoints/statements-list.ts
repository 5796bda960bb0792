/** POST /statements/list: the statements that can be downloaded, by account. */
import { statementAccounts, statements } from "../products/statements.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const statementsList = productEndpoint(
  "/statements/list",
  statements,
  {},
  (state, item) => ({
    accounts: statementAccounts(state, item),
    institution_id: item.institution.institution_id,
    institution_name: item.institution.name,
    item_id: item.itemId,
  }),
  { perClient: 100, code: "RATE_LIMIT" },
);
