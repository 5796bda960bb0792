/** /v1/link: Link tokens for your frontend, public tokens that become Items, and what became of each. */
import { z } from "zod";
import { listAdoptions } from "../../linking/adoptions.ts";
import { exchangePublicToken } from "../../linking/exchange.ts";
import { createLinkToken } from "../../linking/link-tokens.ts";
import { AdoptionFilter, Exchange, NewLinkToken } from "../../linking/link.schema.ts";
import { INTEGRATION_ID, ITEM_ID, USER_ID, WEBHOOK_ID } from "../../model/examples.ts";
import {
  described,
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  timestamp,
  userId,
  webhookId,
} from "../../model/schema.ts";
import { PUBLIC_TOKEN_REASONS, PUBLIC_TOKEN_STATUSES } from "../../model/statuses.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";

export function linkOperations(api: Api, deps: ApiDeps): void {
  api.post("/v1/link/tokens", { schema: CREATE }, async ({ body, actor }, reply) =>
    reply.code(201).send(await createLinkToken({ ...deps, publicUrl: deps.publicUrl() }, body, { actor })),
  );

  api.post("/v1/link/exchange", { schema: EXCHANGE }, async ({ body, actor }, reply) => {
    const linked = await exchangePublicToken(deps, body, { actor });
    return reply.code(linked.created ? 201 : 200).send({ ...linked, integration_id: body.integration_id });
  });

  api.get("/v1/link/adoptions", { schema: LIST }, ({ query }) => listAdoptions(deps.database, query));
}

const tokenExample = {
  link_token: "link-production-af1a0311-da53-4636-b754-dd15cc058176",
  expiration: "2026-11-20T21:03:29.000Z",
  hosted_link_url: "https://secure.plaid.com/hl/…",
  integration_id: INTEGRATION_ID,
  user_id: USER_ID,
  item_id: null,
  webhook: `https://tartan.example.com/v1/integrations/${INTEGRATION_ID}`,
  adopt: true,
  request_id: "4zlKapIkTm8p5KM",
};

const LinkToken = z
  .object({
    link_token: described(z.string(), "For Link in your frontend. No other answer shows it."),
    expiration: timestamp("When it ends, as Plaid says."),
    hosted_link_url: described(z.string().nullable(), "Where the user links, with `hosted_link`; else null."),
    integration_id: integrationId,
    user_id: orNull(userId),
    item_id: described(z.string().nullable(), "The Item of a session in update mode; null: the user links new Items."),
    webhook: described(
      z.string(),
      "The intake URL, to which Plaid sends the webhooks of the session and of what it links.",
    ),
    adopt: described(
      z.boolean(),
      "Whether Tartan links what the user adds by itself. False: exchange the public token with POST /v1/link/exchange, or yourself.",
    ),
    request_id: described(z.string(), "Plaid's id of the request, for its support."),
  })
  .meta({ id: "LinkToken", description: "A Link token.", examples: [tokenExample] });

const CREATE = {
  ...about("Link", {
    operationId: "createLinkToken",
    summary: "Create a Link token",
    description:
      "Asks Plaid for a Link token (/link/token/create). Tartan sets the webhook to the intake URL, `client_user_id` to your user, and the " +
      "days of transactions to the integration's. With `item_id` it is a token for update mode. What the user links is mirrored when the " +
      "public token is exchanged: by Tartan itself (`adopt`, from Plaid's LINK webhooks), by POST /v1/link/exchange, or by your backend, " +
      "which then posts ITEM/CREATED.",
  }),
  body: NewLinkToken.meta({
    examples: [
      {
        integration_id: INTEGRATION_ID,
        user_id: USER_ID,
        products: ["transactions"],
        client_name: "Acme Budget",
        hosted_link: { completion_redirect_uri: "https://acme.example.com/linked" },
        adopt: true,
      },
    ],
  }),
  response: { 201: LinkToken, ...refusals(404, 409, 502) },
};

const exchangedExample = {
  item_id: ITEM_ID,
  webhook_id: WEBHOOK_ID,
  created: true,
  integration_id: INTEGRATION_ID,
};

const Exchanged = z
  .object({
    item_id: itemId,
    webhook_id: described(
      z.string().nullable(),
      "Of ITEM/CREATED, which shows what the sync found; null where the token had been exchanged before, for the same user.",
    ),
    created: described(
      z.boolean(),
      "False where the Item was known, or this public token had been exchanged here before.",
    ),
    integration_id: integrationId,
  })
  .meta({ description: "The linked Item.", examples: [exchangedExample] });

const EXCHANGE = {
  ...about("Link", {
    operationId: "exchangePublicToken",
    summary: "Exchange a public token",
    description:
      "Exchanges the public token that Link gave your frontend (/item/public_token/exchange), seals the access token and links the Item, " +
      "whose first sync is due at once. No answer shows the access token. The same public token again gets the same Item, also when Tartan " +
      "has adopted it; Plaid is asked once. `public_token_refused`: Plaid does not know it (any more).",
  }),
  body: Exchange.meta({
    examples: [
      {
        integration_id: INTEGRATION_ID,
        public_token: "public-production-5c224a01-8314-4491-a06f-39e193d5cddc",
        user_id: USER_ID,
      },
    ],
  }),
  response: { 201: Exchanged, 200: Exchanged, ...refusals(404, 422, 502) },
};

export const adoptionExample = {
  id: "ptk_019e0b7c3d527f008a4c5b7de1f0a911",
  integration_id: INTEGRATION_ID,
  status: "linked" as const,
  reason: null,
  message: null,
  next_step: null,
  adopt: true,
  user_id: USER_ID,
  item_id: ITEM_ID,
  link_session_id: "356dbb28-7f98-44d1-8e6d-0cec580f3171",
  webhook_id: WEBHOOK_ID,
  received_at: "2026-11-20T17:03:29.000Z",
  expires_at: "2026-11-20T17:33:29.000Z",
  attempts: 1,
  last_error: null,
  settled_at: "2026-11-20T17:03:29.300Z",
};

const Adoption = z
  .object({
    id: described(z.string(), "`ptk_…`; ids sort by time. The public token itself is nowhere."),
    integration_id: integrationId,
    status: described(
      z.enum(PUBLIC_TOKEN_STATUSES),
      "`pending`: to be exchanged, or to be tried again. `exchanging`: Plaid is being asked. `linked`: it is the Item `item_id`. " +
        "`failed`: see reason.",
    ),
    reason: described(
      z.enum(PUBLIC_TOKEN_REASONS).nullable(),
      "`expired`: not exchanged within 30 minutes. `exchanged_elsewhere`: Plaid no longer knows it, so somebody else exchanged it. " +
        "`lost`: exchanged, and nobody has the access token. `refused`: see last_error. Null: it did not fail.",
    ),
    message: described(z.string().nullable(), "What happened, in plain words."),
    next_step: described(z.string().nullable(), "What to do about it; null where it needs nothing."),
    adopt: described(z.boolean(), "Whether Tartan exchanges it by itself; false: requests brought it."),
    user_id: orNull(userId),
    item_id: described(z.string().nullable(), "The Item that it became."),
    link_session_id: described(z.string().nullable(), "Plaid's id of the session of Link."),
    webhook_id: described(z.string().nullable(), `The first webhook that brought it. ${webhookId.description ?? ""}`),
    received_at: timestamp("When it came."),
    expires_at: timestamp("Plaid exchanges it until then."),
    attempts: described(z.number().int(), "How often Plaid was asked."),
    last_error: described(z.string().nullable(), "Plaid's code of the last failure."),
    settled_at: noTimestamp("When it was linked or failed."),
  })
  .meta({ id: "Adoption", description: "A public token, and what became of it.", examples: [adoptionExample] });

const LIST = {
  ...about("Link", {
    operationId: "listAdoptions",
    summary: "List public tokens",
    description:
      "The public tokens of the last 30 days that Tartan exchanged or tried to, newest first: those in Plaid's LINK webhooks that are " +
      "adopted, and those of POST /v1/link/exchange. Filters combine.",
  }),
  querystring: AdoptionFilter,
  response: { 200: list(Adoption, adoptionExample, "A page of public tokens."), ...refusals() },
};
