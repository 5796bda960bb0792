/**
 * What an error that a reading met means for the run.
 */
import { PlaidError } from "../plaid/errors.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import type { Resource } from "../resources/types.ts";
import { ForeignToken, Limited } from "./ask.ts";
import type { Failure } from "./types.ts";

/** By this Plaid refuses one product that the user did not consent to; the item itself is well. */
const NO_CONSENT = "ADDITIONAL_CONSENT_REQUIRED";

export function failureOf(error: unknown, { products }: Resource): Failure {
  if (error instanceof ForeignToken) {
    return { class: "configuration", errorType: "TARTAN", errorCode: TOKEN_OF_ANOTHER_ITEM, message: error.message };
  }
  if (error instanceof Limited) {
    return { class: "limited", errorType: "", errorCode: "", message: error.message, retryInMs: error.waitMs };
  }
  if (!(error instanceof PlaidError)) throw error;
  const { errorType, errorCode, message, retryAfterSeconds } = error;
  const retryClass = products && errorCode === NO_CONSENT ? "product_unavailable" : error.retryClass;
  const failure: Failure = { class: retryClass, errorType, errorCode, message };
  return retryAfterSeconds === undefined ? failure : { ...failure, retryInMs: retryAfterSeconds * 1000 };
}
