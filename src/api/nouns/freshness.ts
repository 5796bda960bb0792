/** /v1/freshness: how fresh the mirror is, by integration and resource. */
import { z } from "zod";
import { INTEGRATION_ID } from "../../model/examples.ts";
import { described, integrationId, noTimestamp } from "../../model/schema.ts";
import { listFreshness } from "../../silence/freshness.ts";
import { FreshnessFilter } from "../../silence/freshness.schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function freshnessOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/freshness", { schema: LIST }, ({ query }) => listFreshness(database, query));
}

const example = {
  integration_id: INTEGRATION_ID,
  name: "Plaid production",
  as_of: "2026-11-20T17:03:00.000Z",
  window_seconds: 86_400,
  items: 12_804,
  unread_items: 3,
  resources: [
    {
      resource: "transactions",
      kind: "item",
      subjects: 12_790,
      within_window: 12_711,
      never_read: 3,
      oldest_verified_at: "2026-11-02T09:11:40.000Z",
    },
  ],
};

const count = (description: string) => described(z.number().int(), description);

const resource = z.object({
  resource: described(z.string(), "Name of the resource."),
  kind: described(z.string(), "What has it: `item`, or another kind of subject such as `payment`."),
  subjects: count("Items, or other subjects, that have it and are not over."),
  within_window: count("Those that Tartan has read, or has checked and found equal to Plaid, within the window."),
  never_read: count("Those whose first reading is not over."),
  oldest_verified_at: noTimestamp("The reading that is longest ago; null where none was read."),
});

const Freshness = z
  .object({
    integration_id: integrationId,
    name: described(z.string(), "Its name."),
    as_of: noTimestamp("When it was counted; null before the first count."),
    window_seconds: described(z.number().nullable(), "The window of the counts: that of reconciliation."),
    items: count("Linked items."),
    unread_items: count("Linked items that were never read."),
    resources: z.array(resource),
  })
  .meta({ id: "Freshness", description: "How fresh the mirror of an integration is.", examples: [example] });

const LIST = {
  ...about("Operation", {
    operationId: "listFreshness",
    summary: "Show how fresh the mirror is",
    description:
      "For each integration and resource: how many items have it, how many of them were read or checked within the window of " +
      "reconciliation, how many were never read, and the oldest reading. Counted in the background, each minute or, with many items, as " +
      "often as that costs a twentieth of one connection; `as_of` says when. One item's freshness is at `GET /v1/items/:item_id`.",
  }),
  querystring: FreshnessFilter,
  response: { 200: list(Freshness, example, "A page of integrations."), ...refusals() },
};
