/** The inputs of Link: a new Link token, a public token to exchange, and the filter of the list of public tokens. */
import { z } from "zod";
import { linkText } from "../integrations/integration.schema.ts";
import { page, type FilterOf } from "../model/listing.ts";
import {
  anyObject,
  described,
  filledText,
  namedIntegration,
  namedItem,
  namedUser,
  text,
  wholeNumber,
} from "../model/schema.ts";
import { PUBLIC_TOKEN_STATUSES } from "../model/statuses.ts";

const PRODUCTS_MAX = 50;
/** Of the JSON text of `plaid`: Plaid's own fields are short. */
const PLAID_BYTES_MAX = 16 * 1024;
/** Plaid's own bound (https://plaid.com/docs/api/link/#link-token-create-request-hosted-link-url-lifetime-seconds). */
const URL_LIFE_MAX_SECONDS = 21 * 86_400;
const USER_MAX = 200;

const products = (description: string) =>
  described(z.array(filledText(60, "Plaid's name of a product.")).max(PRODUCTS_MAX), description);

const hostedLink = z
  .strictObject({
    delivery_method: described(z.enum(["sms", "email"]), "Plaid sends the URL to the user itself.").optional(),
    completion_redirect_uri: filledText(2000, "Where the user goes at the end.").optional(),
    url_lifetime_seconds: wholeNumber(1, URL_LIFE_MAX_SECONDS, "How long the URL works.").optional(),
    is_mobile_app: described(z.boolean(), "Whether a mobile app shows it.").optional(),
  })
  .meta({
    description: "A session on a page of Plaid's (Hosted Link): the answer has its URL. `{}` for Plaid's defaults.",
  });

/** Fields of Plaid's request that Tartan sets: what sets each. */
const SET_BY_TARTAN: Readonly<Record<string, string>> = {
  client_id: "the integration",
  secret: "the integration",
  client_name: "client_name",
  language: "language",
  country_codes: "country_codes",
  webhook: "the intake URL of the integration",
  products: "products",
  required_if_supported_products: "required_if_supported_products",
  optional_products: "optional_products",
  additional_consented_products: "additional_consented_products",
  hosted_link: "hosted_link",
  access_token: "item_id",
  access_tokens: "item_id",
  "user.client_user_id": "user_id",
  "transactions.days_requested": "days_requested",
  "update.account_selection_enabled": "account_selection",
};

const plaidFields = anyObject(
  "More fields of Plaid's /link/token/create, as Plaid has them, such as `redirect_uri`, `account_filters`, `enable_multi_item_link` or " +
    "`user` with a telephone number. None that Tartan sets.",
).check(({ value, issues }) => {
  if (JSON.stringify(value).length > PLAID_BYTES_MAX)
    issues.push({ code: "custom", input: value, path: [], message: `must have at most ${PLAID_BYTES_MAX} characters` });
  for (const [field, by] of Object.entries(SET_BY_TARTAN)) {
    if (!has(value, field.split("."))) continue;
    issues.push({
      code: "custom",
      input: value,
      path: field.split("."),
      message: `is set by ${by}; leave it out here`,
    });
  }
});

function has(value: unknown, [name = "", ...rest]: readonly string[]): boolean {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return false;
  return rest.length === 0 || has((value as Record<string, unknown>)[name], rest);
}

export const NewLinkToken = z.strictObject({
  integration_id: namedIntegration,
  user_id: filledText(
    USER_MAX,
    "Your own identifier of the user, sent as `client_user_id`. What the user links is theirs. Required, unless the Item of `item_id` has one.",
  ).optional(),
  item_id: described(
    namedItem,
    "The Item to repair or to change, in Link's update mode. Absent: the user links new Items.",
  ).optional(),
  account_selection: described(
    z.boolean(),
    "In update mode: let the user choose again which accounts you may read.",
  ).optional(),
  products: products(
    "Plaid's products, such as `transactions`. In update mode: those that the user is to consent to beside.",
  ).optional(),
  required_if_supported_products: products("Products that the Item gets where the institution has them.").optional(),
  optional_products: products("Products that are tried, and whose failure is no obstacle.").optional(),
  additional_consented_products: products(
    "Products that the user consents to now and that you may use later.",
  ).optional(),
  client_name: linkText.clientName.optional(),
  language: linkText.language.optional(),
  country_codes: linkText.countryCodes.optional(),
  days_requested: described(
    linkText.days,
    "Days of transactions, 1 to 730. Default: the integration's. Plaid reads it when it initialises Transactions and never raises it later.",
  ).optional(),
  hosted_link: hostedLink.optional(),
  adopt: described(
    z.boolean(),
    "Whether Tartan exchanges the public tokens of its sessions and links their Items. Default: `adopt_items` of the integration.",
  ).optional(),
  plaid: plaidFields.optional(),
});
export type NewLinkToken = z.input<typeof NewLinkToken>;

/** A public token has this form, so that a mistaken access token is not sent to Plaid. */
const PUBLIC_TOKEN = /^public-[\x21-\x7e]{1,240}$/;

export const Exchange = z.strictObject({
  integration_id: namedIntegration,
  public_token: described(
    z.string().regex(PUBLIC_TOKEN, "must be a public token, such as public-production-…"),
    "What Link gave your frontend. Plaid exchanges it once, within 30 minutes.",
  ),
  user_id: filledText(
    USER_MAX,
    "Your own identifier of the user. Absent: that of the Link token, where a webhook said which it was.",
  ).optional(),
});
export type Exchange = z.input<typeof Exchange>;

export const AdoptionFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  status: described(z.enum(PUBLIC_TOKEN_STATUSES), "What became of it.").optional(),
  item_id: namedItem.optional(),
  user_id: namedUser.optional(),
  webhook_id: text(60, "A webhook that brought public tokens, `whk_…`.").optional(),
  ...page,
});
export type AdoptionFilter = FilterOf<typeof AdoptionFilter>;
