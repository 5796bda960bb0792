/** Answers that wait for something to happen, and answers that are JSON text already. */
import type { FastifyReply } from "fastify";
import type { Api } from "./operation.ts";

/**
 * @returns a signal that aborts when the reader of the answer is gone or the server closes, so that a wait for something
 *   does not keep the server open
 */
export function waiters(api: Api): (reply: FastifyReply) => AbortSignal {
  const waiting = new Set<AbortController>();
  api.addHook("preClose", async () => {
    for (const controller of waiting) controller.abort();
  });
  return (reply) => {
    const controller = new AbortController();
    waiting.add(controller);
    reply.raw.once("close", () => {
      waiting.delete(controller);
      controller.abort();
    });
    return controller.signal;
  };
}

/** Sends JSON text without a schema. */
export const asText = (reply: FastifyReply, text: string): FastifyReply =>
  reply.type("application/json; charset=utf-8").serializer(String).send(text);
