/** POST /accounts/balance/get: the balances as the bank has them now; elsewhere Plaid answers with those that it has cached. */
import { z } from "zod";
import { accountObject } from "../account.ts";
import { itemObject } from "../item.ts";
import { accountsAsked } from "./account-options.ts";
import { itemEndpoint } from "./endpoint.ts";

/** Plaid needs it for one bank, which the simulator does not have, and ignores it for all others. */
export const minLastUpdated = z.iso.datetime({ offset: true }).optional();

export const accountsBalanceGet = itemEndpoint(
  "/accounts/balance/get",
  "healthy",
  {
    options: z
      .strictObject({ account_ids: z.array(z.string()).optional(), min_last_updated_datetime: minLastUpdated })
      .optional(),
  },
  (item, body) => ({ accounts: accountsAsked(item, body.options).map(accountObject), item: itemObject(item) }),
  { perItem: 25, perClient: 100, code: "BALANCE_LIMIT" },
);
