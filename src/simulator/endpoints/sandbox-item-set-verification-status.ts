/** POST /sandbox/item/set_verification_status: ends the verification of an account by micro-deposits, well or not. */
import { z } from "zod";
import { VERIFICATION_STATUSES } from "../account.ts";
import { bookOf } from "../item.ts";
import { invalidAccountId, sandboxProductNotEnabled } from "../plaid-error.ts";
import { isPayable } from "../products/auth.ts";
import { verification } from "../webhooks/notices.ts";
import { itemEndpoint } from "./endpoint.ts";

export const sandboxItemSetVerificationStatus = itemEndpoint(
  "/sandbox/item/set_verification_status",
  "any",
  { account_id: z.string(), verification_status: z.enum(VERIFICATION_STATUSES) },
  (item, body, { sim }) => {
    if (!item.products.includes("auth")) throw sandboxProductNotEnabled("auth");
    const account = bookOf(item).accounts.find((one) => one.id === body.account_id && isPayable(one));
    if (!account) throw invalidAccountId();
    account.verification = body.verification_status;
    sim.notify(item, verification(account.id, body.verification_status === "verification_expired"));
    return {};
  },
);
