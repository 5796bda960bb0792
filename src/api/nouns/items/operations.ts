/** /v1/items: Plaid Items, from link to unlink. */
import { z } from "zod";
import { reason } from "../../../audit/audit.schema.ts";
import { LinkedItem } from "../../../integrations/item.schema.ts";
import { getItemSecret } from "../../../integrations/items.ts";
import { eraseItem, unlinkItem } from "../../../lifecycle/items.ts";
import { unfitValues } from "../../../mirror/unfit-queries.ts";
import { flag } from "../../../model/listing.ts";
import { namedIntegration, text } from "../../../model/schema.ts";
import { PlaidError } from "../../../plaid/errors.ts";
import { resourcesOfItem } from "../../../sync/cursor-queries.ts";
import { knownTwice } from "../../../sync/duplicates.ts";
import { ItemFilter, SyncRequest } from "../../../sync/item.schema.ts";
import { getItem, listItems } from "../../../sync/items.ts";
import { linkItem } from "../../../sync/linking.ts";
import { requestSync } from "../../../sync/queries.ts";
import { about, inPlain, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";
import { INTEGRATION_ID, ITEM_ID, USER_ID } from "../../../model/examples.ts";
import { rotateOperation } from "./rotate-token.ts";
import { openStatementFile } from "./statement-file.ts";
import { Item, ItemDeleted, itemExample, ItemIntroduced, SyncRequested } from "./shapes.ts";
import { ItemParams, noItem, whichIntegration } from "./which-item.ts";

export function itemOperations(api: Api, deps: ApiDeps): void {
  const { database } = deps;
  const find = async (id: string, integration?: string) => {
    const item = await getItem(database, id, integration);
    if (!item) throw noItem(id);
    return item;
  };

  api.get("/v1/items", { schema: LIST }, ({ query }) => listItems(database, query));

  api.get("/v1/items/:item_id", { schema: SHOW }, async ({ params, query }) => {
    const { counts, ...item } = await find(params.item_id, query.integration_id);
    const { integration_id, item_id } = item;
    const [resources, unfit_values, twice] = await Promise.all([
      resourcesOfItem(database, integration_id, item_id),
      unfitValues(database, integration_id, item_id),
      knownTwice(database, integration_id, item_id),
    ]);
    return { ...counts, ...item, ...twice, resources, unfit_values };
  });

  api.post("/v1/items", { schema: LINK }, async ({ body }, reply) => {
    const linked = await linkItem(deps, body);
    return reply.code(linked.created ? 201 : 200).send({ ...linked, integration_id: body.integration_id });
  });

  api.post("/v1/items/:item_id/sync", { schema: SYNC }, async ({ params: { item_id }, body }, reply) => {
    await requestSync(database, item_id, body);
    return reply.code(202).send({ item_id, due: true as const });
  });

  rotateOperation(api, deps, find);

  api.get("/v1/items/:item_id/statements/:statement_id/file", { schema: FILE }, async (request, reply) => {
    const { params, query, actor } = request;
    const { integration_id } = await find(params.item_id, query.integration_id);
    const gone = new AbortController();
    // A caller that goes away needs no more of the file.
    reply.raw.once("close", () => gone.abort());
    const requested = { integrationId: integration_id, itemId: params.item_id, statementId: params.statement_id };
    const file = await openStatementFile(deps, requested, { actor, reason: query.reason }, gone.signal);
    if (file.length !== null) reply.header("content-length", file.length);
    return reply
      .type(file.contentType)
      .header("content-disposition", `attachment; filename="${file.name}"`)
      .send(file.bytes as never);
  });

  api.delete("/v1/items/:item_id", { schema: DELETE }, async ({ params: { item_id }, query, actor }) => {
    const { integration_id } = await find(item_id, query.integration_id);
    const erased = query.erase === "true";
    const removed_at_plaid = query.remove_at_plaid === "true" && (await removeAtPlaid(deps, integration_id, item_id));
    await (erased ? eraseItem : unlinkItem)(database, integration_id, item_id, { actor, reason: query.reason });
    return { item_id, deleted: true as const, erased, removed_at_plaid };
  });
}

/**
 * Removes the Item at Plaid. Plaid answers a repeat with ITEM_NOT_FOUND, which counts as done.
 * @returns false if Tartan no longer has its token, so that only Plaid's dashboard can remove it
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

const NewItem = z.strictObject({ integration_id: namedIntegration, ...LinkedItem.shape });

const PAGE_OF_ITEMS = list(Item, itemExample, "A page of Items.");

const LIST = {
  ...about("Items", {
    operationId: "listItems",
    summary: "List Items",
    description: "The linked Items and the state of their mirror. Filters combine.",
  }),
  querystring: ItemFilter,
  response: { 200: PAGE_OF_ITEMS, ...refusals() },
};

const SHOW = {
  ...about("Items", {
    operationId: "getItem",
    summary: "Show an Item",
    description:
      "The state of one Item's mirror: when each resource was last equal to Plaid, and what is wrong if it is not.",
  }),
  params: ItemParams,
  querystring: z.strictObject(whichIntegration),
  response: { 200: Item, ...refusals(404) },
};

const LINK = {
  ...about("Items", {
    operationId: "createItem",
    summary: "Link an Item",
    description:
      "Hands over an Item's access token after /item/public_token/exchange; its first sync is due at once. The same as " +
      "posting ITEM/CREATED to the intake. For a known Item it replaces the token (answer 200). Tartan first asks " +
      "Plaid whose token it is, and refuses one of another Item with `token_of_another_item`. When Plaid cannot be reached, " +
      "Tartan links the Item, and its first sync checks the token.",
  }),
  body: NewItem.meta({
    examples: [
      {
        integration_id: INTEGRATION_ID,
        item_id: ITEM_ID,
        access_token: "access-production-de3ce8ef-33f8-452c-a685-8671031fc0f6",
        user_id: USER_ID,
      },
    ],
  }),
  response: { 201: ItemIntroduced, 200: ItemIntroduced, ...refusals(404, 422) },
};

const SYNC = {
  ...about("Items", {
    operationId: "syncItem",
    summary: "Sync an Item now",
    description: "Makes the Item due; a worker takes it as soon as Plaid's rate limits allow.",
  }),
  params: ItemParams,
  body: SyncRequest.meta({ examples: [{ resources: ["transactions"], full: true }] }),
  response: { 202: SyncRequested, ...refusals(404, 409) },
};

const FILE = {
  ...about("Items", {
    operationId: "getStatementFile",
    summary: "Fetch the file of a statement",
    description:
      "The PDF of a statement that `plaid.statements` lists, as Plaid sends it. Tartan keeps nothing of it; the audit log says who " +
      "fetched which. Plaid allows 50 such requests a minute: beyond that the answer is 503 with Retry-After.",
  }),
  params: ItemParams.extend({ statement_id: text(200, "Plaid's id of the statement.") }),
  querystring: z.strictObject({ ...whichIntegration, reason }),
  response: { 200: inPlain("application/pdf", z.any().describe("The file.")), ...refusals(404, 409, 502) },
};

const DELETE = {
  ...about("Items", {
    operationId: "deleteItem",
    summary: "Unlink an Item",
    description:
      "Drops its token and ends its sync; what was mirrored stays, unless `erase` is set. With " +
      "`remove_at_plaid` Tartan removes the Item at Plaid first, and does nothing when Plaid cannot be reached.",
  }),
  params: ItemParams,
  querystring: z.strictObject({
    ...whichIntegration,
    erase: flag("Also delete what was mirrored and journaled for it."),
    remove_at_plaid: flag("First remove it at Plaid (/item/remove), which ends its billing and its token."),
    reason,
  }),
  response: { 200: ItemDeleted, ...refusals(404, 502) },
};
