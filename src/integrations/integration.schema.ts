/** The inputs of creating and changing an integration. */
import { z } from "zod";
import { ENABLABLE, REVEALABLE } from "../resources/index.ts";
import { environment, filledText, described, wrong } from "../model/schema.ts";

/** Plaid's own bounds (https://plaid.com/docs/api/link/#link-token-create-request-transactions-days-requested). */
const DAYS_REQUESTED_MAX = 730;
/** There are 249 codes (ISO 3166-1). */
const COUNTRIES_MAX = 249;

/** It is sent in a header, which holds printable ASCII only and loses spaces at both ends. */
const HEADER_TEXT = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const noDays = wrong(`must be a whole number of days from 1 to ${DAYS_REQUESTED_MAX}, or null for Plaid's default`);

const namesOf = (names: readonly string[], description: string) =>
  described(z.array(names.length > 0 ? z.enum(names) : z.never()).max(names.length), description);

/** Plaid's own bound (https://plaid.com/docs/api/link/#link-token-create-request-client-name). */
const CLIENT_NAME_MAX = 30;

/** The elements that an integration and a Link token have in common. */
export const linkText = {
  clientName: filledText(CLIENT_NAME_MAX, "The name of your application, as Link shows it to your users."),
  language: described(
    z.string().regex(/^[a-z]{2}$/, "must be two small letters, such as en"),
    "The language of Link, such as `en`.",
  ),
  countryCodes: described(
    z
      .array(z.string().regex(/^[A-Z]{2}$/, "must be two capital letters, such as US"))
      .min(1)
      .max(COUNTRIES_MAX),
    "Countries whose institutions Link shows.",
  ),
  days: z.int({ error: noDays }).min(1, { error: noDays }).max(DAYS_REQUESTED_MAX, { error: noDays }),
};

const settings = {
  name: filledText(200, "Yours to choose."),
  client_id: filledText(200, "Plaid client id."),
  secret: filledText(500, "Plaid secret of that environment."),
  country_codes: described(
    linkText.countryCodes,
    "Countries that institutions are asked for; US alone unless you say so.",
  ),
  days_requested: described(
    linkText.days.nullable(),
    "Days of transactions (1 to 730) to ask for at the call that initialises Transactions for an Item; null is Plaid's " +
      "default, 90. An Item that is initialised already, by Link for example, keeps its length for good.",
  ),
  include_original_description: described(
    z.boolean(),
    "Ask for the bank's own description of each transaction. A change is read into existing rows at each Item's next sync.",
  ),
  consumer_report_permissible_purpose: described(
    z
      .enum(["ACCOUNT_REVIEW_CREDIT", "WRITTEN_INSTRUCTION_OTHER"], {
        error: wrong("must be ACCOUNT_REVIEW_CREDIT or WRITTEN_INSTRUCTION_OTHER, or null"),
      })
      .nullable(),
    "Why you may read cash-flow updates of your users (Plaid Check), which Plaid asks with each request; null where you do not. " +
      "`cra_monitoring_insights` can be enabled with it only.",
  ),
  revealed_resources: namesOf(
    REVEALABLE,
    "Resources whose sensitive fields are mirrored unmasked; the list replaces the one before. What is no longer revealed is masked in " +
      "the stored rows too; what is newly revealed is read again.",
  ),
  enabled_resources: namesOf(
    ENABLABLE,
    "Resources that Plaid bills by request and that Tartan may request; the list replaces the one before.",
  ),
  revoked_data: described(
    z.enum(["keep", "erase"], { error: wrong("must be keep or erase") }),
    "What becomes of data whose user withdraws the permission at Plaid (USER_PERMISSION_REVOKED, USER_ACCOUNT_REVOKED). `keep`: its rows " +
      "get removed_at. `erase`: its rows, and what events and webhooks hold of them, are deleted; what was delivered to you is yours to " +
      "delete. A change applies to what is withdrawn from then on.",
  ),
  adopt_items: described(
    z.boolean(),
    "Link new Items by itself: exchange the public tokens in Plaid's LINK webhooks. Leave it off where your backend exchanges them, since " +
      "Plaid exchanges each once.",
  ),
  link_client_name: described(
    linkText.clientName.nullable(),
    "`client_name` of Link tokens that name none: your application, as Link shows it. Null: each Link token names it.",
  ),
  link_language: described(linkText.language, "`language` of Link tokens that name none; `en` unless you say so."),
};

const webhookSecret = described(
  z
    .string()
    .min(8)
    .max(500)
    .regex(HEADER_TEXT, "must be printable ASCII without spaces at its ends, since it is sent in a header"),
  "Your choice, at least 8 characters; a random one when absent.",
);

export const NewIntegration = z.strictObject({
  client_id: settings.client_id,
  secret: settings.secret,
  environment,
  plaid_url: described(
    z.url({ protocol: /^https?$/, error: wrong("must be an http or https URL") }),
    "Ask this Plaid API instead of the environment's own, such as a simulator.",
  ).optional(),
  webhook_secret: webhookSecret.optional(),
  name: settings.name.optional(),
  country_codes: settings.country_codes.optional(),
  days_requested: settings.days_requested.optional(),
  include_original_description: settings.include_original_description.optional(),
  consumer_report_permissible_purpose: settings.consumer_report_permissible_purpose.optional(),
  revealed_resources: settings.revealed_resources.optional(),
  enabled_resources: settings.enabled_resources.optional(),
  revoked_data: settings.revoked_data.optional(),
  adopt_items: settings.adopt_items.optional(),
  link_client_name: settings.link_client_name.optional(),
  link_language: settings.link_language.optional(),
});

export type NewIntegration = z.input<typeof NewIntegration>;

export const IntegrationChange = z.strictObject(settings).partial();
export type IntegrationChange = z.input<typeof IntegrationChange>;

/** A webhook secret of your own, or none for a random one. */
export const WebhookSecretRotation = z.strictObject({ webhook_secret: webhookSecret.optional() });
