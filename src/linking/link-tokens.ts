/**
 * Makes Link tokens (https://plaid.com/docs/api/link/#linktokencreate). Tartan sets what must be right for the mirror: the webhook URL, the
 * user and the length of the history. It keeps the SHA-256 of the token, so that the webhooks about its sessions find their user, and asks Plaid
 * about the token where a lost webhook would matter (watched-tokens.ts).
 */
import { hash } from "node:crypto";
import { audit } from "../audit/audit.ts";
import { TartanError } from "../errors.ts";
import { getIntegration, integrationUrl, type Integration } from "../integrations/integrations.ts";
import { getItemSecret } from "../integrations/items.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { noIntegration } from "../model/integration.ts";
import { checked } from "../model/validation.ts";
import { PlaidError, UNREADABLE_ANSWER } from "../plaid/errors.ts";
import type { LinkingDeps } from "./deps.ts";
import { NewLinkToken } from "./link.schema.ts";
import { ask } from "./ask.ts";
import { STORE_LINK_TOKEN } from "./queries.ts";
import { watch } from "./watched-tokens.ts";

export interface LinkTokenDeps extends LinkingDeps {
  /** the start of the intake URLs */
  publicUrl: string;
}

export interface MadeLinkToken {
  link_token: string;
  /** ISO 8601 */
  expiration: string;
  hosted_link_url: string | null;
  integration_id: string;
  user_id: string | null;
  /** of update mode */
  item_id: string | null;
  /** where Plaid sends webhooks */
  webhook: string;
  /** whether Tartan links what the user adds */
  adopt: boolean;
  /** Plaid's, for its support */
  request_id: string;
}

type Asked = ReturnType<typeof NewLinkToken.parse>;

/** What identifies a token of Link without revealing it. */
export const tokenSha256 = (token: string): Buffer => hash("sha256", token, "buffer");

const ENDPOINT = "/link/token/create";

/**
 * Makes a Link token at Plaid.
 * @throws TartanError `invalid_request` naming each field, `not_found` (integration, item), `conflict` (the item has no token), `overloaded`;
 *   PlaidError
 */
export async function createLinkToken(
  deps: LinkTokenDeps,
  given: NewLinkToken,
  by: Change = BY_TARTAN,
): Promise<MadeLinkToken> {
  const asked = checked(NewLinkToken, given, "Link token");
  const { integration_id: integrationId, item_id: itemId = null } = asked;
  const integration = await getIntegration(deps.database, integrationId);
  if (!integration) throw noIntegration(integrationId);
  const item = itemId === null ? null : await itemToUpdate(deps, integrationId, itemId);
  const userId = asked.user_id ?? item?.user_id ?? null;
  checkComplete(asked, integration, userId);
  const webhook = integrationUrl(deps.publicUrl, integrationId);
  const body = requestOf({ asked, integration, userId, webhook, accessToken: item?.access_token ?? null });
  const answer = await ask<Answer>(deps, { integrationId, itemId, endpoint: ENDPOINT }, body);
  const { link_token, expiration, hosted_link_url = null, request_id = "" } = answer;
  if (typeof link_token !== "string" || Number.isNaN(Date.parse(expiration)))
    throw new PlaidError({ errorType: "NETWORK", errorCode: UNREADABLE_ANSWER, httpStatus: 200 });
  const adopt = itemId === null && (asked.adopt ?? integration.adopt_items);
  const about = { integration_id: integrationId, user_id: userId, item_id: itemId };
  const made = { link_token, expiration, hosted_link_url, ...about, webhook, adopt, request_id };
  await store(deps, made, asked.adopt ?? null, by);
  return made;
}

async function store(
  { database, vault }: LinkTokenDeps,
  made: MadeLinkToken,
  adopt: boolean | null,
  by: Change,
): Promise<void> {
  const { link_token: linkToken, integration_id: integrationId, user_id, item_id, expiration } = made;
  await database.transaction(async (tx) => {
    const about = [integrationId, user_id, item_id, adopt, expiration];
    await tx.query(STORE_LINK_TOKEN, [tokenSha256(linkToken), ...about]);
    if (made.adopt || item_id !== null) await watch(tx, vault, { integrationId, linkToken });
    const details = { user_id };
    await audit(tx, by, { action: "link_token.created", integrationId, target: item_id ?? undefined, details });
  });
}

interface Answer {
  link_token?: string;
  expiration: string;
  hosted_link_url?: string;
  request_id?: string;
}

async function itemToUpdate(
  { database, vault }: LinkTokenDeps,
  integrationId: string,
  itemId: string,
): Promise<{ access_token: string; user_id: string | null }> {
  const secret = await getItemSecret(database, vault, integrationId, itemId);
  if (secret) return secret;
  const message = `Tartan has no access token of the item ${itemId} in this integration, which update mode needs.`;
  throw new TartanError("conflict", `${message} Link the item with ITEM/CREATED or POST /v1/items.`, {
    fields: { item_id: "names no linked item of the integration" },
  });
}

/** What is required depends on the integration and on the mode. */
function checkComplete(asked: Asked, { link_client_name }: Integration, userId: string | null): void {
  const fields: Record<string, string> = {};
  const { item_id, client_name, products, account_selection, adopt, plaid } = asked;
  if (userId === null && plaid?.["user_token"] === undefined && plaid?.["user_id"] === undefined)
    fields["user_id"] = "is required: your own identifier of the user";
  if (client_name === undefined && link_client_name === null)
    fields["client_name"] = "is required, unless the integration has a link_client_name";
  if (item_id === undefined && (products ?? []).length === 0)
    fields["products"] = "must name a product at least, such as transactions";
  if (item_id === undefined && account_selection !== undefined)
    fields["account_selection"] = "belongs to update mode: give item_id too, or leave it out";
  if (item_id !== undefined && adopt === true)
    fields["adopt"] = "does not belong to update mode, which links no new Item: leave it out";
  if (Object.keys(fields).length === 0) return;
  const lines = Object.entries(fields).map(([name, what]) => `${name} ${what}`);
  throw new TartanError("invalid_request", `The request for a Link token is not usable: ${lines.join("; ")}.`, {
    fields,
  });
}

interface RequestFacts {
  asked: Asked;
  integration: Integration;
  userId: string | null;
  webhook: string;
  /** of the item in update mode */
  accessToken: string | null;
}

/** Plaid's LinkTokenCreateRequest. */
function requestOf({ asked, integration, userId, webhook, accessToken }: RequestFacts): Record<string, unknown> {
  const { plaid = {}, account_selection } = asked;
  const days = asked.days_requested ?? integration.days_requested;
  const isNew = accessToken === null;
  return {
    ...plaid,
    client_name: asked.client_name ?? integration.link_client_name,
    language: asked.language ?? integration.link_language,
    country_codes: asked.country_codes ?? integration.country_codes,
    webhook,
    ...(userId !== null && { user: { ...objectIn(plaid["user"]), client_user_id: userId } }),
    ...lists(asked),
    ...(asked.hosted_link && { hosted_link: asked.hosted_link }),
    ...(isNew && days !== null && { transactions: { ...objectIn(plaid["transactions"]), days_requested: days } }),
    ...(!isNew && { access_token: accessToken }),
    ...(account_selection !== undefined && {
      update: { ...objectIn(plaid["update"]), account_selection_enabled: account_selection },
    }),
  };
}

const LISTS = [
  "products",
  "required_if_supported_products",
  "optional_products",
  "additional_consented_products",
] as const;

const lists = (asked: Asked): Partial<Asked> =>
  Object.fromEntries(LISTS.flatMap((name) => (asked[name] === undefined ? [] : [[name, asked[name]]])));

const objectIn = (value: unknown): object => (typeof value === "object" && value !== null ? value : {});
