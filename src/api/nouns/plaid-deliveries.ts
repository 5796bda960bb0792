/** /v1/plaid-deliveries: the webhooks that Plaid says it sent, the latest first. */
import { z } from "zod";
import { INTEGRATION_ID, ITEM_ID, WEBHOOK_ID } from "../../model/examples.ts";
import { described, integrationId, itemId, noTimestamp, orNull, timestamp, webhookId } from "../../model/schema.ts";
import { listSent, SENT_OUTCOMES } from "../../silence/sent.ts";
import { SENT_STATUSES, SentFilter } from "../../silence/sent.schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function plaidDeliveryOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/plaid-deliveries", { schema: LIST }, ({ query }) => listSent(database, query));
}

const example = {
  message_id: "wm_8QkPz3vRr1uYw5nT7bXc",
  integration_id: INTEGRATION_ID,
  webhook_type: "TRANSACTIONS",
  webhook_code: "SYNC_UPDATES_AVAILABLE",
  item_id: ITEM_ID,
  subject: { kind: "item", id: ITEM_ID },
  sent_at: "2026-11-20T10:04:11.000Z",
  status: "FAILED" as const,
  last_http_status: 503,
  attempts: 1,
  last_attempt_at: "2026-11-20T10:04:11.000Z",
  to_intake: true,
  outcome: "recovered" as const,
  webhook_id: WEBHOOK_ID,
  message:
    "Plaid got 503 from you at 2026-11-20T10:04:11Z and gave up. It never arrived; Tartan journaled it from Plaid's list and synced it.",
};

const PlaidDelivery = z
  .object({
    message_id: described(z.string(), "Plaid's `webhook_message_id`."),
    integration_id: integrationId,
    webhook_type: described(z.string(), "Its type."),
    webhook_code: described(z.string(), "Its code."),
    item_id: orNull(itemId),
    subject: described(z.object({ kind: z.string(), id: z.string() }).nullable(), "What it is about."),
    sent_at: timestamp("When Plaid sent it, by Plaid's clock."),
    status: described(z.enum(SENT_STATUSES), "What Plaid says of it: it still tries, it got a 2xx, or it gave up."),
    last_http_status: described(
      z.number().int().nullable(),
      "HTTP status with which Plaid's last attempt was answered; null where there was no answer, or Plaid does not say.",
    ),
    attempts: described(z.number().int(), "How often Plaid tried."),
    last_attempt_at: noTimestamp("When Plaid tried last."),
    to_intake: described(z.boolean(), "Whether Plaid sent it to the integration's intake URL."),
    outcome: described(
      z.enum(SENT_OUTCOMES),
      "`open`: Plaid tries again, or it is not decided yet. `received`: the journal has it. `recovered`: it never arrived, and Tartan " +
        "journaled it as a `RECONCILER` webhook. `elsewhere`: it went to another URL. `not_needed`: it never arrived, and its item is " +
        "not linked, has ended, or was linked or repaired since.",
    ),
    webhook_id: described(z.string().nullable(), `${webhookId.description ?? ""} Null where the journal has none.`),
    message: described(z.string(), "What happened, in plain words."),
  })
  .meta({ id: "PlaidDelivery", description: "A webhook that Plaid says it sent.", examples: [example] });

const LIST = {
  ...about("Journal", {
    operationId: "listPlaidDeliveries",
    summary: "List the webhooks that Plaid says it sent",
    description:
      "Plaid's own record of the webhooks of the last eight days, the latest first: when each was sent, how often, with which HTTP status " +
      "it was answered, and whether the journal has it. Empty where Plaid has not opened this list to your client.",
  }),
  querystring: SentFilter,
  response: { 200: list(PlaidDelivery, example, "A page of webhooks that Plaid sent."), ...refusals() },
};
