/** POST /webhook_verification_key/get: the public half of a key that signs webhooks. */
import { z } from "zod";
import { internalServerError, invalidKeyId } from "../plaid-error.ts";
import { publicJwk } from "../webhooks/keys.ts";
import { endpoint } from "./endpoint.ts";

export const webhookVerificationKeyGet = endpoint(
  "/webhook_verification_key/get",
  { key_id: z.string() },
  ({ key_id }, { sim, client }) => {
    if (sim.faults.strike("key_endpoint_down", { clientId: client.clientId })) throw internalServerError();
    const key = sim.keys.find(key_id);
    if (!key) throw invalidKeyId();
    return { key: publicJwk(key) };
  },
);
