/** What is asked of items: which of them, and what to bring up to date. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { namedIntegration, namedUser, described } from "../model/schema.ts";
import { ITEM_STATUSES, NOTICE_KINDS } from "../model/statuses.ts";
import { resourcesOf } from "../resources/index.ts";

export const ItemFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  user_id: namedUser.optional(),
  status: described(z.enum(ITEM_STATUSES), "Of its sync.").optional(),
  notice: described(z.enum(NOTICE_KINDS), "With such a notice.").optional(),
  ...page,
});
export type ItemFilter = Omit<FilterOf<typeof ItemFilter>, "status" | "notice"> & {
  status?: string | undefined;
  notice?: string | undefined;
};

export const RunFilter = z.strictObject(page);

const RESOURCES = resourcesOf("item").map(({ name }) => name);

export const SyncRequest = z.strictObject({
  resources: described(
    z
      .array(described(z.enum(RESOURCES), "Name of a resource."))
      .min(1)
      .max(50),
    "Which resources to bring up to date; all of them when absent. A resource that is named is requested even where the Item " +
      "lacks its product; Plaid may then add the product and bill it.",
  ).optional(),
  full: described(
    z.boolean(),
    "Forget the cursor, read everything again, and mark as removed what Plaid no longer has.",
  ).optional(),
});
export const FullCheckRequest = z.strictObject({
  resources: described(
    z
      .array(described(z.enum(RESOURCES), "Name of a resource."))
      .min(1)
      .max(50),
    "Which resources to prove. When absent: all that the Item has, without those whose every request Plaid bills.",
  ).optional(),
});
export type FullCheckRequest = { resources?: readonly string[] | undefined };

export type SyncRequest = { resources?: readonly string[] | undefined; full?: boolean | undefined };
