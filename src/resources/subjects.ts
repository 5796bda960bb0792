/**
 * The kinds of subject that resources belong to, and which webhooks are about them (plaid/catalogue.ts).
 */
import type { SubjectKind } from "./types.ts";

export const ITEM: SubjectKind = { kind: "item", column: "item_id", access: { by: "access_token" }, hasEvents: true };
export const INSTITUTION: SubjectKind = {
  kind: "institution",
  column: "institution_id",
  access: { by: "id", as: "institution_id" },
  hasEvents: false,
};
