/**
 * Links items for the API and the command line, which may ask Plaid first: so they refuse the token of another item at once, with
 * the field, instead of at the item's first sync. If Plaid is down, slow or busy, they link the item anyway.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { toWebhookId } from "../model/ids.ts";
import type { Intake } from "../model/intake.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { askWithin, createLimiter } from "./limiter.ts";

export interface LinkDeps {
  database: Database;
  intake: Pick<Intake, "accept">;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  /** multiplies Plaid's published rate limits; 1 when absent */
  limitFactor?: number;
}

const ITEM_GET = "/item/get";
/** How long to wait for Plaid's rate limit and for its answer. */
const PATIENCE_MS = 2000;
const ANSWER_MS = 5000;

export interface LinkRequest {
  integration_id: string;
  item_id: string;
  access_token: string;
  /** your identifier of the user; when absent, the known one stays */
  user_id?: string | undefined;
}

export interface LinkResult {
  /** `whk_…` of ITEM/CREATED */
  webhook_id: string;
  item_id: string;
  /** false where the item was known and its token was replaced */
  created: boolean;
}

/**
 * Links an item or replaces its token.
 * @throws TartanError `token_of_another_item` naming the field, and what the intake throws of a linked item
 */
export async function linkItem(deps: LinkDeps, item: LinkRequest): Promise<LinkResult> {
  const owner = await ownerOf(deps, item);
  if (owner !== null && owner !== item.item_id) {
    throw new TartanError("token_of_another_item", "The access token belongs to another item. Nothing was linked.", {
      fields: { access_token: "belongs to another item than item_id names" },
    });
  }
  const { id, created } = await deps.intake.accept({
    arrival: "linked_item",
    integrationId: item.integration_id,
    itemId: item.item_id,
    accessToken: item.access_token,
    userId: item.user_id,
  });
  return { webhook_id: toWebhookId(id), item_id: item.item_id, created };
}

/** The id of the item with which Plaid answers the token; null if Plaid does not answer, for any reason. */
async function ownerOf(deps: LinkDeps, { integration_id, item_id, access_token }: LinkRequest): Promise<string | null> {
  const integration = await deps.directory.find(integration_id);
  if (integration === null) return null;
  try {
    const { environment } = integration;
    const limiter = createLimiter(deps.database, deps.clock, deps.limitFactor ?? 1);
    const signal = AbortSignal.timeout(PATIENCE_MS + ANSWER_MS);
    const asking = {
      integrationId: integration_id,
      environment,
      endpoint: ITEM_GET,
      itemId: item_id,
      institutionId: null,
    };
    if ((await limiter.acquire(asking, PATIENCE_MS, signal)) > 0) return null;
    type Answer = { item?: { item_id?: unknown } };
    const { item } = await askWithin(limiter, asking, () =>
      deps.clientFor(integration).postJson<Answer>(ITEM_GET, { access_token }, signal),
    );
    return typeof item?.item_id === "string" ? item.item_id : null;
  } catch {
    // The first sync gets the same failure and stores it with the item.
    return null;
  }
}
