/** POST /sandbox/public_token/create: an Item without Link. */
import { z } from "zod";
import { loginOf } from "../custom/login.ts";
import { invalidField, invalidInstitution } from "../plaid-error.ts";
import { linkItem } from "../link.ts";
import { recordWith } from "../records/changes.ts";
import { user } from "../records/user.ts";
import { endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";

const DEFAULT_DAYS = 90;

const options = z
  .looseObject({
    webhook: webhookUrl.optional(),
    override_username: z.string().nullish(),
    override_password: z.string().nullish(),
    transactions: z.looseObject({ days_requested: z.int().min(1).max(730).optional() }).nullish(),
  })
  .optional();

export const sandboxPublicTokenCreate = endpoint(
  "/sandbox/public_token/create",
  {
    institution_id: z.string(),
    initial_products: z.array(z.string()).min(1),
    options,
    user_token: z.string().optional(),
    user_id: z.string().optional(),
  },
  (body, { sim, client }) => {
    const institution = sim.world.institution(body.institution_id);
    if (!institution) throw invalidInstitution();
    const lacking = body.initial_products.filter((product) => !institution.products.includes(product));
    if (lacking.length > 0)
      throw invalidField(`initial_products not supported by the institution: ${lacking.join(", ")}`);
    const item = linkItem(sim, {
      clientId: client.clientId,
      institution,
      products: body.initial_products,
      webhook: body.options?.webhook ?? null,
      userId: body.user_token ? recordWith(sim, user, client.clientId, body.user_token).id : (body.user_id ?? null),
      login: loginOf(body.options?.override_username, body.options?.override_password),
      days: body.options?.transactions?.days_requested ?? DEFAULT_DAYS,
    });
    return { public_token: sim.world.createPublicToken(item, sim.time.now()) };
  },
);
