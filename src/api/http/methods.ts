/**
 * The answer if no route matches: 405 with the allowed methods, 204 to OPTIONS on a known path, and otherwise 404.
 * Fastify's router knows only "not found", so this module records the routes as they are registered. A request that
 * matches a route costs nothing here.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { TartanError } from "../../errors.ts";
import { addHeaders, sendError } from "./answers.ts";

/** Register it before the routes. `hint` says why this process does not serve a path that others serve. */
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
    // The method may still be allowed: the router also refuses a path with a segment that is too long.
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
