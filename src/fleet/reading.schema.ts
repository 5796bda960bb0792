/** What backfills and checks of many items may be asked for. */
import { z } from "zod";
import { reason } from "../audit/audit.schema.ts";
import { described, instant, namedIntegration, namedItem, namedUser } from "../model/schema.ts";
import { FullCheckRequest } from "../sync/item.schema.ts";
import { perMinute } from "./webhook-move.schema.ts";

const ITEMS_MAX = 10_000;
const PACE =
  "How many items are begun in a minute, 1 to 60000; 120 by default. Runs that webhooks made due go first at any pace.";

const chosen = {
  integration_id: namedIntegration.optional(),
  user_id: namedUser.optional(),
  item_ids: described(z.array(namedItem).min(1).max(ITEMS_MAX), "Just these Items.").optional(),
};
const how = {
  per_minute: perMinute(PACE),
  reason,
  dry_run: described(z.boolean().default(false), "Only say how many Items it would be about."),
};

export const BACKFILL_MODES = ["plaid", "webhooks"] as const;

export const BackfillRequest = z.strictObject({
  mode: described(
    z.enum(BACKFILL_MODES).default("plaid"),
    "`plaid`: everything is read again from the start. `webhooks`: what the webhooks from `from` to `to` touch is read again, as if they came now.",
  ),
  ...chosen,
  from: instant("Only Items that had webhooks from then on.").optional(),
  to: instant("Only Items that had webhooks before then; until now when absent.").optional(),
  resources: described(
    FullCheckRequest.shape.resources.unwrap(),
    "Of mode `plaid`: only these resources. One that Plaid bills by request is read only if it is named.",
  ).optional(),
  ...how,
});
export type BackfillRequest = z.input<typeof BackfillRequest>;

export const CheckRequest = z.strictObject({ ...chosen, ...FullCheckRequest.shape, ...how });
export type CheckRequest = z.input<typeof CheckRequest>;
