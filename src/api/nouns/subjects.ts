/** /v1/subjects: what belongs to no Item (payments, transfers, users, reports …), and the state of its mirror. */
import { z } from "zod";
import { reason } from "../../audit/audit.schema.ts";
import { eraseSubject } from "../../lifecycle/subjects.ts";
import { INTEGRATION_ID, USER_ID } from "../../model/examples.ts";
import {
  described,
  integrationId,
  namedIntegration,
  noTimestamp,
  orNull,
  timestamp,
  userId,
} from "../../model/schema.ts";
import { ITEM_STATUSES } from "../../model/statuses.ts";
import {
  NamedSubject,
  NewSubject,
  OneIntegration,
  SubjectFilter,
  SubjectSyncRequest,
  WhichIntegration,
} from "../../sync/subject.schema.ts";
import { addSubject, getSubject, integrationOf, listSubjects, requestSubjectSync } from "../../sync/subjects.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { ResourceState } from "./items/shapes.ts";

export function subjectOperations(api: Api, deps: ApiDeps): void {
  const { database } = deps;

  api.get("/v1/subjects", { schema: LIST }, ({ query }) => listSubjects(database, query));

  api.post("/v1/subjects", { schema: ADD }, async ({ body }, reply) => {
    const added = await addSubject(deps, body);
    return reply.code(added.created ? 201 : 200).send(added);
  });

  api.get("/v1/subjects/:kind/:id", { schema: SHOW }, ({ params, query }) =>
    getSubject(database, { ...params, ...query }),
  );

  api.post("/v1/subjects/:kind/:id/sync", { schema: SYNC }, async ({ params, query, body }, reply) => {
    await requestSubjectSync(database, { ...params, ...query }, body);
    return reply.code(202).send({ ...params, due: true as const });
  });

  api.delete("/v1/subjects/:kind/:id", { schema: ERASE }, async ({ params, query, actor }) => {
    const integration_id = await integrationOf(database, { ...params, ...query });
    await eraseSubject(database, integration_id, params, { actor, reason: query.reason });
    return { ...params, integration_id, erased: true as const };
  });
}

const KIND = "asset_report";
const ID = "028e8404-a013-4a45-ac9e-002482f9cafc";

const example = {
  kind: KIND,
  id: ID,
  integration_id: INTEGRATION_ID,
  user_id: USER_ID,
  status: "ok" as const,
  error_code: null,
  error_message: null,
  next_step: null,
  last_error: null,
  added_at: "2026-11-02T09:20:11.042Z",
  verified_at: "2026-11-20T17:03:29.500Z",
  due: false,
};

const kind = described(z.string(), "What it is, such as `payment`.");
const id = described(z.string(), "Plaid's id of it.");

const Subject = z
  .object({
    kind,
    id,
    integration_id: integrationId,
    user_id: orNull(userId),
    status: described(
      z.enum(ITEM_STATUSES),
      "As of an Item; `unlinked`: webhooks about it came, and Plaid is asked about it with a token that nobody has added yet.",
    ),
    error_code: described(z.string().nullable(), "Plaid's code of what is wrong, or Tartan's."),
    error_message: described(z.string().nullable(), "The meaning of the code."),
    next_step: described(z.string().nullable(), "What to do about it; null also where it passes by itself."),
    last_error: described(z.record(z.string(), z.unknown()).nullable(), "What the last sync failed with."),
    added_at: timestamp("When Tartan first knew of it."),
    verified_at: noTimestamp("All of its resources were equal to Plaid then. Null while one was never read."),
    due: described(z.boolean(), "Whether a sync waits or runs."),
    resources: described(
      z.array(ResourceState),
      "The state of each resource; only when one subject is asked for.",
    ).optional(),
  })
  .meta({ id: "Subject", description: "What sync brings up to date and is no Item.", examples: [example] });

const LIST = {
  ...about("Subjects", {
    operationId: "listSubjects",
    summary: "List subjects",
    description:
      "What Tartan mirrors that belongs to no Item, by kind and id. Webhooks about them, and rows that name them, " +
      "make them known. Filters combine.",
  }),
  querystring: SubjectFilter,
  response: { 200: list(Subject, example, "A page of subjects."), ...refusals() },
};

const SHOW = {
  ...about("Subjects", {
    operationId: "getSubject",
    summary: "Show a subject",
    description: "The state of one subject's mirror, and what is wrong if it is not equal to Plaid.",
  }),
  params: NamedSubject,
  querystring: WhichIntegration,
  response: { 200: Subject, ...refusals(404) },
};

const Added = z
  .object({
    kind,
    id,
    integration_id: integrationId,
    created: described(z.boolean(), "False where it was added before."),
  })
  .meta({
    description: "The subject is known; its sync is due.",
    examples: [{ kind: KIND, id: ID, integration_id: INTEGRATION_ID, created: true }],
  });

const ADD = {
  ...about("Subjects", {
    operationId: "addSubject",
    summary: "Add a subject",
    description:
      "Makes known what no webhook has named yet, or hands over the token with which Plaid is asked about it; its sync is due at " +
      "once. Of a known subject it replaces the token (answer 200).",
  }),
  body: z.strictObject({ integration_id: namedIntegration, ...NewSubject.shape }).meta({
    examples: [{ integration_id: INTEGRATION_ID, kind: KIND, id: ID, token: "assets-sandbox-…", user_id: USER_ID }],
  }),
  response: { 201: Added, 200: Added, ...refusals(404) },
};

const Due = z.object({ kind, id, due: z.literal(true) }).meta({
  description: "The sync is due; it runs as soon as a worker is free.",
  examples: [{ kind: KIND, id: ID, due: true }],
});

const SYNC = {
  ...about("Subjects", {
    operationId: "syncSubject",
    summary: "Sync a subject now",
    description: "Makes the subject due; a worker takes it as soon as Plaid's rate limits allow.",
  }),
  params: NamedSubject,
  querystring: OneIntegration,
  body: SubjectSyncRequest.meta({ examples: [{ full: true }] }),
  response: { 202: Due, ...refusals(404, 409) },
};

const Erased = z.object({ kind, id, integration_id: integrationId, erased: z.literal(true) }).meta({
  description: "Nothing of it is left.",
  examples: [{ kind: KIND, id: ID, integration_id: INTEGRATION_ID, erased: true }],
});

const ERASE = {
  ...about("Subjects", {
    operationId: "eraseSubject",
    summary: "Erase a subject",
    description:
      "Deletes its token, what was mirrored and journaled for it, and its events. A later webhook or row that names it makes it " +
      "known again.",
  }),
  params: NamedSubject,
  querystring: OneIntegration.extend({ reason }),
  response: { 200: Erased, ...refusals(404) },
};
