/**
 * /v1/integrations: one Plaid client each. The API tries credentials at Plaid before it stores them. If Plaid cannot be
 * reached, it stores them with a warning, since an outage of Plaid must not stop the setup.
 */
import { z } from "zod";
import { reason } from "../../audit/audit.schema.ts";
import { TartanError } from "../../errors.ts";
import { IntegrationChange, NewIntegration, WebhookSecretRotation } from "../../integrations/integration.schema.ts";
import {
  createIntegration,
  getIntegration,
  integrationUrl,
  listIntegrations,
  rotateWebhookSecret,
  type Integration as IntegrationRow,
} from "../../integrations/integrations.ts";
import { deleteIntegration, updateIntegration } from "../../lifecycle/integrations.ts";
import { flag, page } from "../../model/listing.ts";
import { environment, integrationId, namedIntegration, timestamp, described } from "../../model/schema.ts";
import { checkCredentials, type Credentials } from "../../plaid/credentials.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { pageOf } from "../http/paging.ts";
import { list } from "../http/shapes.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";

interface Checked {
  credentials_checked: boolean;
  warning?: string;
}

/** Proxies give up after half a minute. Rows that are not masked by then are masked after the answer. */
const HIDING = { withinMs: 10_000 };

const NOT_ASKED = "Tartan did not check client id and secret at Plaid, since `verify` is false.";

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

/** Tries the changed values together with the kept ones. */
async function checkChanges(
  { directory }: ApiDeps,
  { id, plaid_url, environment, client_id }: IntegrationRow,
  changes: z.output<typeof IntegrationChange>,
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

export const noIntegration = (id: string) =>
  new TartanError("not_found", `There is no integration ${id}; GET /v1/integrations lists those there are.`);

export function integrationOperations(api: Api, deps: ApiDeps): void {
  const { database, vault } = deps;
  const show = (row: IntegrationRow) => ({ ...row, url: integrationUrl(deps.publicUrl(), row.id) });
  const find = async (id: string): Promise<IntegrationRow> => {
    const row = await getIntegration(database, id);
    if (!row) throw noIntegration(id);
    return row;
  };

  api.post("/v1/integrations", { schema: CREATE }, async ({ body, actor }, reply) => {
    const { verify, reason, ...asked } = body;
    const checked = await check(asked, verify);
    const made = await createIntegration(database, vault, asked, { actor, reason });
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

  api.patch("/v1/integrations/:id", { schema: CHANGE }, async ({ params: { id }, body, actor }) => {
    const { verify, reason, ...changes } = body;
    const checked = await checkChanges(deps, await find(id), changes, verify);
    return { ...show(await updateIntegration(database, vault, id, changes, { actor, reason }, HIDING)), ...checked };
  });

  api.delete("/v1/integrations/:id", { schema: DELETE }, async ({ params: { id }, query, actor }) => {
    const purged = query.purge === "true";
    // A deleted integration may be deleted again, so that an interrupted purge goes on.
    await deleteIntegration(database, id, { purge: purged, ...HIDING }, { actor, reason: query.reason });
    return { id, deleted: true as const, purged };
  });

  api.post("/v1/integrations/:id/rotate_secret", { schema: ROTATE }, async ({ params: { id }, body, actor }) => {
    const by = { actor, reason: body.reason };
    const { webhook_secret } = await rotateWebhookSecret(database, vault, id, body.webhook_secret, by);
    return { id, webhook_secret };
  });
}

const SECRET = "whs_example-keep-it-beside-your-other-secrets";

export const integrationExample = {
  id: INTEGRATION_ID,
  service: "plaid_item_v1",
  name: "production, North America",
  environment: "production" as const,
  plaid_url: "https://production.plaid.com",
  client_id: "57c4acc20259bd7b1d88052e",
  country_codes: ["US", "CA"],
  days_requested: 730,
  include_original_description: false,
  consumer_report_permissible_purpose: null,
  revealed_resources: [],
  enabled_resources: [],
  masking_resources: [],
  revoked_data: "keep" as const,
  adopt_items: false,
  link_client_name: "Acme Budget",
  link_language: "en",
  url: `https://tartan.example.com/v1/integrations/${INTEGRATION_ID}`,
  created_at: "2026-11-02T09:14:00.000Z",
  updated_at: "2026-11-02T09:14:00.000Z",
};

const integration = {
  id: integrationId,
  service: described(z.string(), "What it mirrors: `plaid_item_v1`."),
  name: described(z.string(), "Yours to choose."),
  environment,
  plaid_url: described(z.string(), "The base URL of the Plaid API; a simulator's in tests."),
  client_id: described(z.string(), "Plaid client id."),
  country_codes: described(z.array(z.string()), "Countries that institutions are asked for."),
  days_requested: described(
    z.number().int().nullable(),
    "Days of transactions to ask for when Plaid initialises an Item; null is Plaid's default, 90.",
  ),
  include_original_description: described(z.boolean(), "Whether transactions carry the bank's own description."),
  consumer_report_permissible_purpose: described(
    z.string().nullable(),
    "Why cash-flow updates are asked for, in Plaid's words; null: they are not.",
  ),
  revealed_resources: described(z.array(z.string()), "Resources whose sensitive fields are mirrored unmasked."),
  enabled_resources: described(
    z.array(z.string()),
    "Resources that Plaid bills by request and that Tartan may request.",
  ),
  masking_resources: described(
    z.array(z.string()),
    "Resources that are no longer revealed and whose stored rows are just being masked; empty when all are.",
  ),
  revoked_data: described(z.enum(["keep", "erase"]), "What becomes of data whose user has withdrawn it at Plaid."),
  adopt_items: described(z.boolean(), "Whether public tokens in Plaid's LINK webhooks are exchanged."),
  link_client_name: described(z.string().nullable(), "`client_name` of Link tokens that name none."),
  link_language: described(z.string(), "`language` of Link tokens that name none."),
  url: described(z.string(), "The intake URL: Plaid's `webhook`, and where your backend posts."),
  created_at: timestamp("When it was created."),
  updated_at: timestamp("When it last changed."),
};
const credentialsChecked = described(z.boolean(), "Whether Plaid confirmed client id and secret just now.");
const warning = described(z.string(), "Why they could not be confirmed.").optional();
const webhookSecret = described(
  z.string(),
  "Your backend sends it to the intake URL. Keep it: no answer shows it again.",
);

const Integration = z
  .object(integration)
  .meta({ id: "Integration", description: "One Plaid client.", examples: [integrationExample] });

const IntegrationCreated = z
  .object({ ...integration, webhook_secret: webhookSecret, credentials_checked: credentialsChecked, warning })
  .meta({
    description: "The integration and its webhook secret.",
    examples: [{ ...integrationExample, webhook_secret: SECRET, credentials_checked: true }],
  });

const IntegrationChanged = z
  .object({ ...integration, credentials_checked: credentialsChecked.optional(), warning })
  .meta({
    description: "The integration as it is now.",
    examples: [{ ...integrationExample, name: "production, US and Canada", credentials_checked: true }],
  });

const SecretRotated = z
  .object({ id: integrationId, webhook_secret: webhookSecret })
  .meta({ description: "The new webhook secret.", examples: [{ id: INTEGRATION_ID, webhook_secret: SECRET }] });

const IntegrationDeleted = z
  .object({
    id: integrationId,
    deleted: z.literal(true),
    purged: described(z.boolean(), "Whether its mirror and journal rows were deleted too."),
  })
  .meta({ description: "What was done.", examples: [{ id: INTEGRATION_ID, deleted: true, purged: false }] });

const verify = described(
  z.boolean().default(true),
  "Ask Plaid whether client id and secret are right before storing them.",
);
const IntegrationParams = z.object({ id: namedIntegration });

const CREATE = {
  ...about("Integrations", {
    operationId: "createIntegration",
    summary: "Create an integration",
    description:
      "Connects a Plaid client. Tartan tries client id and secret at Plaid first, and stores nothing that Plaid refuses. Give the " +
      "`url` of the answer to Plaid as `webhook`, and keep `webhook_secret` beside your other secrets: it is shown once.",
  }),
  body: NewIntegration.extend({ verify, reason }).meta({
    examples: [
      {
        client_id: integrationExample.client_id,
        secret: "your-plaid-secret",
        environment: "production",
        name: integrationExample.name,
        country_codes: integrationExample.country_codes,
        days_requested: integrationExample.days_requested,
      },
    ],
  }),
  response: { 201: IntegrationCreated, ...refusals(422) },
};

const LIST = {
  ...about("Integrations", {
    operationId: "listIntegrations",
    summary: "List integrations",
    description: "All integrations that were not deleted, oldest first, without their secrets.",
  }),
  querystring: z.strictObject(page),
  response: { 200: list(Integration, integrationExample, "A page of integrations."), ...refusals() },
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
      "Changes the given fields and keeps the rest: its name, its countries, the options for transactions and for Link, what it reveals and enables, or Plaid's client id and secret, for example after " +
      "the secret was rotated in Plaid's dashboard. New credentials are tried at Plaid first, as at creation. What is no longer revealed is " +
      "masked in whatever is written from then on, and in all stored rows: mostly before the answer, which comes after ten seconds at the " +
      "latest. Until `masking_resources` is empty, some stored rows are not masked yet.",
  }),
  params: IntegrationParams,
  body: IntegrationChange.extend({ verify, reason }).meta({
    examples: [{ name: "production, US and Canada", secret: "your-new-plaid-secret" }],
  }),
  response: { 200: IntegrationChanged, ...refusals(404, 422) },
};

const DELETE = {
  ...about("Integrations", {
    operationId: "deleteIntegration",
    summary: "Delete an integration",
    description:
      "Deletes its secrets and its Items' tokens, and stops its work; the intake answers 404 from then on. What was mirrored " +
      "and journaled stays, unless `purge` asks for that to go too. What webhooks bring that are just under way then goes within " +
      "the hour. Rows that it revealed and that stay are masked. A deletion that is cut short goes on within the hour, or when it is asked for again. There is no way back.",
  }),
  params: IntegrationParams,
  querystring: z.strictObject({ purge: flag("Also delete what was mirrored and journaled for it."), reason }),
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
  body: WebhookSecretRotation.extend({ reason }).meta({ examples: [{ webhook_secret: SECRET }] }),
  response: { 200: SecretRotated, ...refusals(404) },
};
