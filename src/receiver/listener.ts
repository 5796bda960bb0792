/** The path of listeners: requests that carry the token of a listener, and the logins of your users. */
import type { FastifyRequest } from "fastify";
import { TartanError } from "../errors.ts";
import type { Logins, TakenLogins } from "../model/listener.ts";
import { IntakeRefusal } from "./refusal.ts";

/** @throws IntakeRefusal, TartanError */
export async function takeLogins(
  logins: Logins,
  { params, headers }: Pick<FastifyRequest<{ Params: { id: string } }>, "params" | "headers">,
  body: Buffer,
): Promise<TakenLogins> {
  try {
    return await logins.take({ listenerId: params.id, authorization: headers.authorization, body });
  } catch (error) {
    if (error instanceof TartanError && error.code === "not_found")
      throw new IntakeRefusal("not_found", error.message, { reason: "listener_unknown" });
    throw error;
  }
}
