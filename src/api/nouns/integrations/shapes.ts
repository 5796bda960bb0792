/** The shapes of /v1/integrations. Two of them hold a webhook secret: it is handed out when it is made, and only then. */
import { z } from "zod";
import { DAYS_REQUESTED_MAX } from "../../../integrations/rules.ts";
import { EXAMPLES } from "../examples.ts";
import { asked, askedIntegration, environment, flag, integrationId, page, timestamp, told } from "../../http/shapes.ts";

const integration = {
  id: integrationId,
  service: told(z.string(), "What it mirrors: `plaid_item_v1`."),
  name: told(z.string(), "Yours to choose."),
  environment,
  plaid_url: told(z.string(), "The Plaid API that is asked; a simulator's in tests."),
  client_id: told(z.string(), "Plaid client id."),
  country_codes: told(z.array(z.string()), "Countries that institutions are asked for."),
  days_requested: told(
    z.number().int().nullable(),
    "Days of transactions that are asked for when an Item is initialised; null is Plaid's default, 90.",
  ),
  include_original_description: told(z.boolean(), "Whether transactions carry the bank's own description."),
  url: told(z.string(), "The intake URL: Plaid's `webhook`, and where your backend posts."),
  created_at: timestamp("When it was created."),
  updated_at: timestamp("When it last changed."),
};
const credentialsChecked = told(z.boolean(), "Whether Plaid confirmed client id and secret just now.");
const warning = told(z.string(), "Why they could not be confirmed.").optional();
const webhookSecret = told(z.string(), "What your backend sends to the intake URL. Keep it: nothing shows it again.");

export const Integration = z
  .object(integration)
  .meta({ id: "Integration", description: "One Plaid client.", examples: [EXAMPLES.integration] });

export const IntegrationCreated = z
  .object({ ...integration, webhook_secret: webhookSecret, credentials_checked: credentialsChecked, warning })
  .meta({ description: "The integration and its webhook secret.", examples: [EXAMPLES.integrationCreated] });

export const IntegrationChanged = z
  .object({ ...integration, credentials_checked: credentialsChecked.optional(), warning })
  .meta({ description: "The integration as it is now.", examples: [EXAMPLES.integrationChanged] });

export const SecretRotated = z
  .object({ id: integrationId, webhook_secret: webhookSecret })
  .meta({ description: "The new webhook secret.", examples: [EXAMPLES.secretRotated] });

export const IntegrationDeleted = z
  .object({
    id: integrationId,
    deleted: z.literal(true),
    purged: told(z.boolean(), "Whether its mirror and journal rows were deleted too."),
  })
  .meta({ description: "What was done.", examples: [EXAMPLES.integrationDeleted] });

const clientId = asked(200, "Plaid client id.");
const plaidSecret = asked(500, "Plaid secret of that environment.");
const name = asked(200, "Yours to choose.");
const countryCodes = told(
  z.array(z.string().regex(/^[A-Z]{2}$/, "must be two capital letters, such as US")).min(1),
  "Countries that institutions are asked for; US alone unless you say so.",
);
const daysRequested = told(
  z.int().min(1).max(DAYS_REQUESTED_MAX).nullable(),
  "Days of transactions (1 to 730) to ask for at the call that initialises Transactions for an Item; null is Plaid's " +
    "default, 90. An Item that is initialised already, by Link for example, keeps its length for good.",
);
const includeOriginalDescription = told(
  z.boolean(),
  "Ask for the bank's own description of each transaction. A change is read into existing rows at each Item's next sync.",
);
const ownSecret = told(z.string().min(8).max(500), "Your choice, at least 8 characters; a random one when absent.");
const verify = told(z.boolean().default(true), "Ask Plaid whether client id and secret are right before storing them.");

export const NewIntegration = z
  .strictObject({
    client_id: clientId,
    secret: plaidSecret,
    environment,
    plaid_url: told(
      z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
      "Ask this Plaid API instead of the environment's own, such as a simulator.",
    ).exactOptional(),
    webhook_secret: ownSecret.exactOptional(),
    name: name.exactOptional(),
    country_codes: countryCodes.exactOptional(),
    days_requested: daysRequested.exactOptional(),
    include_original_description: includeOriginalDescription.exactOptional(),
    verify,
  })
  .meta({ examples: [EXAMPLES.newIntegration] });

export const IntegrationPatch = z
  .strictObject({
    name: name.exactOptional(),
    client_id: clientId.exactOptional(),
    secret: plaidSecret.exactOptional(),
    country_codes: countryCodes.exactOptional(),
    days_requested: daysRequested.exactOptional(),
    include_original_description: includeOriginalDescription.exactOptional(),
    verify,
  })
  .meta({ examples: [EXAMPLES.integrationPatch] });

export const SecretRotation = z
  .strictObject({ webhook_secret: ownSecret.exactOptional() })
  .meta({ examples: [EXAMPLES.secretRotation] });

export const IntegrationParams = z.object({ id: askedIntegration });
export const IntegrationsQuery = z.strictObject(page);
export const IntegrationDeletion = z.strictObject({
  purge: flag("Also delete what was mirrored and journaled for it."),
});
