/** What is asked of subjects that belong to no item: which of them, what is known of one, and what to bring up to date. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { described, filledText, namedIntegration, text, userId } from "../model/schema.ts";
import { ITEM_STATUSES } from "../model/statuses.ts";
import { FIELD_MAX } from "../plaid/webhooks.ts";
import { OTHER_KINDS, resourcesOf } from "../resources/index.ts";

const KIND = "What it is, such as `payment`, `asset_report` or `user`.";
const ID = "Plaid's id of it.";

/** An id goes into columns that are in an index. */
const idText = filledText(FIELD_MAX, ID);

export const SubjectFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  kind: described(z.enum(OTHER_KINDS), KIND).optional(),
  status: described(z.enum(ITEM_STATUSES), "Of its sync.").optional(),
  ...page,
});
export type SubjectFilter = Omit<FilterOf<typeof SubjectFilter>, "integration_id" | "status" | "kind"> & {
  integration_id?: string | undefined;
  status?: string | undefined;
  kind?: string | undefined;
};

export const NamedSubject = z.strictObject({ kind: described(z.enum(OTHER_KINDS), KIND), id: idText });

export const NewSubject = z.strictObject({
  ...NamedSubject.shape,
  token: filledText(
    500,
    "The token with which Plaid is asked about it, where it has one of its own: `asset_report_token`, or the " +
      "`user_token` of a user without a `user_id`. Sealed before it touches the disk.",
  ).optional(),
  user_id: filledText(200, userId.description ?? "").optional(),
});

const RESOURCES = OTHER_KINDS.flatMap((kind) => resourcesOf(kind).map(({ name }) => name));

export const SubjectSyncRequest = z.strictObject({
  resources: described(
    z
      .array(described(z.enum(RESOURCES), "Name of a resource of its kind."))
      .min(1)
      .max(50),
    "Which resources to bring up to date; all of them when absent.",
  ).optional(),
  full: described(z.boolean(), "Read everything again, and mark as removed what Plaid no longer has.").optional(),
});
export type SubjectSyncRequest = { resources?: readonly string[] | undefined; full?: boolean | undefined };

/** Every integration has a ledger of transfers, and several may have an institution: this parameter says which of them is meant. */
export const WhichIntegration = z.strictObject({
  integration_id: text(100, "Which integration is meant, if several know it; by default the latest.").optional(),
});
/** The same for what changes something. */
export const OneIntegration = z.strictObject({
  integration_id: text(100, "Which integration is meant; required if several know it.").optional(),
});
