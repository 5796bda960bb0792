/** POST /processor/…: tokens for partners, and what they read with them. */
import { z } from "zod";
import { loginOf } from "../custom/login.ts";
import { bookOf, type Item } from "../item.ts";
import { linkItem } from "../link.ts";
import { invalidAccountId, invalidInstitution, itemNotFound, unknownAccessToken } from "../plaid-error.ts";
import { processorTokenUpdated } from "../webhooks/notices.ts";
import { accountsBalanceGet } from "./accounts-balance-get.ts";
import { accountsGet } from "./accounts-get.ts";
import { authGet } from "./auth-get.ts";
import { endpoint, type Call, type Endpoint } from "./endpoint.ts";
import { identityGet } from "./identity-get.ts";
import { investmentsHoldingsGet } from "./investments-holdings-get.ts";
import { investmentsTransactionsGet } from "./investments-transactions-get.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { liabilitiesGet } from "./liabilities-get.ts";
import { processorEndpoint, processorTokenOf } from "./processor-endpoint.ts";
import { transactionsGet } from "./transactions-get.ts";
import { transactionsRecurringGet } from "./transactions-recurring-get.ts";
import { transactionsRefresh } from "./transactions-refresh.ts";
import { transactionsSync } from "./transactions-sync.ts";

const token = { processor_token: z.string() };
const days = { start_date: z.string(), end_date: z.string() };
const SANDBOX_DAYS = 90;

export const PROCESSORS: readonly Endpoint[] = [
  endpoint(
    "/processor/token/create",
    { access_token: z.string(), account_id: z.string(), processor: z.string().min(1) },
    ({ access_token, account_id, processor }, call) => {
      const item = itemOf(access_token, call);
      if (!bookOf(item).accounts.some((account) => account.id === account_id)) throw invalidAccountId();
      const { processors } = call.sim.world;
      return { processor_token: processors.create(call.client.clientId, item.itemId, account_id, processor).token };
    },
  ),
  endpoint(
    "/sandbox/processor_token/create",
    {
      institution_id: z.string(),
      options: z
        .strictObject({ override_username: z.string().nullish(), override_password: z.string().nullish() })
        .optional(),
    },
    ({ institution_id, options }, { sim, client }) => {
      const institution = sim.world.institution(institution_id);
      if (!institution) throw invalidInstitution();
      const item = linkItem(sim, {
        clientId: client.clientId,
        institution,
        products: ["auth", "identity", "transactions"].filter((one) => institution.products.includes(one)),
        webhook: null,
        userId: null,
        login: loginOf(options?.override_username, options?.override_password),
        days: SANDBOX_DAYS,
      });
      const [account] = bookOf(item).accounts;
      if (!account) throw invalidAccountId();
      return {
        processor_token: sim.world.processors.create(client.clientId, item.itemId, account.id, "sandbox").token,
      };
    },
  ),
  endpoint("/processor/token/permissions/set", { ...token, products: z.array(z.string()) }, (body, call) => {
    processorTokenOf(body.processor_token, call).found.products = body.products;
    return {};
  }),
  endpoint("/processor/token/permissions/get", token, ({ processor_token }, call) => ({
    products: processorTokenOf(processor_token, call).found.products,
  })),
  endpoint("/processor/token/webhook/update", { ...token, webhook: webhookUrl.nullable() }, (body, call) => {
    const { found } = processorTokenOf(body.processor_token, call);
    found.webhook = body.webhook;
    if (body.webhook !== null)
      call.sim.notifyClient(found.clientId, processorTokenUpdated(found.accountId, body.webhook), body.webhook);
    return {};
  }),
  processorEndpoint("/processor/account/get", accountsGet, {
    answer: ({ item }, account) => ({
      account,
      institution_id: (item as { institution_id: string }).institution_id,
    }),
  }),
  processorEndpoint("/processor/balance/get", accountsBalanceGet, { product: "balance", by: "account_ids" }),
  processorEndpoint("/processor/auth/get", authGet, {
    product: "auth",
    answer: ({ numbers }, account) => ({ account, numbers: numbersOf(numbers, account) }),
  }),
  processorEndpoint("/processor/identity/get", identityGet, {
    product: "identity",
    answer: (_, account) => ({ account }),
  }),
  processorEndpoint("/processor/transactions/sync", transactionsSync, {
    product: "transactions",
    by: "account_id",
    shape: { cursor: z.string().nullish(), count: z.int().min(1).max(500).optional() },
  }),
  processorEndpoint("/processor/transactions/get", transactionsGet, {
    product: "transactions",
    by: "account_ids",
    shape: days,
  }),
  processorEndpoint("/processor/transactions/refresh", transactionsRefresh, {
    product: "transactions",
    answer: () => ({}),
  }),
  processorEndpoint("/processor/transactions/recurring/get", transactionsRecurringGet, {
    product: "recurring_transactions",
    by: "beside",
    // It is the one answer without the account.
    answer: (answer) => answer,
  }),
  processorEndpoint("/processor/liabilities/get", liabilitiesGet, {
    product: "liabilities",
    answer: ({ liabilities }, account) => ({ account, liabilities: ownIn(liabilities, account) }),
  }),
  processorEndpoint("/processor/investments/holdings/get", investmentsHoldingsGet, {
    product: "investments",
    answer: (answer, account) => {
      const holdings = (answer["holdings"] as Row[]).filter((one) => one["account_id"] === account["account_id"]);
      const ids = new Set(holdings.map((one) => one["security_id"]));
      return {
        account,
        holdings,
        is_investments_fallback_item: answer["is_investments_fallback_item"],
        securities: (answer["securities"] as Row[]).filter((one) => ids.has(one["security_id"])),
      };
    },
  }),
  processorEndpoint("/processor/investments/transactions/get", investmentsTransactionsGet, {
    product: "investments",
    by: "account_ids",
    shape: days,
  }),
];

type Row = Record<string, unknown>;

function itemOf(accessToken: string, { sim, client }: Call): Item {
  const item = sim.world.itemByToken(accessToken);
  if (!item || item.clientId !== client.clientId) throw unknownAccessToken();
  if (item.removed) throw itemNotFound();
  return item;
}

/** Of each network's list, the numbers of this account, or null. */
const numbersOf = (numbers: unknown, account: Row): Row =>
  Object.fromEntries(Object.entries(ownIn(numbers, account)).map(([network, rows]) => [network, rows?.[0] ?? null]));

/** Each list of rows without those of other accounts; null where none is left. */
const ownIn = (lists: unknown, account: Row): Record<string, Row[] | null> =>
  Object.fromEntries(
    Object.entries(lists as Record<string, Row[] | null>).map(([name, rows]) => {
      const own = (rows ?? []).filter((one) => one["account_id"] === account["account_id"]);
      return [name, own.length > 0 ? own : null];
    }),
  );
