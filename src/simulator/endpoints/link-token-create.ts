/**
 * POST /link/token/create: a new Link session. The simulator has no Link to click through; the control's
 * `links` path finishes the session instead. It accepts all fields of Plaid's document; those about Link's own pages have no effect.
 * Plaid reports the sessions of Hosted Link and Multi-Item Link by webhooks; of others only where the account is enabled for it.
 */
import { z } from "zod";
import { foreignEnvironment, invalidField, itemNotFound, unknownAccessToken } from "../plaid-error.ts";
import type { Item } from "../item.ts";
import { recordWith } from "../records/changes.ts";
import { user } from "../records/user.ts";
import { endpoint, type Body, type Call } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";

const NEW_ITEM_MS = 4 * 3_600_000;
const HALF_HOUR_MS = 30 * 60_000;
const LONGEST_URL_LIFE_S = 21 * 86_400;
const DEFAULT_DAYS = 90;

/** Fields that change Link's pages, or products that the simulator fills without them. */
const WITHOUT_EFFECT: readonly string[] =
  `link_customization_name appearance_mode redirect_uri android_package_name institution_data card_switch account_filters eu_config
   institution_id payment_configuration payment_initiation employment income_verification base_report credit_partner_insights cra_options
   consumer_report_permissible_purpose auth transfer identity_verification statements third_party_user_token investments
   investments_auth cashflow_report cra_enabled identity financekit_supported`.split(/\s+/);

const products = z.array(z.string()).nullish();

const shape = {
  client_name: z.string().min(1),
  language: z.string().min(1),
  country_codes: z.array(z.string()).min(1),
  user: z.looseObject({ client_user_id: z.string().min(1) }).optional(),
  user_id: z.string().optional(),
  user_token: z.string().optional(),
  products,
  required_if_supported_products: products,
  optional_products: products,
  additional_consented_products: products,
  webhook: webhookUrl.optional(),
  access_token: z.string().nullish(),
  access_tokens: z.array(z.string()).optional(),
  update: z
    .strictObject({
      account_selection_enabled: z.boolean().optional(),
      reauthorization_enabled: z.boolean().optional(),
      user: z.boolean().optional(),
      item_ids: z.array(z.string()).nullish(),
    })
    .optional(),
  transactions: z.looseObject({ days_requested: z.int().min(1).max(730).optional() }).optional(),
  hosted_link: z
    .strictObject({
      /** ignored in the Sandbox, by Plaid too */
      delivery_method: z.enum(["sms", "email"]).optional(),
      completion_redirect_uri: z.string().optional(),
      url_lifetime_seconds: z.int().min(1).max(LONGEST_URL_LIFE_S).optional(),
      is_mobile_app: z.boolean().optional(),
    })
    .optional(),
  enable_multi_item_link: z.boolean().optional(),
};

type Request = Body<typeof shape>;

const withoutEffect = Object.fromEntries(WITHOUT_EFFECT.map((field) => [field, z.unknown().optional()]));

export const linkTokenCreate = endpoint("/link/token/create", { ...withoutEffect, ...shape }, (request, call) => {
  const body = request as Request;
  const userId = userOf(body, call);
  const [item = null, ...alsoUpdated] = itemsToUpdate(body, userId, call);
  const requested = body.products ?? [];
  if (!item && requested.length === 0) throw invalidField("products must have at least one element");
  const createdAt = call.sim.time.now();
  const expiresAt = createdAt + lifeOf(body, item !== null);
  const link_token = call.sim.world.createLinkToken({
    clientId: call.client.clientId,
    products: requested,
    ifSupported: [...(body.required_if_supported_products ?? []), ...(body.optional_products ?? [])],
    consented: body.additional_consented_products ?? [],
    webhook: body.webhook ?? null,
    userId: userId ?? body.user?.client_user_id ?? null,
    days: body.transactions?.days_requested ?? DEFAULT_DAYS,
    item,
    alsoUpdated,
    reported: body.hosted_link !== undefined || body.enable_multi_item_link === true,
    multiItem: body.enable_multi_item_link === true,
    asked: {
      client_user_id: body.user?.client_user_id ?? null,
      client_name: body.client_name,
      language: body.language,
      country_codes: body.country_codes,
      account_selection: body.update?.account_selection_enabled ?? false,
    },
    createdAt,
    expiresAt,
  });
  return {
    expiration: new Date(expiresAt).toISOString(),
    ...(body.hosted_link ? { hosted_link_url: `https://secure.plaid.com/hl/${link_token.slice(-36)}` } : {}),
    link_token,
    ...(userId?.startsWith("usr_") ? { user_id: userId } : {}),
  };
});

/** The Link token of a hosted session ends with its URL. */
function lifeOf({ hosted_link }: Request, updates: boolean): number {
  if (hosted_link) return (hosted_link.url_lifetime_seconds ?? HALF_HOUR_MS / 1000) * 1000;
  return updates ? HALF_HOUR_MS : NEW_ITEM_MS;
}

/** Plaid's user, by the id or by the token of one that was created in the older way; null: none is named */
function userOf({ user_id, user_token }: Request, { sim, client }: Call): string | null {
  return user_token ? recordWith(sim, user, client.clientId, user_token).id : (user_id ?? null);
}

/** The Items of update mode: by their tokens, or those of a user; [] in a session that links a new one. */
function itemsToUpdate({ access_token, access_tokens, update }: Request, userId: string | null, call: Call): Item[] {
  const tokens = [...(access_token ? [access_token] : []), ...(access_tokens ?? [])];
  if (tokens.length > 0) return tokens.map((token) => itemToUpdate(token, call));
  if (!update?.user) return [];
  if (userId === null) throw invalidField("update.user needs a user_id or a user_token");
  const mine = [...call.sim.world.items.values()].filter(
    (item) => item.userId === userId && item.clientId === call.client.clientId && !item.removed,
  );
  const ids = update.item_ids ?? [];
  const named = mine.filter((item) => ids.includes(item.itemId));
  if (named.length < ids.length) throw invalidField("update.item_ids must be Items of the user");
  const found = ids.length > 0 ? named : mine.filter((item) => item.error && !item.revoked).slice(-1);
  if (found.length === 0) throw invalidField("the user has no Item that needs an update");
  return found;
}

function itemToUpdate(accessToken: string, { sim, client }: Call): Item {
  if (!accessToken.startsWith("access-sandbox-")) throw foreignEnvironment();
  const item = sim.world.itemByToken(accessToken);
  if (!item || item.clientId !== client.clientId) throw unknownAccessToken();
  if (item.removed) throw itemNotFound();
  return item;
}
