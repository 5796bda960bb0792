/** POST /item/webhook/update: a new webhook URL (null: none), acknowledged by a webhook to the new URL. */
import { z } from "zod";
import { itemObject } from "../item.ts";
import { webhookUpdateAcknowledged } from "../webhooks/notices.ts";
import { itemEndpoint } from "./endpoint.ts";

export const webhookUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });

export const itemWebhookUpdate = itemEndpoint(
  "/item/webhook/update",
  "any",
  { webhook: webhookUrl.nullish() },
  (item, { webhook = null }, { sim }) => {
    item.webhook = webhook;
    if (webhook !== null) sim.notify(item, webhookUpdateAcknowledged(webhook));
    return { item: itemObject(item) };
  },
);
