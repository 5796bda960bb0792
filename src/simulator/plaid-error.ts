/**
 * Plaid's error objects, with Plaid's texts. The HTTP status says little (an outage of a bank is a 400), so
 * callers act on error_type and error_code.
 */

/** https://plaid.com/docs/errors: the content of `item.error`, of ITEM/ERROR webhooks and of error answers */
export interface ErrorFacts {
  type: string;
  code: string;
  message: string;
  display?: string;
  reason?: string;
  status?: number;
}

export class PlaidApiError extends Error {
  readonly facts: ErrorFacts;

  constructor(facts: ErrorFacts) {
    super(facts.message);
    this.facts = facts;
  }

  get status(): number {
    return this.facts.status ?? 400;
  }
}

const PAGE: Record<string, string> = {
  INVALID_REQUEST: "invalid-request-errors",
  INVALID_INPUT: "invalid-input-errors",
  ITEM_ERROR: "item-errors",
  INSTITUTION_ERROR: "institution-errors",
  RATE_LIMIT_EXCEEDED: "rate-limit-exceeded-errors",
  SANDBOX_ERROR: "sandbox-errors",
  TRANSACTIONS_ERROR: "transactions-errors",
  API_ERROR: "api-errors",
};

/** The body of an error answer, with keys in alphabetical order, as at Plaid. */
export function errorAnswer(facts: ErrorFacts, requestId: string): Record<string, unknown> {
  return {
    display_message: facts.display ?? null,
    documentation_url: `https://plaid.com/docs/?ref=error#${PAGE[facts.type] ?? "errors"}`,
    error_code: facts.code,
    ...(facts.reason === undefined ? {} : { error_code_reason: facts.reason }),
    error_message: facts.message,
    error_type: facts.type,
    request_id: requestId,
    suggested_action: null,
  };
}

/** The same error in a webhook or in `item.error`: without request_id, with the status. */
export function errorObject(facts: ErrorFacts): Record<string, unknown> {
  return {
    display_message: facts.display ?? null,
    error_code: facts.code,
    ...(facts.reason === undefined ? {} : { error_code_reason: facts.reason }),
    error_message: facts.message,
    error_type: facts.type,
    status: facts.status ?? 400,
  };
}

const fault = (type: string, code: string, message: string, more: Partial<ErrorFacts> = {}) =>
  new PlaidApiError({ type, code, message, ...more });

export const missingFields = (fields: readonly string[]) =>
  fault("INVALID_REQUEST", "MISSING_FIELDS", `the following required fields are missing: ${fields.join(", ")}`);
export const unknownFields = (fields: readonly string[]) =>
  fault(
    "INVALID_REQUEST",
    "UNKNOWN_FIELDS",
    `the following fields are not recognized by this endpoint: ${fields.join(", ")}`,
  );
export const invalidField = (message: string) => fault("INVALID_REQUEST", "INVALID_FIELD", message);
export const invalidBody = () =>
  fault("INVALID_REQUEST", "INVALID_BODY", "please ensure that the request body is formatted correctly");
/** Plaid may have the endpoint; its answer to a path that it does not know has the same type, code and status. */
export const notSimulated = (path: string) =>
  fault(
    "INVALID_REQUEST",
    "NOT_FOUND",
    `the simulator does not serve ${path}, even if the Item has the product; GET /_simulator lists what it serves`,
    { status: 404 },
  );
export const unauthorizedRoute = () =>
  fault("INVALID_INPUT", "UNAUTHORIZED_ROUTE_ACCESS", "your client ID is not authorized to access this route");
export const startTimeOutOfRange = () =>
  fault(
    "INVALID_INPUT",
    "WEBHOOK_EVENTS_START_TIME_OUT_OF_RANGE",
    "start_time is outside of the retention window of 7 days",
  );
export const cursorExpired = () =>
  fault(
    "INVALID_INPUT",
    "WEBHOOK_EVENTS_CURSOR_EXPIRED",
    "the cursor is older than the retention window of 7 days. begin again with start_time",
  );
export const invalidApiKeys = () => fault("INVALID_INPUT", "INVALID_API_KEYS", "invalid client_id or secret provided");
export const malformedAccessToken = () =>
  fault(
    "INVALID_INPUT",
    "INVALID_ACCESS_TOKEN",
    "provided access token is in an invalid format. expected format: access-<environment>-<identifier>",
  );
export const unknownAccessToken = () =>
  fault("INVALID_INPUT", "INVALID_ACCESS_TOKEN", "could not find matching access token");
export const foreignEnvironment = () =>
  fault(
    "INVALID_INPUT",
    "INVALID_ACCESS_TOKEN",
    'provided access token is for the wrong Plaid environment. expected "sandbox"',
  );
export const malformedPublicToken = () =>
  fault(
    "INVALID_INPUT",
    "INVALID_PUBLIC_TOKEN",
    "provided public token is in an invalid format. expected format: public-<environment>-<identifier>",
  );
export const unknownPublicToken = () =>
  fault("INVALID_INPUT", "INVALID_PUBLIC_TOKEN", "could not find matching public token");
export const expiredPublicToken = () =>
  fault(
    "INVALID_INPUT",
    "INVALID_PUBLIC_TOKEN",
    "provided public token is expired. Public tokens expire 30 minutes after creation at which point they can no longer be exchanged",
  );
export const invalidInstitution = () =>
  fault("INVALID_INPUT", "INVALID_INSTITUTION", "invalid institution_id provided");
export const invalidProcessorToken = () =>
  fault("INVALID_INPUT", "INVALID_PROCESSOR_TOKEN", "could not find matching processor token");
export const invalidProduct = (product: string) =>
  fault("INVALID_INPUT", "INVALID_PRODUCT", `the processor token is not authorized to access the product ${product}`);
export const invalidAccountId = () =>
  fault("INVALID_INPUT", "INVALID_ACCOUNT_ID", "one or more of the account IDs is invalid");
export const invalidStatementId = () =>
  fault("INVALID_INPUT", "INVALID_STATEMENT_ID", "the provided statement_id does not belong to this Item");
export const invalidKeyId = () =>
  fault("INVALID_INPUT", "INVALID_WEBHOOK_VERIFICATION_KEY_ID", "invalid webhook verification key id");
export const invalidLinkToken = () => fault("INVALID_INPUT", "INVALID_LINK_TOKEN", "invalid link_token provided");
export const userNotFound = () =>
  fault(
    "USER_ERROR",
    "USER_NOT_FOUND",
    "The User you requested cannot be found. This User does not exist or has had access removed by the user.",
  );
export const incomeNotFound = () =>
  fault(
    "INCOME_VERIFICATION_ERROR",
    "INCOME_VERIFICATION_NOT_FOUND",
    "the requested data was not found. Please check the ID supplied.",
  );
export const reportNotFound = () =>
  fault(
    "CONSUMER_REPORT_ERROR",
    "CONSUMER_REPORT_NOT_FOUND",
    "the consumer report you are trying to pull does not exist. please use Link to reconnect the end user and then fetch the generated report",
  );
export const reportNotReady = () =>
  fault(
    "CONSUMER_REPORT_ERROR",
    "PRODUCT_NOT_READY",
    "The consumer report you are trying to pull is not ready. Please wait for a CHECK_REPORT_READY webhook to fetch data",
  );
export const reportExpired = () => fault("CONSUMER_REPORT_ERROR", "CONSUMER_REPORT_EXPIRED", "");
export const assetReportNotReady = () =>
  fault(
    "ASSET_REPORT_ERROR",
    "PRODUCT_NOT_READY",
    "the requested asset report is not ready yet. please try again later",
  );
export const assetsNotEnabled = () =>
  fault(
    "ASSET_REPORT_ERROR",
    "PRODUCT_NOT_ENABLED",
    "the 'assets' product is not enabled for all of the access tokens",
  );
export const invalidAssetReportToken = () =>
  fault("INVALID_INPUT", "INVALID_ASSET_REPORT_TOKEN", "could not find matching asset report token");
export const itemNotFound = () =>
  fault(
    "ITEM_ERROR",
    "ITEM_NOT_FOUND",
    "The Item you requested cannot be found. This Item does not exist, has been previously removed via /item/remove, or has had access removed by the user.",
  );
export const permissionRevoked = () => new PlaidApiError({ ...REVOKED, type: "INVALID_INPUT" });
export const productNotReady = () =>
  fault(
    "ITEM_ERROR",
    "PRODUCT_NOT_READY",
    "the requested product is not yet ready. please provide a webhook or try the request again later",
  );
export const productsNotSupported = (product: string) =>
  fault(
    "ITEM_ERROR",
    "PRODUCTS_NOT_SUPPORTED",
    `the following products are not supported by this institution: ["${product}"]`,
  );
export const additionalConsentRequired = (product: string) =>
  fault(
    "INVALID_INPUT",
    "ADDITIONAL_CONSENT_REQUIRED",
    `client does not have user consent to access the PRODUCT_${product.toUpperCase()} product`,
  );
/** `kind` as it stands in the code: NO_INVESTMENT_ACCOUNTS */
export const noAccountsOf = (kind: "investment" | "liability" | "auth") =>
  fault(
    "ITEM_ERROR",
    `NO_${kind.toUpperCase()}_ACCOUNTS`,
    `There are no valid ${kind} account(s) associated with this Item. See https://plaid.com/docs/api/#item-errors for more information.`,
  );
export const institutionDown = () =>
  fault(
    "INSTITUTION_ERROR",
    "INSTITUTION_DOWN",
    "this institution is not currently responding to this request. please try again soon",
    {
      display:
        "This financial institution is not currently responding to requests. We apologize for the inconvenience.",
    },
  );
export const mutationDuringPagination = () =>
  fault(
    "TRANSACTIONS_ERROR",
    "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION",
    "Underlying transaction data changed since last page was fetched. Please restart pagination from last update.",
  );
export const cursorNotAssociated = () => invalidField("cursor not associated with access_token");
export const internalServerError = (status = 500) =>
  fault("API_ERROR", "INTERNAL_SERVER_ERROR", "an unexpected error occurred", { status });
export const rateLimited = (code: string, scope: "item" | "client") =>
  fault(
    "RATE_LIMIT_EXCEEDED",
    code,
    scope === "item"
      ? "rate limit exceeded for attempts to access this item. please try again later"
      : "rate limit exceeded for this client. please try again later",
    { status: 429 },
  );
export const sandboxWebhookInvalid = () =>
  fault(
    "SANDBOX_ERROR",
    "SANDBOX_WEBHOOK_INVALID",
    "Webhook for this item is either not set up, or invalid. Please update the item's webhook and try again.",
  );
export const sandboxProductNotEnabled = (product: string) =>
  fault("SANDBOX_ERROR", "SANDBOX_PRODUCT_NOT_ENABLED", `The ${product} product is not enabled on this item`);

/** The error of a revoked Item in `item.error` and in its webhook; requests get the same with type INVALID_INPUT. */
export const REVOKED: ErrorFacts = {
  type: "ITEM_ERROR",
  code: "USER_PERMISSION_REVOKED",
  message: "the holder of this account has revoked their permission for your application to access it",
};

/** The errors that an Item keeps until its user acts, by error code. */
export const ITEM_ERRORS = {
  ITEM_LOGIN_REQUIRED: {
    type: "ITEM_ERROR",
    code: "ITEM_LOGIN_REQUIRED",
    message:
      "the login details of this item have changed (credentials, MFA, or required user action) and a user login is required to update this information. use Link's update mode to restore the item to a good state",
    display: "The user's account credentials need to be updated.",
  },
  ITEM_LOCKED: {
    type: "ITEM_ERROR",
    code: "ITEM_LOCKED",
    message: "this account has been locked due to too many unsuccessful login attempts",
    display: "The user's account is locked. Unlock it at the institution, then try again.",
  },
  USER_SETUP_REQUIRED: {
    type: "ITEM_ERROR",
    code: "USER_SETUP_REQUIRED",
    message: "the account has not been fully set up. prompt the user to visit the issuing institution's site",
    display: "The user must finish setting up the account at the institution.",
  },
  PASSWORD_RESET_REQUIRED: {
    type: "ITEM_ERROR",
    code: "PASSWORD_RESET_REQUIRED",
    message: "the account's password must be reset. prompt the user to reset it on the issuing institution's site",
    display: "The user must reset the account's password at the institution.",
  },
  ACCESS_NOT_GRANTED: {
    type: "ITEM_ERROR",
    code: "ACCESS_NOT_GRANTED",
    message: "access to this product was not granted for the account",
    display: "The user did not grant the access that is needed.",
  },
  NO_ACCOUNTS: {
    type: "ITEM_ERROR",
    code: "NO_ACCOUNTS",
    message: "no valid accounts were found for this item",
    display: "No valid accounts were found at the financial institution.",
  },
  INSTITUTION_NO_LONGER_SUPPORTED: {
    type: "INSTITUTION_ERROR",
    code: "INSTITUTION_NO_LONGER_SUPPORTED",
    message: "this institution is no longer supported",
    display: "This financial institution is no longer supported.",
  },
} as const satisfies Record<string, ErrorFacts>;

export type ItemErrorCode = keyof typeof ITEM_ERRORS;
export const ITEM_ERROR_CODES = Object.keys(ITEM_ERRORS) as [ItemErrorCode, ...ItemErrorCode[]];
