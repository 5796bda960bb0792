/**
 * The kinds of subject that resources belong to.
 */
import type { SubjectKind } from "./types.ts";

export const ITEM: SubjectKind = { kind: "item", column: "item_id", asks: "access_token", hasEvents: true };
export const INSTITUTION: SubjectKind = {
  kind: "institution",
  column: "institution_id",
  asks: "client",
  hasEvents: false,
};
