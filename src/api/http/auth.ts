/** Authentication of the REST API: `Authorization: Bearer <API key>` on all paths except the intake and the probes. */
import type { FastifyRequest } from "fastify";
import type { Database } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { actorOf, authenticate } from "../../integrations/api-keys.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** who makes the request, as the audit log names them */
    actor: string;
  }
}

const BEARER = /^Bearer +(\S+) *$/i;
const HOW_TO_AUTHENTICATE =
  "Send the header `Authorization: Bearer <API key>`; the administrator's key was printed at the first start, and " +
  "TARTAN_ADMIN_KEY sets one of your own.";

/** A hook that refuses requests without a valid API key before Fastify reads the body. */
export function requireKey(database: Database) {
  return async (request: FastifyRequest): Promise<void> => {
    const presented = BEARER.exec(request.headers.authorization ?? "")?.[1];
    if (presented === undefined) throw new TartanError("unauthorized", `An API key is missing. ${HOW_TO_AUTHENTICATE}`);
    const key = await authenticate(database, presented);
    if (!key) throw new TartanError("unauthorized", `This API key is not known. ${HOW_TO_AUTHENTICATE}`);
    request.actor = actorOf(key);
  };
}
