/**
 * The inputs of the control API, for its HTTP paths and for its methods. A refusal names each invalid field.
 */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import { SUBTYPES } from "../catalogue/accounts.ts";
import { ITEM_ERROR_CODES } from "../plaid-error.ts";
import { TAMPERINGS } from "../webhooks/sign.ts";

const webUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });
const password = z.union([z.string(), z.record(z.string(), z.unknown())]).optional();
const count = z.int().min(0).max(1_000_000);

export const itemsInput = z.strictObject({
  count: z.int().min(1).max(1_000_000).default(1),
  /** transactions in each Item's history */
  transactions: count.default(50),
  webhook: webUrl.nullable().default(null),
  products: z.array(z.string()).default(["transactions"]),
  /** more products that the user consented to: the first request of one makes it a product of the Item */
  consented_products: z.array(z.string()).default([]),
  /** Plaid's user id (usr_…; webhooks then have it too) or your own name of the user */
  user_id: z.string().nullable().default(null),
  institution_id: z.string().optional(),
  /** one of the simulator's clients; absent: the first */
  client_id: z.string().optional(),
  /** how far back the history goes */
  days: z.int().min(1).max(730).default(90),
  user: z.enum(["controlled", "user_good", "user_transactions_dynamic", "user_custom"]).default("controlled"),
  /** the configuration of user_custom: an object, or its JSON text */
  password,
  /** false: the history arrives in stages, with its webhooks, as after Link */
  ready: z.boolean().default(true),
});

export const changeInput = z.strictObject({
  add: count.default(0),
  add_pending: count.default(0),
  modify: count.default(0),
  remove: count.default(0),
  /** how many pending transactions post, or all of them */
  post_pending: z.union([count, z.literal("all")]).default(0),
  /** new ones go to this account */
  account_id: z.string().optional(),
  /** false: no webhook announces the change */
  webhooks: z.boolean().default(true),
});

export const breakInput = z.strictObject({
  error_code: z.enum(ITEM_ERROR_CODES).default("ITEM_LOGIN_REQUIRED"),
  webhooks: z.boolean().default(true),
});

export const quietInput = z.strictObject({ webhooks: z.boolean().default(true) });

export const revokeAccountInput = z.strictObject({
  /** absent: one by chance */
  account_id: z.string().optional(),
  webhooks: z.boolean().default(true),
});

export const consentInput = z.strictObject({
  /** from now, such as 432000 for five days; null: it never ends */
  ends_in_s: z.number().min(0).nullable(),
  webhooks: z.boolean().default(true),
});

/** Plaid announces it a week before */
export const disconnectInput = z.strictObject({
  in_s: z
    .number()
    .min(0)
    .default(7 * 86_400),
});

export const addAccountInput = z.strictObject({
  /** what kind of account, such as "brokerage" or "mortgage"; absent: one by chance */
  subtype: z.enum(SUBTYPES).optional(),
  /** false: the user shares it in update mode with account selection only; until then Plaid shows nothing of it */
  shared: z.boolean().default(true),
  /** on the new account */
  transactions: count.default(0),
  webhooks: z.boolean().default(true),
});

export const clockInput = z.strictObject({ advance_s: z.number().min(0) });

export const rotateInput = z.strictObject({
  /** false: both keys stay unexpired */
  expire_old: z.boolean().default(true),
});

export const clientInput = z.strictObject({
  client_id: z.string().min(1),
  secret: z.string().min(1),
  /** where webhooks about no Item go; absent: where they go already */
  webhook: webUrl.nullable().optional(),
  /** false: Plaid's beta endpoints (/beta/…) are not enabled for it; absent: as it is */
  beta: z.boolean().optional(),
});

export const linkInput = z.strictObject({
  link_token: z.string(),
  /** how many Items the user adds; several only where the Link token allows it */
  items: z.int().min(1).max(10).default(1),
  institution_id: z.string().optional(),
  user: z.enum(["user_good", "user_transactions_dynamic", "user_custom"]).default("user_good"),
  password,
});

const signing = {
  /** seconds to shift `iat` by */
  iat_offset_s: z.number().optional(),
  /** the header's kid instead of the key's own */
  kid: z.string().optional(),
  /** the current key; the latest expired one; or one that Plaid does not know */
  key: z.enum(["current", "expired", "foreign"]).default("current"),
  tamper: z.enum(TAMPERINGS).optional(),
  /** this token as it is; null: no Plaid-Verification header */
  jwt: z.string().nullable().optional(),
};

const content = {
  webhook_type: z.string().optional(),
  webhook_code: z.string().optional(),
  /** fields that are added to type, code, item_id and environment, or replace them */
  fields: z.record(z.string(), z.unknown()).optional(),
  /** the whole body: an object (sent as Plaid formats it) or text (sent as it is) */
  body: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  item_id: z.string().optional(),
};

export const signInput = z.strictObject({ ...content, ...signing });

export const sendInput = z.strictObject({
  ...content,
  ...signing,
  /** absent: the Item's webhook URL */
  url: webUrl.optional(),
  retry: z.boolean().default(true),
});

export const sentFilter = z.strictObject({
  item_id: z.string().optional(),
  webhook_type: z.string().optional(),
  webhook_code: z.string().optional(),
  status: z.enum(["pending", "delivered", "failed", "dropped"]).optional(),
  limit: z.coerce.number().int().min(1).optional(),
});

export const activityInput = z.strictObject({
  /** real milliseconds between two rounds */
  every_ms: z.int().min(10).default(3000),
  /** Items changed in each round */
  items: z.int().min(1).default(2),
  /** records of each kind changed in each round */
  records: z.int().min(0).default(1),
});

/** The checked input. @throws TartanError naming every invalid field */
export function check<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const fields: Record<string, string> = {};
  for (const issue of result.error.issues) {
    const names = issue.code === "unrecognized_keys" ? issue.keys : [issue.path.join(".") || "body"];
    for (const name of names)
      fields[name] ??= issue.code === "unrecognized_keys" ? "is not a field here" : issue.message;
  }
  throw badInput(fields);
}

export const badInput = (fields: Record<string, string>): TartanError =>
  new TartanError(
    "simulator_invalid_request",
    Object.entries(fields)
      .map(([field, what]) => `${field}: ${what}`)
      .join("; "),
    { fields },
  );
