/** /v1/gaps: what Plaid did not tell, how it was found and how it was healed, newest first. */
import { z } from "zod";
import { FOUND_BY, listGaps } from "../../silence/gaps.ts";
import { GapFilter } from "../../silence/gap.schema.ts";
import { INTEGRATION_ID, ITEM_ID, USER_ID, WEBHOOK_ID } from "../../model/examples.ts";
import {
  described,
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  timestamp,
  userId,
  webhookId,
} from "../../model/schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function gapOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/gaps", { schema: LIST }, ({ query }) => listGaps(database, query));
}

const example = {
  id: WEBHOOK_ID,
  integration_id: INTEGRATION_ID,
  item_id: ITEM_ID,
  user_id: USER_ID,
  subject: { kind: "item", id: ITEM_ID },
  found_at: "2026-11-20T17:03:29.010Z",
  found_by: "check" as const,
  missed_webhook: {
    webhook_type: null,
    webhook_code: "SYNC_UPDATES_AVAILABLE",
    sent_at: "2026-11-20T10:04:11Z",
  },
  differing_fields: [],
  error: null,
  changed_resources: [],
  wrong_rows: [],
  healed_at: "2026-11-20T17:03:29.500Z",
  outcome: "synced",
  counts: { transactions: { added: 3, modified: 1, removed: 1 } },
};

const missedWebhook = z.object({
  webhook_type: described(z.string().nullable(), "Its type; null where Plaid named the code alone."),
  webhook_code: described(z.string(), "Its code."),
  sent_at: noTimestamp("When Plaid sent it, by Plaid's clock; null where Tartan does not know it any more."),
});

const count = z.number().int();

const Gap = z
  .object({
    id: webhookId,
    integration_id: integrationId,
    item_id: orNull(itemId),
    user_id: orNull(userId),
    subject: described(
      z.object({ kind: z.string(), id: z.string() }).nullable(),
      "What it is about; null where a reading found and healed it at once.",
    ),
    found_at: timestamp("When Tartan found it."),
    found_by: described(
      z.enum(FOUND_BY),
      "`check`: /item/get differed from the mirror, or named a webhook that had not arrived. `reading`: rows had changed although no " +
        "webhook announced it. `full_check`: a check that compared all rows found wrong ones. `sent_webhooks`: Plaid's list of the webhooks that it sent has one that had not arrived. " +
        "`link_token`: Plaid was asked about a Link token, and a session of it had ended without a webhook.",
    ),
    missed_webhook: described(missedWebhook.nullable(), "The webhook that did not arrive; null where there was none."),
    differing_fields: described(z.array(z.string()), "Fields of Plaid's Item that differed from the mirror's."),
    error: described(
      z.record(z.string(), z.unknown()).nullable(),
      "The error with which Plaid refused the Item: `error_type`, `error_code`.",
    ),
    changed_resources: described(z.array(z.string()), "Resources whose rows had changed."),
    wrong_rows: described(
      z.array(
        z.object({
          table: described(z.string(), "The table in schema `plaid`."),
          key: described(z.string(), "The row's id; of several fields a JSON array."),
          difference: described(z.string(), "`missing`, `surplus` or `differs`."),
          columns: described(z.array(z.string()), "The columns that differed."),
        }),
      ),
      "The first 100 rows that a check found wrong.",
    ),
    healed_at: noTimestamp(
      "When the sync run ended that closed it; null while none has, and for what was unlinked or erased before (`item_unknown`).",
    ),
    outcome: described(z.string().nullable(), "How that run ended, such as `synced`."),
    counts: described(
      z.record(z.string(), z.object({ added: count, modified: count, removed: count })),
      "Rows that the run changed, by table.",
    ),
  })
  .meta({ id: "Gap", description: "A difference from Plaid that no webhook announced.", examples: [example] });

const LIST = {
  ...about("Journal", {
    operationId: "listGaps",
    summary: "List gaps",
    description:
      "What changed at Plaid without a webhook, or with a webhook that did not arrive: when and how Tartan found it, what was missed, and " +
      "when and how it was healed; newest first. Each gap is also a webhook of source `RECONCILER`.",
  }),
  querystring: GapFilter,
  response: { 200: list(Gap, example, "A page of gaps."), ...refusals() },
};
