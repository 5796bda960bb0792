/** POST /link/token/get: what is known of a Link token, with all sessions of it. */
import { z } from "zod";
import { invalidLinkToken } from "../plaid-error.ts";
import { linkSession, tokenAnswer, tokenFacts } from "../records/link-session.ts";
import { endpoint } from "./endpoint.ts";

export const linkTokenGet = endpoint("/link/token/get", { link_token: z.string().min(1) }, (body, { sim, client }) => {
  const { link_token } = body;
  const session = sim.world.records
    .of(linkSession, client.clientId)
    .find(({ state }) => state.linkToken === link_token);
  if (session) return tokenAnswer(sim, session);
  const link = sim.world.linkTokens.get(link_token);
  if (link?.clientId !== client.clientId) throw invalidLinkToken();
  return { ...tokenFacts(link_token, link, link.userId), link_sessions: [] };
});
