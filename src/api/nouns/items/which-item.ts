/** Which Item an operation is about. */
import { z } from "zod";
import { TartanError } from "../../../errors.ts";
import { namedItem, text } from "../../../model/schema.ts";

export const ItemParams = z.object({ item_id: namedItem });
/** Two integrations rarely link one Item; this parameter then says which of them is meant. */
export const whichIntegration = {
  integration_id: text(100, "Which integration is meant, if several link the Item; by default the latest.").optional(),
};

export const noItem = (id: string): TartanError =>
  new TartanError("not_found", `There is no Item ${id}; POST /v1/items or ITEM/CREATED at the intake links one.`);
