/**
 * What a server says where no route answers: 405 with the methods that would, 204 to OPTIONS on a known path, and
 * otherwise 404. Fastify's router knows only "not found", so the routes are noted as they are registered. None of this is
 * on the way of a request that finds its route.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { TartanError } from "../../errors.ts";
import { addHeaders, sendError } from "./answers.ts";

/** Register before the routes. `hint` says why a path that others serve is missing here. */
export function answerUnrouted(app: FastifyInstance, hint: (path: string) => string): void {
  const routes = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  app.addHook("onRoute", ({ url, method }) => {
    const known = routes.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    for (const one of [method].flat()) known.methods.add(one);
    routes.set(url, known);
  });
  const methodsOf = (path: string): string[] =>
    [...routes.values()].filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => [...methods]);

  app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) => {
    addHeaders(request, reply);
    const path = request.url.split("?", 1)[0] ?? "/";
    const methods = [...new Set(methodsOf(path))].toSorted();
    // The method may be there all the same: the router also gives up on a part of a path that is too long.
    if (methods.length === 0 || methods.includes(request.method))
      return sendError(reply, new TartanError("not_found", `There is nothing at this path. ${hint(path)}`));
    const allowed = [...methods, "OPTIONS"].join(", ");
    reply.header("allow", allowed);
    if (request.method === "OPTIONS") return reply.code(204).send();
    const message = `${request.method} is not possible here, only ${allowed}. ${hint(path)}`;
    return sendError(reply, new TartanError("method_not_allowed", message.trim()));
  });
}

function patternOf(url: string): RegExp {
  const steps = url
    .split("/")
    .map((step) => (step.startsWith(":") ? "[^/]+" : step.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${steps.join("/")}/?$`);
}
