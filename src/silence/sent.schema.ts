/** How the list of the webhooks that Plaid says it sent is filtered. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { described, namedIntegration, namedItem } from "../model/schema.ts";

export const SENT_STATUSES = ["PENDING", "DELIVERED", "FAILED"] as const;
export type SentStatus = (typeof SENT_STATUSES)[number];

export const SentFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  item_id: namedItem.optional(),
  status: described(
    z.enum(SENT_STATUSES),
    "`PENDING`: Plaid still tries. `DELIVERED`: Plaid got a 2xx. `FAILED`: Plaid gave up.",
  ).optional(),
  ...page,
});
export type SentFilter = Omit<FilterOf<typeof SentFilter>, "status"> & { status?: string | undefined };
