/**
 * Classifies Plaid's errors. The class comes from `error_type` and `error_code`, never from
 * the HTTP status (an institution that is down is a 400) and never from a message. An unknown code gets the
 * class of its type; error types and codes are open sets.
 *
 *   backoff              try again later, by itself
 *   trigger              nothing to do until Plaid sends a webhook (or a day has passed)
 *   restart              start the page loop over from its first cursor, now
 *   cursor_invalid       discard the cursor and read everything
 *   user                 the user must act, in Link's update mode
 *   item_ended           the item is gone; only a new Link brings it back
 *   product_unavailable  this item will never have this product
 *   configuration        our keys, token or request are wrong: alert the operator; the item is not the cause
 */

export type RetryClass =
  | "backoff"
  | "trigger"
  | "restart"
  | "cursor_invalid"
  | "user"
  | "item_ended"
  | "product_unavailable"
  | "configuration";

const CODES: Record<RetryClass, readonly string[]> = {
  backoff: [
    "INTERNAL_SERVER_ERROR",
    "PLANNED_MAINTENANCE",
    "INSTITUTION_DOWN",
    "INSTITUTION_NOT_RESPONDING",
    "INSTITUTION_NOT_AVAILABLE",
  ],
  trigger: [
    "PRODUCT_NOT_READY",
    "CONSUMER_REPORT_NOT_FOUND",
    "DATA_UNAVAILABLE",
    "INCOME_VERIFICATION_NOT_FOUND",
    "INCOME_VERIFICATION_FAILED",
    // A Link token lives for hours only.
    "INVALID_LINK_TOKEN",
  ],
  restart: ["TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"],
  cursor_invalid: [],
  user: [
    "ITEM_LOGIN_REQUIRED",
    "ITEM_LOCKED",
    "USER_SETUP_REQUIRED",
    "PASSWORD_RESET_REQUIRED",
    "MANUAL_VERIFICATION_REQUIRED",
    "ACCESS_NOT_GRANTED",
    "ADDITIONAL_CONSENT_REQUIRED",
    "NO_ACCOUNTS",
    "INVALID_CREDENTIALS",
    "INVALID_MFA",
    "INSUFFICIENT_CREDENTIALS",
    "INVALID_UPDATED_USERNAME",
  ],
  item_ended: [
    "ITEM_NOT_FOUND",
    "USER_NOT_FOUND",
    "USER_PERMISSION_REVOKED",
    "ITEM_CONCURRENTLY_DELETED",
    "ITEM_NOT_SUPPORTED",
    "MFA_NOT_SUPPORTED",
    "INSTITUTION_NO_LONGER_SUPPORTED",
    "UNSUPPORTED_RESPONSE",
  ],
  product_unavailable: [
    "PRODUCTS_NOT_SUPPORTED",
    // The client does not have the product.
    "INVALID_PRODUCT",
    // A consumer report can be read for a day; the next one is announced.
    "CONSUMER_REPORT_EXPIRED",
    "PRODUCT_NOT_ENABLED",
    "NO_AUTH_ACCOUNTS",
    "NO_LIABILITY_ACCOUNTS",
    "NO_INVESTMENT_ACCOUNTS",
  ],
  configuration: [
    "INVALID_API_KEYS",
    "INVALID_ACCESS_TOKEN",
    "UNAUTHORIZED_ENVIRONMENT",
    "UNAUTHORIZED_ROUTE_ACCESS",
    "MISSING_FIELDS",
    "UNKNOWN_FIELDS",
    "INVALID_FIELD",
    "INVALID_ACCOUNT_ID",
    "INVALID_WEBHOOK_VERIFICATION_KEY_ID",
    "CREDITS_EXHAUSTED",
  ],
};

const BY_CODE = new Map(
  (Object.keys(CODES) as RetryClass[]).flatMap((retryClass) => CODES[retryClass].map((code) => [code, retryClass])),
) as ReadonlyMap<string, RetryClass>;

const BY_TYPE: ReadonlyMap<string, RetryClass> = new Map([
  ["INVALID_REQUEST", "configuration"],
  ["INVALID_INPUT", "configuration"],
  // Each has a webhook that ends the wait; most of their codes last until somebody acts.
  ["CHECK_REPORT_ERROR", "trigger"],
  ["CONSUMER_REPORT_ERROR", "trigger"],
  ["CRA_REPORT_ERROR", "trigger"],
  ["INCOME_VERIFICATION_ERROR", "trigger"],
  ["ASSET_REPORT_ERROR", "trigger"],
]);

/** The retry class of a Plaid error object; an unknown error is retried with backoff. */
export function classify(errorType: string, errorCode: string): RetryClass {
  return BY_CODE.get(errorCode) ?? BY_TYPE.get(errorType) ?? "backoff";
}

/** What a 429 of Plaid's limits, as far as its code says. */
export type LimitScope = "item" | "institution" | "client";

/**
 * What a RATE_LIMIT_EXCEEDED with this code limits (https://plaid.com/docs/errors/rate-limit-exceeded/). Most codes name an
 * endpoint, for which Plaid publishes an item limit and a client limit under one code; Tartan takes it for the item limit.
 */
export function limitScope(errorCode: string): LimitScope {
  if (errorCode === "INSTITUTION_RATE_LIMIT") return "institution";
  return errorCode === "RATE_LIMIT" || errorCode.startsWith("HTTP_") ? "client" : "item";
}

export interface PlaidErrorDetails {
  errorType: string;
  errorCode: string;
  /** of OAuth items: OAUTH_INVALID_TOKEN, OAUTH_CONSENT_EXPIRED or OAUTH_USER_REVOKED */
  errorCodeReason?: string | null;
  /** Plaid's words for the user, null where there are none */
  displayMessage?: string | null;
  /** null where no answer came */
  httpStatus: number | null;
  requestId?: string | null;
  retryAfterSeconds?: number;
  /** where the request decides the class, not the code */
  retryClass?: RetryClass;
  cause?: unknown;
}

/** The code of an answer with a status of success that cannot be read. */
export const UNREADABLE_ANSWER = "UNREADABLE_ANSWER";

/**
 * A request to Plaid failed. Its text names Plaid's type and code and the request, not Plaid's `error_message`, which may
 * repeat what was sent.
 */
export class PlaidError extends Error {
  override readonly name = "PlaidError";
  readonly errorType: string;
  readonly errorCode: string;
  readonly errorCodeReason: string | null;
  readonly displayMessage: string | null;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  readonly retryAfterSeconds: number | undefined;
  readonly retryClass: RetryClass;
  /** Plaid refused because of a rate limit; waiting helps, for all requests that share the limit */
  readonly rateLimited: boolean;

  constructor(details: PlaidErrorDetails) {
    const { errorType, errorCode, requestId = null, cause } = details;
    super(
      `Plaid: ${errorType}/${errorCode}${requestId === null ? "" : ` (request ${requestId})`}`,
      cause === undefined ? undefined : { cause },
    );
    this.errorType = errorType;
    this.errorCode = errorCode;
    this.errorCodeReason = details.errorCodeReason ?? null;
    this.displayMessage = details.displayMessage ?? null;
    this.httpStatus = details.httpStatus;
    this.requestId = requestId;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.retryClass = details.retryClass ?? classify(errorType, errorCode);
    this.rateLimited = errorType === "RATE_LIMIT_EXCEEDED" && this.retryClass === "backoff";
  }
}
