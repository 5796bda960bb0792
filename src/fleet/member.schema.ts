/** What the members of a job can be filtered by. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { text } from "../model/schema.ts";

export const MemberFilter = z.strictObject({
  state: text(50, "Only Items in this state; the job's `states` names those there are.").optional(),
  cause: text(200, "Only Items with this cause of failure.").optional(),
  ...page,
});
export type MemberFilter = FilterOf<typeof MemberFilter>;
