/** The routes that a server really has, as its router prints them: `GET /v1/items/:item_id`. */
import type { FastifyInstance } from "fastify";

export function routesOf(app: FastifyInstance): string[] {
  const above: string[] = [];
  return app
    .printRoutes({ commonPrefix: false })
    .split("\n")
    .flatMap((line) => {
      const [, indent = "", part, methods] = /^(.*?)(\/\S*)(?: \(([A-Z, ]+)\))?/.exec(line) ?? [];
      if (part === undefined) return [];
      const depth = indent.length / 4 - 1;
      above[depth] = part;
      const path = above.slice(0, depth + 1).join("");
      return methods?.split(", ").map((method) => `${method} ${path}`) ?? [];
    });
}
