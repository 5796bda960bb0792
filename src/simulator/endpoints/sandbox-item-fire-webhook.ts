/** POST /sandbox/item/fire_webhook: sends a webhook as if its cause had happened; nothing else changes. */
import { z } from "zod";
import { sandboxProductNotEnabled, sandboxWebhookInvalid } from "../plaid-error.ts";
import { readyMade } from "../webhooks/ready-made.ts";
import { itemEndpoint } from "./endpoint.ts";

const TYPES = [
  "AUTH",
  "HOLDINGS",
  "INVESTMENTS_TRANSACTIONS",
  "ITEM",
  "LIABILITIES",
  "TRANSACTIONS",
  "ASSETS",
] as const;
const CODES = [
  "DEFAULT_UPDATE",
  "NEW_ACCOUNTS_AVAILABLE",
  "SMS_MICRODEPOSITS_VERIFICATION",
  "AUTHORIZATION_GRANTED",
  "USER_PERMISSION_REVOKED",
  "USER_ACCOUNT_REVOKED",
  "PENDING_DISCONNECT",
  "RECURRING_TRANSACTIONS_UPDATE",
  "LOGIN_REPAIRED",
  "SYNC_UPDATES_AVAILABLE",
  "PRODUCT_READY",
  "ERROR",
] as const;

/** the product that an Item must have for webhooks of a type */
const PRODUCT: Partial<Record<(typeof TYPES)[number], string>> = {
  AUTH: "auth",
  HOLDINGS: "investments",
  INVESTMENTS_TRANSACTIONS: "investments",
  LIABILITIES: "liabilities",
  TRANSACTIONS: "transactions",
  ASSETS: "assets",
};

const TYPE_OF: Partial<Record<(typeof CODES)[number], (typeof TYPES)[number]>> = {
  DEFAULT_UPDATE: "TRANSACTIONS",
  RECURRING_TRANSACTIONS_UPDATE: "TRANSACTIONS",
  SYNC_UPDATES_AVAILABLE: "TRANSACTIONS",
  SMS_MICRODEPOSITS_VERIFICATION: "AUTH",
  PRODUCT_READY: "ASSETS",
  ERROR: "ASSETS",
};

export const sandboxItemFireWebhook = itemEndpoint(
  "/sandbox/item/fire_webhook",
  "any",
  { webhook_type: z.enum(TYPES).optional(), webhook_code: z.enum(CODES) },
  (item, body, { sim }) => {
    const type = body.webhook_type ?? TYPE_OF[body.webhook_code] ?? "ITEM";
    const product = PRODUCT[type];
    if (product && !item.products.includes(product)) throw sandboxProductNotEnabled(product);
    const notice = readyMade(sim, item, type, body.webhook_code);
    if (!notice || !sim.notify(item, notice)) throw sandboxWebhookInvalid();
    return { webhook_fired: true };
  },
);
