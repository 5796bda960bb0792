/** What is asked of the change feed. */
import { z } from "zod";
import { PAGE_SIZE } from "../../model/listing.ts";
import { namedIntegration, namedItem, namedUser, text, wholeNumberText } from "../../model/schema.ts";

const RESOURCES = /^[a-z0-9_]+(,[a-z0-9_]+)*$/;

/** Seconds for which a request may wait for a change. */
export const WAIT_S_MAX = 30;

export const ChangesQuery = z.strictObject({
  resource: text(4000, "Tables of the mirror with commas between them. Without it, all tables that have changes.")
    .regex(RESOURCES, "must be tables of the mirror with commas between them, such as accounts,transactions")
    .exactOptional(),
  integration_id: namedIntegration.exactOptional(),
  item_id: namedItem.exactOptional(),
  user_id: namedUser.exactOptional(),
  cursor: text(
    500,
    "The `next_cursor` of the previous answer; `start` for the oldest change that is kept, `now` for future changes.",
  ).default("start"),
  limit: wholeNumberText(
    PAGE_SIZE.least,
    PAGE_SIZE.most,
    "Changes of a page, 1 to 500; fewer where rows are large.",
  ).default(PAGE_SIZE.usual),
  wait_s: wholeNumberText(0, WAIT_S_MAX, "Seconds to wait for a change if there is none, 0 to 30.").default(0),
});
