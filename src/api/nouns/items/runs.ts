/** /v1/items/:item_id/runs: the sync runs of an Item. */
import { z } from "zod";
import { page } from "../../../model/listing.ts";
import { anyObject, integrationId, itemId, timestamp, described } from "../../../model/schema.ts";
import { getItem } from "../../../sync/items.ts";
import { listRuns } from "../../../sync/queries.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

import { ItemParams, noItem } from "./which-item.ts";
import { INTEGRATION_ID, ITEM_ID, UPDATE_INFO } from "../../../model/examples.ts";

export function runOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/items/:item_id/runs", { schema: LIST }, async ({ params: { item_id }, query }) => {
    if ((await getItem(database, item_id)) === null) throw noItem(item_id);
    return await listRuns(database, { item_id, ...query });
  });
}

export const runExample = {
  id: "0192f3a8-7d01-7c3e-8b2a-5f4e6d7c8b9a",
  item_id: ITEM_ID,
  integration_id: INTEGRATION_ID,
  started_at: "2026-11-20T17:03:29.088Z",
  finished_at: "2026-11-20T17:03:29.500Z",
  outcome: "synced",
  error: null,
  webhooks: 2,
  update_info: UPDATE_INFO,
};

const Run = z
  .object({
    id: described(z.string(), "Id of the run; ids sort by time."),
    item_id: itemId,
    integration_id: integrationId,
    started_at: timestamp("When a worker took it."),
    finished_at: timestamp("When its rows were visible."),
    outcome: described(z.string(), "`synced`, or what came of it instead; `failed` for a run that ended unexpectedly."),
    error: described(
      z.record(z.string(), z.unknown()).nullable(),
      "Its error: `error_code`, `message`, `next_step`. Null if it did not fail.",
    ),
    webhooks: described(z.number().int(), "How many webhooks it served."),
    update_info: anyObject("Its summary; the same as on the webhooks that it served."),
  })
  .meta({ id: "Run", description: "One sync run.", examples: [runExample] });

const LIST = {
  ...about("Items", {
    operationId: "listRuns",
    summary: "List an Item's sync runs",
    description: "The Item's sync runs, newest first. Tartan keeps them for 30 days.",
  }),
  params: ItemParams,
  querystring: z.strictObject(page),
  response: { 200: list(Run, runExample, "A page of runs."), ...refusals(404) },
};
