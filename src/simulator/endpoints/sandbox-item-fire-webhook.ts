/** POST /sandbox/item/fire_webhook: sends a webhook as if its cause had happened; nothing else changes. */
import { z } from "zod";
import { sandboxProductNotEnabled, sandboxWebhookInvalid } from "../plaid-error.ts";
import { readyMade } from "../webhooks/ready-made.ts";
import { itemEndpoint } from "./endpoint.ts";

interface Fired {
  /** the product that the Item must have */
  product: string | null;
  codes: readonly string[];
}

/** The webhooks of each type that Plaid fires. */
const FIRED = {
  AUTH: { product: "auth", codes: ["DEFAULT_UPDATE", "SMS_MICRODEPOSITS_VERIFICATION"] },
  HOLDINGS: { product: "investments", codes: ["DEFAULT_UPDATE"] },
  // Plaid's text names it, although its list of types does not.
  IDENTITY: { product: "identity", codes: ["DEFAULT_UPDATE"] },
  INVESTMENTS_TRANSACTIONS: { product: "investments", codes: ["DEFAULT_UPDATE"] },
  ITEM: {
    product: null,
    codes: [
      "NEW_ACCOUNTS_AVAILABLE",
      "AUTHORIZATION_GRANTED",
      "USER_PERMISSION_REVOKED",
      "USER_ACCOUNT_REVOKED",
      "PENDING_DISCONNECT",
      "LOGIN_REPAIRED",
    ],
  },
  LIABILITIES: { product: "liabilities", codes: ["DEFAULT_UPDATE"] },
  TRANSACTIONS: {
    product: "transactions",
    codes: ["DEFAULT_UPDATE", "RECURRING_TRANSACTIONS_UPDATE", "SYNC_UPDATES_AVAILABLE"],
  },
  ASSETS: { product: "assets", codes: ["PRODUCT_READY", "ERROR"] },
} as const satisfies Record<string, Fired>;

type Type = keyof typeof FIRED;
type Code = (typeof FIRED)[Type]["codes"][number];

const TYPES = Object.keys(FIRED) as [Type, ...Type[]];
const CODES = [...new Set(TYPES.flatMap((type): readonly Code[] => FIRED[type].codes))];

/** A code without a type: several types have a DEFAULT_UPDATE, and the one of Transactions is the oldest. */
const typeOf = (code: Code): Type =>
  code === "DEFAULT_UPDATE"
    ? "TRANSACTIONS"
    : (TYPES.find((type) => (FIRED[type].codes as readonly string[]).includes(code)) as Type);

export const sandboxItemFireWebhook = itemEndpoint(
  "/sandbox/item/fire_webhook",
  "any",
  { webhook_type: z.enum(TYPES).optional(), webhook_code: z.enum(CODES) },
  (item, { webhook_type, webhook_code }, { sim }) => {
    const type = webhook_type ?? typeOf(webhook_code);
    const { product, codes }: Fired = FIRED[type];
    if (product !== null && !item.products.includes(product)) throw sandboxProductNotEnabled(product);
    const notice = codes.includes(webhook_code) ? readyMade(sim, item, type, webhook_code) : null;
    if (!notice || !sim.notify(item, notice)) throw sandboxWebhookInvalid();
    return { webhook_fired: true };
  },
);
