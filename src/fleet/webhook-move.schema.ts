/** What a move of webhook URLs may be asked for. */
import { z } from "zod";
import { reason } from "../audit/audit.schema.ts";
import { described, namedIntegration, namedItem, namedUser, text, wholeNumber } from "../model/schema.ts";

const ITEMS_MAX = 10_000;
export const PER_MINUTE = { least: 1, most: 60_000 } as const;

const url = (description: string) =>
  text(2000, description).refine(
    (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
    "must be an http or https URL, such as https://hooks.example.com/plaid",
  );

export const perMinute = (description: string) =>
  wholeNumber(PER_MINUTE.least, PER_MINUTE.most, description).optional();

export const WebhookMoveRequest = z.strictObject({
  to: url("The URL that gets their webhooks.").optional(),
  to_intake: described(
    z.literal(true),
    "Their webhooks come to Tartan, each Item's to the intake URL of its integration.",
  ).optional(),
  remove: described(z.literal(true), "They have no webhook URL any more.").optional(),
  roll_back: text(100, "Id of an ended move, `job_…`: each of its Items gets its former URL back.").optional(),
  integration_id: namedIntegration.optional(),
  user_id: namedUser.optional(),
  item_ids: described(z.array(namedItem).min(1).max(ITEMS_MAX), "Just these Items.").optional(),
  from: text(2000, "Only Items whose URL begins so.").optional(),
  per_minute: perMinute(
    "How many items are begun in a minute, 1 to 60000; 600 by default. Each costs three requests to Plaid, and brings a webhook where it is moved to an intake.",
  ),
  reason,
  dry_run: described(z.boolean().default(false), "Only say what would be done."),
});
export type WebhookMoveRequest = z.input<typeof WebhookMoveRequest>;

export const TARGETS = ["to", "to_intake", "remove", "roll_back"] as const;
export const CHOICES = ["integration_id", "user_id", "item_ids", "from"] as const;

export const RetryRequest = z.strictObject({
  cause: text(200, "Only those that failed for this cause; all when absent.").optional(),
  reason,
});
export const PaceRequest = z.strictObject({
  per_minute: wholeNumber(PER_MINUTE.least, PER_MINUTE.most, "Items to begin with in a minute, 1 to 60000."),
  reason,
});
export const TurnRequest = z.strictObject({ reason });
