/** /v1/status: is anything waiting or failing, and what runs here? */
import { listProcesses } from "../../../database/processes.ts";
import { factsOf } from "../../../database/pool.ts";
import { schemaState } from "../../../database/schema.ts";
import type { Database } from "../../../database/types.ts";
import { retentionState } from "../../../journal/retention.ts";
import { destinationsStatus } from "../../../relay/destinations/status.ts";
import { findOverdue, relayDepth } from "../../../relay/ledger/overdue.ts";
import { queueDepth } from "../../../sync/queries.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { Status } from "./shapes.ts";
import { VERSION } from "../../../version.ts";

export function statusRoutes(api: Api, { database, roles, clock }: ApiDeps): void {
  api.get("/v1/status", { schema: STATUS }, async () => {
    const [{ version: schema_version }, queue, relay, processes, journal] = await Promise.all([
      schemaState(database),
      queueDepth(database),
      relayState(database),
      listProcesses(database),
      retentionState(database, clock),
    ]);
    const { unmarked, due, running, oldest_due_seconds, by_status } = queue;
    return {
      version: VERSION,
      node: process.version,
      schema_version,
      warnings: factsOf(database).warnings,
      roles: (["receiver", "sync", "relay", "api"] as const).filter((role) => roles[role]),
      uptime_seconds: Math.floor(process.uptime()),
      queue: { unmarked, due, running, oldest_due_seconds, subjects: by_status },
      relay,
      journal,
      processes: processes.map((each) => ({ ...each, started_at: each.started_at.toISOString() })),
    };
  });
}

async function relayState(database: Database) {
  const [depth, { oldest_at, ...overdue }, { unwell, ...destinations }] = await Promise.all([
    relayDepth(database),
    findOverdue(database),
    destinationsStatus(database),
  ]);
  return { ...depth, overdue: { ...overdue, oldest_at: oldest_at?.toISOString() ?? null }, destinations, unwell };
}

const STATUS = {
  ...about("Operation", {
    operationId: "getStatus",
    summary: "Show the status",
    description:
      "What waits in the sync queue and in the relay, what waits longer than it should, which destinations are sent nothing " +
      "just now, and what this process is.",
  }),
  response: { 200: Status, ...refusals() },
};
