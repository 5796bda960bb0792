/** POST /sandbox/item/reset_login: the Item needs its user to log in again. */
import { breakItem } from "../health.ts";
import { itemEndpoint } from "./endpoint.ts";

export const sandboxItemResetLogin = itemEndpoint("/sandbox/item/reset_login", "any", {}, (item, _body, { sim }) => {
  breakItem(sim, item, "ITEM_LOGIN_REQUIRED");
  return { reset_login: true };
});
