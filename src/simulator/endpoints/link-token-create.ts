/**
 * POST /link/token/create: a new Link session. The simulator has no Link to click through; the control's
 * `links` path finishes the session instead. The request has far more fields than the simulator uses: it accepts unknown ones.
 * Plaid reports the sessions of Hosted Link and Multi-Item Link by webhooks; of others only where the account is enabled for it.
 */
import { z } from "zod";
import { foreignEnvironment, invalidField, itemNotFound, unknownAccessToken } from "../plaid-error.ts";
import type { Item } from "../item.ts";
import { endpoint, type Call } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";

const NEW_ITEM_MS = 4 * 3_600_000;
const UPDATE_MODE_MS = 30 * 60_000;
const DEFAULT_DAYS = 90;

export const linkTokenCreate = endpoint(
  "/link/token/create",
  {
    client_name: z.string().min(1),
    language: z.string().min(1),
    country_codes: z.array(z.string()).min(1),
    user: z.looseObject({ client_user_id: z.string().min(1) }).optional(),
    user_id: z.string().optional(),
    products: z.array(z.string()).optional(),
    required_if_supported_products: z.array(z.string()).optional(),
    optional_products: z.array(z.string()).optional(),
    additional_consented_products: z.array(z.string()).optional(),
    webhook: webhookUrl.optional(),
    access_token: z.string().nullish(),
    transactions: z.looseObject({ days_requested: z.int().min(1).max(730).optional() }).optional(),
    hosted_link: z.looseObject({}).optional(),
    enable_multi_item_link: z.boolean().optional(),
  },
  (body, call) => {
    const item = body.access_token ? itemToUpdate(body.access_token, call) : null;
    const products = body.products ?? [];
    if (!item && products.length === 0) throw invalidField("products must have at least one element");
    const createdAt = call.sim.time.now();
    const expiresAt = createdAt + (item ? UPDATE_MODE_MS : NEW_ITEM_MS);
    const link_token = call.sim.world.createLinkToken({
      clientId: call.client.clientId,
      products,
      ifSupported: [...(body.required_if_supported_products ?? []), ...(body.optional_products ?? [])],
      consented: body.additional_consented_products ?? [],
      webhook: body.webhook ?? null,
      userId: body.user_id ?? body.user?.client_user_id ?? null,
      days: body.transactions?.days_requested ?? DEFAULT_DAYS,
      item,
      reported: body.hosted_link !== undefined || body.enable_multi_item_link === true,
      createdAt,
      expiresAt,
    });
    return { expiration: new Date(expiresAt).toISOString(), link_token };
  },
  { open: true },
);

function itemToUpdate(accessToken: string, { sim, client }: Call): Item {
  if (!accessToken.startsWith("access-sandbox-")) throw foreignEnvironment();
  const item = sim.world.itemByToken(accessToken);
  if (!item || item.clientId !== client.clientId) throw unknownAccessToken();
  if (item.removed) throw itemNotFound();
  return item;
}
