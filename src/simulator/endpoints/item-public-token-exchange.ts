/** POST /item/public_token/exchange: a public token becomes an access token, once and within 30 minutes. */
import { z } from "zod";
import { expiredPublicToken, malformedPublicToken, unknownPublicToken } from "../plaid-error.ts";
import { endpoint } from "./endpoint.ts";

export const itemPublicTokenExchange = endpoint(
  "/item/public_token/exchange",
  { public_token: z.string() },
  ({ public_token }, { sim, client }) => {
    if (!public_token.startsWith("public-")) throw malformedPublicToken();
    const item = sim.world.spendPublicToken(public_token, client.clientId, sim.time.now());
    if (item === "expired") throw expiredPublicToken();
    if (item === "unknown") throw unknownPublicToken();
    return { access_token: item.accessToken, item_id: item.itemId };
  },
);
