/** How the list of gaps is filtered. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { namedIntegration, namedItem } from "../model/schema.ts";

export const GapFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  item_id: namedItem.optional(),
  ...page,
});
export type GapFilter = FilterOf<typeof GapFilter>;
