/** /v1/audit: who changed what, newest first. */
import { z } from "zod";
import { ACTIONS, AuditFilter } from "../../audit/audit.schema.ts";
import { listAudit } from "../../audit/audit.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";
import { anyObject, described, integrationId, orNull, timestamp } from "../../model/schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function auditOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/audit", { schema: LIST }, ({ query }) => listAudit(database, query));
}

const example = {
  id: "019e0b7c-3d52-7f00-8a4c-5b7de1f0a911",
  at: "2026-11-20T16:58:12.337Z",
  actor: "admin key",
  action: "resources.revealed",
  integration_id: INTEGRATION_ID,
  target: null,
  reason: "Payouts need the account numbers.",
  details: { resources: ["auth"] },
};

const actions = Object.entries(ACTIONS).map(([name, meaning]) => `\`${name}\`: ${meaning}`);

const AuditRow = z
  .object({
    id: described(z.string(), "Id of the row; ids sort by time."),
    at: timestamp("When it happened."),
    actor: described(
      z.string(),
      "`admin key`, or the name of an API key; `cli:` and a user of the operating system for a command; `tartan` for Tartan itself.",
    ),
    action: described(z.string(), `What happened. ${actions.join(" ")}`),
    integration_id: orNull(integrationId),
    target: described(
      z.string().nullable(),
      "What was changed, where it is not the integration itself: the id of an Item or of another subject, or the name of a database role or " +
        "of an API key.",
    ),
    reason: described(z.string().nullable(), "Why, in the actor's own words."),
    details: anyObject("More of what happened; never a secret."),
  })
  .meta({ id: "AuditRow", description: "A change and who made it.", examples: [example] });

const LIST = {
  ...about("Audit log", {
    operationId: "listAudit",
    summary: "List changes and who made them",
    description:
      "Changes of integrations, secrets, what is revealed and enabled, and read-only logins; fetched statements; and deletions of Items " +
      "and other subjects, newest first. A change and its row are one transaction; Postgres refuses to change a row. Filters combine.",
  }),
  querystring: AuditFilter,
  response: { 200: list(AuditRow, example, "A page of the audit log."), ...refusals() },
};
