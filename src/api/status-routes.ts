/** /v1/status: is anything waiting or failing, and what runs here? */
import { schemaState } from "../database/schema.ts";
import { queueDepth } from "../sync/queries.ts";
import { about, refusals, type Api, type ApiDeps } from "./routing.ts";
import { Status } from "./status-shapes.ts";
import { VERSION } from "./version.ts";

export function statusRoutes(api: Api, { database, roles }: ApiDeps): void {
  api.get("/v1/status", { schema: STATUS }, async () => {
    const [{ version: schema_version }, queue] = await Promise.all([schemaState(database), queueDepth(database)]);
    const { due, running, oldest_due_seconds, by_status } = queue;
    return {
      version: VERSION,
      node: process.version,
      schema_version,
      roles: (["receiver", "sync", "relay", "api"] as const).filter((role) => roles[role]),
      uptime_seconds: Math.floor(process.uptime()),
      queue: { due, running, oldest_due_seconds, subjects: by_status },
    };
  });
}

const STATUS = {
  ...about("Operation", {
    operationId: "getStatus",
    summary: "Show the status",
    description: "What waits in the sync queue, how many subjects are in which state, and what this process is.",
  }),
  response: { 200: Status, ...refusals() },
};
