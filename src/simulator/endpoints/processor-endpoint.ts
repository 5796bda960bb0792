/** An endpoint that a processor token may call: it answers what the Item's endpoint answers, about the token's account only. */
import { z } from "zod";
import { bookOf, type Item } from "../item.ts";
import {
  invalidProcessorToken,
  invalidProduct,
  itemNotFound,
  permissionRevoked,
  PlaidApiError,
} from "../plaid-error.ts";
import type { ProcessorToken } from "../processors.ts";
import { endpoint, JsonMembers, type Answer, type Call, type Endpoint, type Shape } from "./endpoint.ts";

const options = z.record(z.string(), z.unknown()).nullish();

/** The client's token with its Item. @throws PlaidApiError when there is no such token, or its Item or account is gone */
export function processorTokenOf(token: string, { sim, client }: Call): { found: ProcessorToken; item: Item } {
  const found = sim.world.processors.find(token);
  if (!found || found.clientId !== client.clientId) throw invalidProcessorToken();
  const item = sim.world.items.get(found.itemId);
  if (!item || item.removed) throw itemNotFound();
  if (!bookOf(item).accounts.some((account) => account.id === found.accountId)) throw invalidProcessorToken();
  return { found, item };
}

export interface Derived {
  /** the product that the token must not lack */
  product?: string;
  /** how the Item's endpoint takes one account: in `options.account_ids`, in `options.account_id`, beside the options, or not at all */
  by?: "account_ids" | "account_id" | "beside";
  /** the fields of the request that are passed on */
  shape?: Shape;
  /** what the Item's answer becomes; `account` is the token's own */
  answer?(answer: Record<string, unknown>, account: Record<string, unknown>): Record<string, unknown>;
}

/** `/processor/…` of an endpoint of Items. */
export function processorEndpoint(path: string, of: Endpoint, derived: Derived = {}): Endpoint {
  const { product, by, shape = {}, answer = withAccount } = derived;
  const fields: Shape = { processor_token: z.string(), ...shape, ...(by ? { options } : {}) };
  return endpoint(path, fields, (body, call): Answer => {
    const { processor_token, options: asked, ...rest } = body as Record<string, unknown>;
    const { found, item } = processorTokenOf(String(processor_token), call);
    if (product !== undefined && found.products.length > 0 && !found.products.includes(product))
      throw invalidProduct(product);
    if (item.revoked) throw permissionRevoked();
    if (item.error) throw new PlaidApiError(item.error);
    const request = {
      ...without(rest, ["client_id", "secret"]),
      access_token: item.accessToken,
      ...(by ? accountAsked(by, found.accountId, asked) : {}),
    };
    const answered = of.run(of.parse(request), call, item);
    if (typeof answered !== "object") return answered;
    const plain =
      answered instanceof JsonMembers ? (JSON.parse(`{${answered.text}}`) as Record<string, unknown>) : { ...answered };
    return answer(plain, accountIn(plain, found));
  });
}

function accountAsked(by: NonNullable<Derived["by"]>, accountId: string, asked: unknown): Record<string, unknown> {
  if (by === "beside") return { account_ids: [accountId], ...(asked ? { options: asked } : {}) };
  const account = by === "account_ids" ? { account_ids: [accountId] } : { account_id: accountId };
  return { options: { ...(asked as object | null | undefined), ...account } };
}

const without = (body: Record<string, unknown>, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !fields.includes(name)));

const accountIn = ({ accounts }: Record<string, unknown>, { accountId }: ProcessorToken): Record<string, unknown> =>
  ((accounts ?? []) as Record<string, unknown>[]).find((one) => one["account_id"] === accountId) ?? {};

const withAccount = (answer: Record<string, unknown>, account: Record<string, unknown>): Record<string, unknown> => ({
  ...without(answer, ["accounts", "item"]),
  account,
});
