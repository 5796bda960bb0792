/** The input of linking an item. */
import { z } from "zod";
import { filledText, userId } from "../model/schema.ts";
import { FIELD_MAX } from "../plaid/webhooks.ts";

export const LinkedItem = z.strictObject({
  item_id: filledText(200, "Plaid's id of the Item, from /item/public_token/exchange."),
  access_token: filledText(FIELD_MAX, "Its access token; sealed before it touches the disk."),
  user_id: filledText(200, userId.description ?? "").optional(),
});
