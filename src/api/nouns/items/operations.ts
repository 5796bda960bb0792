/** /v1/items: Plaid Items, from the token's arrival to its end, and their sync runs. */
import { TartanError } from "../../../errors.ts";
import { getItemSecret } from "../../../integrations/items.ts";
import { eraseItem, unlinkItem } from "../../../lifecycle/items.ts";
import { unfitValues } from "../../../mirror/unfit-queries.ts";
import { PlaidError } from "../../../plaid/errors.ts";
import { resourcesOfItem } from "../../../sync/cursor-queries.ts";
import { getItem, listItems } from "../../../sync/items.ts";
import { linkItem } from "../../../sync/linking.ts";
import { listRuns, requestSync } from "../../../sync/queries.ts";
import { EXAMPLES } from "../examples.ts";
import {
  Item,
  ItemDeleted,
  ItemDeletion,
  ItemIntroduced,
  ItemParams,
  ItemQuery,
  ItemsQuery,
  NewItem,
  Run,
  RunsQuery,
  SyncRequest,
  SyncRequested,
} from "./shapes.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

export function itemRoutes(api: Api, deps: ApiDeps): void {
  const { database } = deps;
  const find = async (id: string, integrationId?: string) => {
    const item = await getItem(database, id, integrationId);
    if (item) return item;
    throw new TartanError(
      "not_found",
      `There is no Item ${id}; POST /v1/items or ITEM/CREATED at the intake links one.`,
    );
  };

  api.get("/v1/items", { schema: LIST }, ({ query }) => listItems(database, query));

  api.get("/v1/items/:item_id", { schema: SHOW }, async ({ params, query }) => {
    const item = await find(params.item_id, query.integration_id);
    const { integration_id, item_id } = item;
    const [resources, unfit_values] = await Promise.all([
      resourcesOfItem(database, integration_id, item_id),
      unfitValues(database, integration_id, item_id),
    ]);
    return { ...item, resources, unfit_values };
  });

  api.post("/v1/items", { schema: LINK }, async ({ body }, reply) => {
    const linked = await linkItem(deps, body);
    return reply.code(linked.created ? 201 : 200).send({ ...linked, integration_id: body.integration_id });
  });

  api.post("/v1/items/:item_id/sync", { schema: SYNC }, async ({ params: { item_id }, body }, reply) => {
    await requestSync(database, item_id, body);
    return reply.code(202).send({ item_id, due: true as const });
  });

  api.get("/v1/items/:item_id/runs", { schema: RUNS }, async ({ params: { item_id }, query }) => {
    await find(item_id);
    return await listRuns(database, { item_id, ...query });
  });

  api.delete("/v1/items/:item_id", { schema: DELETE }, async ({ params: { item_id }, query }) => {
    const { integration_id } = await find(item_id, query.integration_id);
    const erased = query.erase === "true";
    const removed_at_plaid = query.remove_at_plaid === "true" && (await removeAtPlaid(deps, integration_id, item_id));
    await (erased ? eraseItem : unlinkItem)(database, integration_id, item_id);
    return { item_id, deleted: true as const, erased, removed_at_plaid };
  });
}

/**
 * Ends the Item at Plaid. A repeat is answered ITEM_NOT_FOUND: it is gone, which is what was asked for.
 * @returns false where its token is no longer here, so that only Plaid's dashboard can end it
 */
async function removeAtPlaid(deps: ApiDeps, integrationId: string, itemId: string): Promise<boolean> {
  const { database, vault, directory, clientFor } = deps;
  const secret = await getItemSecret(database, vault, integrationId, itemId);
  const integration = await directory.find(integrationId);
  if (!secret || !integration) return false;
  try {
    await clientFor(integration).post("/item/remove", { access_token: secret.access_token });
  } catch (error) {
    if (!(error instanceof PlaidError && error.retryClass === "item_ended")) throw error;
  }
  return true;
}

const PAGE_OF_ITEMS = list(Item, EXAMPLES.item, "A page of Items.");

const LIST = {
  ...about("Items", {
    operationId: "listItems",
    summary: "List Items",
    description: "The Items that are linked and how their mirror stands. Filters combine.",
  }),
  querystring: ItemsQuery,
  response: { 200: PAGE_OF_ITEMS, ...refusals() },
};

const SHOW = {
  ...about("Items", {
    operationId: "getItem",
    summary: "Show an Item",
    description:
      "How one Item's mirror stands: since when each resource is known to be equal to Plaid, and what is wrong if it is not.",
  }),
  params: ItemParams,
  querystring: ItemQuery,
  response: { 200: Item, ...refusals(404) },
};

const LINK = {
  ...about("Items", {
    operationId: "createItem",
    summary: "Link an Item",
    description:
      "Hands over an Item's access token after /item/public_token/exchange; its first sync is due at once. The same as " +
      "posting ITEM/CREATED to the intake. For an Item that is known the token is replaced (answer 200). Plaid is asked " +
      "first whose token it is: one of another Item is refused with `token_of_another_item`. When Plaid cannot be asked, " +
      "the Item is linked, and its first sync finds out.",
  }),
  body: NewItem,
  response: { 201: ItemIntroduced, 200: ItemIntroduced, ...refusals(404, 422) },
};

const SYNC = {
  ...about("Items", {
    operationId: "syncItem",
    summary: "Sync an Item now",
    description: "Makes the Item due; a worker takes it as soon as Plaid's rate limits allow.",
  }),
  params: ItemParams,
  body: SyncRequest,
  response: { 202: SyncRequested, ...refusals(404) },
};

const RUNS = {
  ...about("Items", {
    operationId: "listRuns",
    summary: "List an Item's sync runs",
    description: "What each run found, newest first. Runs are kept for 30 days.",
  }),
  params: ItemParams,
  querystring: RunsQuery,
  response: { 200: list(Run, EXAMPLES.run, "A page of runs."), ...refusals(404) },
};

const DELETE = {
  ...about("Items", {
    operationId: "deleteItem",
    summary: "Unlink an Item",
    description:
      "Drops its token and ends its sync; what was mirrored stays, unless `erase` asks for that to go too. With " +
      "`remove_at_plaid` Plaid is told first, and nothing is done here when Plaid cannot be reached.",
  }),
  params: ItemParams,
  querystring: ItemDeletion,
  response: { 200: ItemDeleted, ...refusals(404, 502) },
};
