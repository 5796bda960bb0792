/** POST /item/access_token/invalidate: a new token; the old one stops working at once, the Item and its cursors stay valid. */
import { itemEndpoint } from "./endpoint.ts";

export const itemAccessTokenInvalidate = itemEndpoint(
  "/item/access_token/invalidate",
  "any",
  {},
  (item, _body, { sim }) => ({ new_access_token: sim.world.renewAccessToken(item) }),
);
