/** POST /item/remove: ends an Item; its token answers ITEM_NOT_FOUND from then on. */
import { z } from "zod";
import { itemEndpoint } from "./endpoint.ts";

const REASONS = [
  "FRAUD_FIRST_PARTY",
  "FRAUD_FALSE_IDENTITY",
  "FRAUD_ABUSE",
  "FRAUD_OTHER",
  "CONNECTION_IS_NON_FUNCTIONAL",
  "OTHER",
] as const;

export const itemRemove = itemEndpoint(
  "/item/remove",
  "any",
  { reason_code: z.enum(REASONS).optional(), reason_note: z.string().max(512).nullish() },
  (item) => {
    item.removed = true;
    item.book = null;
    item.shelf = {};
    return {};
  },
  { perItem: 100, perClient: 500, code: "RATE_LIMIT" },
);
