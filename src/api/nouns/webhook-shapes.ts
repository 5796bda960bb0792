/** The shapes of webhooks in answers besides the stored one: a single webhook with its meaning, and the catalogue. */
import { z } from "zod";
import { WEBHOOK_EXAMPLE, WebhookRecord } from "../../model/records.ts";
import { described } from "../../model/schema.ts";
import { listKnownWebhooks, meaningOf } from "../../sync/webhook-meaning.ts";

const texts = (description: string) => described(z.array(z.string()), description);

const shared = {
  resources: texts(
    "The resources that are read after it, where the subject has their products, and the integration enables those that are billed.",
  ),
  unread: described(
    z.string().nullable(),
    "Why none is read; null where one is, and for a type and code that Tartan does not know.",
  ),
  effect: described(z.string().nullable(), "Where you see what it says of an item."),
  deprecated: described(z.boolean(), "Plaid replaced it by another, or no longer offers its product."),
};

const Meaning = z.object({
  known: described(z.boolean(), "Whether Tartan knows its type and code."),
  meaning: described(z.string().nullable(), "What it says, in one sentence."),
  ...shared,
});

export const ShownWebhook = WebhookRecord.extend({
  about: described(Meaning, "What a webhook of its type and code means."),
}).meta({
  id: "ShownWebhook",
  description: "One accepted webhook, with its meaning.",
  examples: [{ ...WEBHOOK_EXAMPLE, about: meaningOf(WEBHOOK_EXAMPLE) }],
});

const WebhookType = z.object({
  type: described(z.string(), "`webhook_type`."),
  code: described(z.string(), "`webhook_code`."),
  sender: described(z.enum(["PLAID", "BACKEND", "FROM_LISTENER", "RECONCILER"]), "Who sends it."),
  subjects: texts("The kinds of what it may be about, such as item."),
  meaning: described(z.string(), "What it says, in one sentence."),
  ...shared,
  also_sent_as: texts("Other codes under which Plaid has sent it."),
});

export const WebhookTypes = z.object({ data: z.array(WebhookType) }).meta({
  id: "WebhookTypes",
  description: "The webhooks that Tartan knows.",
  examples: [{ data: listKnownWebhooks().slice(0, 1) }],
});
