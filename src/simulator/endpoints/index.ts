/** Every call of Plaid's API that the simulator answers. */
import { accountsBalanceGet } from "./accounts-balance-get.ts";
import { accountsGet } from "./accounts-get.ts";
import { ASSET_REPORTS } from "./asset-reports.ts";
import { CREDIT_INCOME } from "./credit-income.ts";
import { authGet } from "./auth-get.ts";
import type { Endpoint } from "./endpoint.ts";
import { identityGet } from "./identity-get.ts";
import { institutionsGetById } from "./institutions-get-by-id.ts";
import { institutionsGet } from "./institutions-get.ts";
import { investmentsHoldingsGet } from "./investments-holdings-get.ts";
import { ISSUES } from "./issues.ts";
import { investmentsTransactionsGet } from "./investments-transactions-get.ts";
import { itemAccessTokenInvalidate } from "./item-access-token-invalidate.ts";
import { itemGet } from "./item-get.ts";
import { itemPublicTokenExchange } from "./item-public-token-exchange.ts";
import { itemRemove } from "./item-remove.ts";
import { itemWebhookUpdate } from "./item-webhook-update.ts";
import { liabilitiesGet } from "./liabilities-get.ts";
import { linkTokenCreate } from "./link-token-create.ts";
import { linkTokenGet } from "./link-token-get.ts";
import { partnerCustomerOauthInstitutionsGet } from "./partner-customers.ts";
import { IDENTITY_VERIFICATION } from "./identity-verification.ts";
import { PAYMENT_CONSENTS } from "./payment-consents.ts";
import { PAYMENT_INITIATION } from "./payment-initiation.ts";
import { PROCESSORS } from "./processors.ts";
import { PLAID_CHECK } from "./plaid-check.ts";
import { RECURRING_TRANSFERS } from "./recurring-transfers.ts";
import { sandboxItemFireWebhook } from "./sandbox-item-fire-webhook.ts";
import { sandboxItemResetLogin } from "./sandbox-item-reset-login.ts";
import { sandboxItemSetVerificationStatus } from "./sandbox-item-set-verification-status.ts";
import { sandboxPublicTokenCreate } from "./sandbox-public-token-create.ts";
import { sandboxTransactionsCreate } from "./sandbox-transactions-create.ts";
import { statementsDownload } from "./statements-download.ts";
import { statementsList } from "./statements-list.ts";
import { statementsRefresh } from "./statements-refresh.ts";
import { TRANSFERS } from "./transfers.ts";
import { sandboxUserResetLogin } from "./sandbox-user-reset-login.ts";
import { transactionsGet } from "./transactions-get.ts";
import { transactionsRecurringGet } from "./transactions-recurring-get.ts";
import { transactionsRefresh } from "./transactions-refresh.ts";
import { transactionsSync } from "./transactions-sync.ts";
import { USERS } from "./users.ts";
import { WATCHLIST_SCREENING } from "./watchlist-screening.ts";
import { WALLETS } from "./wallets.ts";
import { webhookEventsList } from "./webhook-events.ts";
import { webhookVerificationKeyGet } from "./webhook-verification-key-get.ts";

export const ENDPOINTS: readonly Endpoint[] = [
  accountsBalanceGet,
  accountsGet,
  authGet,
  identityGet,
  institutionsGet,
  institutionsGetById,
  investmentsHoldingsGet,
  investmentsTransactionsGet,
  itemAccessTokenInvalidate,
  itemGet,
  itemPublicTokenExchange,
  itemRemove,
  itemWebhookUpdate,
  liabilitiesGet,
  linkTokenCreate,
  linkTokenGet,
  sandboxItemFireWebhook,
  sandboxItemResetLogin,
  sandboxItemSetVerificationStatus,
  sandboxPublicTokenCreate,
  sandboxTransactionsCreate,
  sandboxUserResetLogin,
  statementsDownload,
  statementsList,
  statementsRefresh,
  transactionsGet,
  transactionsRecurringGet,
  transactionsRefresh,
  transactionsSync,
  webhookEventsList,
  webhookVerificationKeyGet,
  ...ISSUES,
  partnerCustomerOauthInstitutionsGet,
  ...PAYMENT_CONSENTS,
  ...PAYMENT_INITIATION,
  ...PROCESSORS,
  ...USERS,
  ...CREDIT_INCOME,
  ...PLAID_CHECK,
  ...ASSET_REPORTS,
  ...RECURRING_TRANSFERS,
  ...TRANSFERS,
  ...WALLETS,
  ...IDENTITY_VERIFICATION,
  ...WATCHLIST_SCREENING,
];
