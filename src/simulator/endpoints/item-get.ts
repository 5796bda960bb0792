/** POST /item/get: the Item, its error and the times of its last updates; it answers in every state of the Item. */
import { momentText } from "../days.ts";
import { itemObject, statusObject } from "../item.ts";
import { consentedProducts } from "../products/shelf.ts";
import { itemEndpoint } from "./endpoint.ts";

const SCOPES: Record<string, string> = {
  transactions: "transactions",
  auth: "account_routing_number",
  identity: "contact_info",
  investments: "investments",
  liabilities: "credit_loan_info",
  statements: "bank_statements",
};

export const itemGet = itemEndpoint(
  "/item/get",
  "any",
  {},
  (item) => ({
    item: {
      ...itemObject(item),
      consented_data_scopes: [
        "account_balance_info",
        ...consentedProducts(item).flatMap((product) => SCOPES[product] ?? []),
      ],
      consented_products: consentedProducts(item),
      consented_use_cases: ["Track and manage your finances"],
      created_at: momentText(item.createdAt),
    },
    status: statusObject(item),
  }),
  { perItem: 40, perClient: 5000, code: "ITEM_GET_LIMIT" },
);
