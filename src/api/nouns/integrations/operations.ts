/**
 * /v1/integrations: one Plaid client each. Credentials are tried at Plaid before they are stored; when Plaid cannot be
 * asked they are stored all the same, with a warning, since setting up must not wait for Plaid's good days.
 */
import { TartanError } from "../../../errors.ts";
import {
  createIntegration,
  getIntegration,
  integrationUrl,
  listIntegrations,
  rotateWebhookSecret,
  type Integration as IntegrationRow,
  type IntegrationChanges,
} from "../../../integrations/integrations.ts";
import { deleteIntegration, updateIntegration } from "../../../lifecycle/integrations.ts";
import { checkCredentials, type Credentials } from "../../../plaid/credentials.ts";
import { EXAMPLES } from "../examples.ts";
import {
  Integration,
  IntegrationChanged,
  IntegrationCreated,
  IntegrationDeleted,
  IntegrationDeletion,
  IntegrationParams,
  IntegrationPatch,
  IntegrationsQuery,
  NewIntegration,
  SecretRotated,
  SecretRotation,
} from "./shapes.ts";
import { pageOf } from "../../http/paging.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

interface Checked {
  credentials_checked: boolean;
  warning?: string;
}

const NOT_ASKED = "Plaid was not asked whether client id and secret are right, since `verify` is false.";

/** @throws TartanError `plaid_credentials_refused` */
async function check(credentials: Credentials, verify: boolean): Promise<Checked> {
  if (!verify) return { credentials_checked: false, warning: NOT_ASKED };
  try {
    await checkCredentials(credentials);
    return { credentials_checked: true };
  } catch (error) {
    if (!(error instanceof TartanError) || error.code !== "plaid_unreachable") throw error;
    return { credentials_checked: false, warning: `${error.message} What you sent is stored, unchecked.` };
  }
}

/** What changes is tried together with what stays. */
async function checkChanges(
  { directory }: ApiDeps,
  { id, plaid_url, environment, client_id }: IntegrationRow,
  changes: IntegrationChanges,
  verify: boolean,
): Promise<Checked | null> {
  if (changes.client_id === undefined && changes.secret === undefined && changes.country_codes === undefined)
    return null;
  const secret = changes.secret ?? (await directory.find(id))?.secret;
  if (secret === undefined) return null;
  const { country_codes } = changes;
  return await check(
    { environment, plaid_url, country_codes, client_id: changes.client_id ?? client_id, secret },
    verify,
  );
}

const noIntegration = (id: string) =>
  new TartanError("not_found", `There is no integration ${id}; GET /v1/integrations lists those there are.`);

export function integrationRoutes(api: Api, deps: ApiDeps): void {
  const { database, vault } = deps;
  const show = (row: IntegrationRow) => ({ ...row, url: integrationUrl(deps.publicUrl(), row.id) });
  const find = async (id: string): Promise<IntegrationRow> => {
    const row = await getIntegration(database, id);
    if (!row) throw noIntegration(id);
    return row;
  };

  api.post("/v1/integrations", { schema: CREATE }, async ({ body }, reply) => {
    const { verify, ...asked } = body;
    const checked = await check(asked, verify);
    const made = await createIntegration(database, vault, asked);
    return reply.code(201).send({ ...show(made), webhook_secret: made.webhook_secret, ...checked });
  });

  api.get("/v1/integrations", { schema: LIST }, async ({ query }) => {
    const { data, next_cursor } = pageOf(await listIntegrations(database), query, ({ created_at, id }) => [
      created_at,
      id,
    ]);
    return { data: data.map(show), next_cursor };
  });

  api.get("/v1/integrations/:id", { schema: SHOW }, async ({ params }) => show(await find(params.id)));

  api.patch("/v1/integrations/:id", { schema: CHANGE }, async ({ params: { id }, body }) => {
    const { verify, ...changes } = body;
    const checked = await checkChanges(deps, await find(id), changes, verify);
    return { ...show(await updateIntegration(database, vault, id, changes)), ...checked };
  });

  api.delete("/v1/integrations/:id", { schema: DELETE }, async ({ params: { id }, query }) => {
    const purged = query.purge === "true";
    // One that is deleted already may be there again, to have a purge that was cut short go on.
    await deleteIntegration(database, id, { purge: purged });
    return { id, deleted: true as const, purged };
  });

  api.post("/v1/integrations/:id/rotate_secret", { schema: ROTATE }, async ({ params: { id }, body }) => {
    const { webhook_secret } = await rotateWebhookSecret(database, vault, id, body.webhook_secret);
    return { id, webhook_secret };
  });
}

const CREATE = {
  ...about("Integrations", {
    operationId: "createIntegration",
    summary: "Create an integration",
    description:
      "Connects a Plaid client. Client id and secret are tried at Plaid first; what Plaid refuses is not stored. Give the " +
      "`url` of the answer to Plaid as `webhook`, and keep `webhook_secret` beside your other secrets: it is shown once.",
  }),
  body: NewIntegration,
  response: { 201: IntegrationCreated, ...refusals(422) },
};

const LIST = {
  ...about("Integrations", {
    operationId: "listIntegrations",
    summary: "List integrations",
    description: "Every integration that was not deleted, oldest first. Secrets are never shown.",
  }),
  querystring: IntegrationsQuery,
  response: { 200: list(Integration, EXAMPLES.integration, "A page of integrations."), ...refusals() },
};

const SHOW = {
  ...about("Integrations", {
    operationId: "getIntegration",
    summary: "Show an integration",
    description: "One integration and its intake URL.",
  }),
  params: IntegrationParams,
  response: { 200: Integration, ...refusals(404) },
};

const CHANGE = {
  ...about("Integrations", {
    operationId: "updateIntegration",
    summary: "Change an integration",
    description:
      "Changes what is given and leaves the rest: its name, its countries, what transactions are asked for with, or Plaid's client id and secret, for example after " +
      "the secret was rotated in Plaid's dashboard. New credentials are tried at Plaid first, as at creation.",
  }),
  params: IntegrationParams,
  body: IntegrationPatch,
  response: { 200: IntegrationChanged, ...refusals(404, 422) },
};

const DELETE = {
  ...about("Integrations", {
    operationId: "deleteIntegration",
    summary: "Delete an integration",
    description:
      "Forgets its secrets and its Items' tokens, and stops its work; the intake answers 404 from then on. What was mirrored " +
      "and journaled stays, unless `purge` asks for that to go too. What webhooks bring that are just under way then goes within " +
      "the hour. A deletion that is cut short goes on within the hour, or when it is asked for again. There is no way back.",
  }),
  params: IntegrationParams,
  querystring: IntegrationDeletion,
  response: { 200: IntegrationDeleted, ...refusals(404) },
};

const ROTATE = {
  ...about("Integrations", {
    operationId: "rotateWebhookSecret",
    summary: "Rotate the webhook secret",
    description:
      "Replaces the secret that your backend sends along; the old one stops working at once. Plaid's own webhooks are not " +
      "affected, since Plaid signs them. The new one is shown once.",
  }),
  params: IntegrationParams,
  body: SecretRotation,
  response: { 200: SecretRotated, ...refusals(404) },
};
