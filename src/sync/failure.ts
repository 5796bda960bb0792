/**
 * What an error that a reading met means for the run.
 */
import { PlaidError, UNREADABLE_ANSWER } from "../plaid/errors.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { rootTable } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import { ForeignToken, Limited } from "./ask.ts";
import type { Failure } from "./types.ts";

/** By this Plaid refuses one product that the user did not consent to; the item itself is well. */
const NO_CONSENT = "ADDITIONAL_CONSENT_REQUIRED";

/** By this Plaid refuses a request of a product that the client does not have. Of the subject's own row it means that the keys are wrong. */
const NO_PRODUCT = "UNAUTHORIZED_ROUTE_ACCESS";

/** Plaid answered, so it may have billed the request, and would answer an hourly one alike: the next webhook, or a day, brings the next try. */
const isBilledAnswer = ({ errorCode }: PlaidError, { billed }: Resource): boolean =>
  billed !== undefined && errorCode === UNREADABLE_ANSWER;

function classOf(error: PlaidError, resource: Resource): PlaidError["retryClass"] {
  const { errorCode, retryClass } = error;
  if (isBilledAnswer(error, resource)) return "trigger";
  const isProduct = resource.products !== undefined || resource.billed !== undefined;
  if (isProduct && errorCode === NO_CONSENT) return "product_unavailable";
  return errorCode === NO_PRODUCT && rootTable(resource) === undefined ? "product_unavailable" : retryClass;
}

export function failureOf(error: unknown, resource: Resource): Failure {
  if (error instanceof ForeignToken) {
    return { class: "configuration", errorType: "TARTAN", errorCode: TOKEN_OF_ANOTHER_ITEM, message: error.message };
  }
  if (error instanceof Limited) {
    return { class: "limited", errorType: "", errorCode: "", message: error.message, retryInMs: error.waitMs };
  }
  if (!(error instanceof PlaidError)) throw error;
  const { errorType, errorCode, errorCodeReason: reason, message, retryAfterSeconds } = error;
  const failure: Failure = {
    class: classOf(error, resource),
    errorType,
    errorCode,
    message,
    ...(reason !== null && { reason }),
  };
  return retryAfterSeconds === undefined ? failure : { ...failure, retryInMs: retryAfterSeconds * 1000 };
}
