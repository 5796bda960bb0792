/** The errors that a login in the Sandbox can end with, with Plaid's texts. */
import { ITEM_ERRORS, PlaidApiError, type ErrorFacts } from "../plaid-error.ts";

const INVALID_CREDENTIALS: ErrorFacts = {
  type: "ITEM_ERROR",
  code: "INVALID_CREDENTIALS",
  message: "the provided credentials were not correct",
  display: "The provided credentials were not correct. Please try again.",
};

/** The errors that a login can end with, by the code that user_custom forces or that stands in `error_<CODE>`. */
export const LOGIN_ERRORS: Readonly<Record<string, ErrorFacts>> = {
  ...ITEM_ERRORS,
  INVALID_CREDENTIALS,
  INVALID_MFA: {
    type: "ITEM_ERROR",
    code: "INVALID_MFA",
    message: "the provided MFA response(s) were not correct",
    display: "The provided MFA responses were not correct. Please try again.",
  },
  ITEM_NOT_SUPPORTED: {
    type: "ITEM_ERROR",
    code: "ITEM_NOT_SUPPORTED",
    message: "this account is currently not supported",
    display: "The given account is not currently supported for this financial institution.",
  },
  MFA_NOT_SUPPORTED: {
    type: "ITEM_ERROR",
    code: "MFA_NOT_SUPPORTED",
    message: "this account requires a MFA type that we do not currently support for the institution",
    display: "The multi-factor security features enabled on this account are not currently supported.",
  },
  USER_INPUT_TIMEOUT: {
    type: "ITEM_ERROR",
    code: "USER_INPUT_TIMEOUT",
    message: "user must retry this operation",
    display: "The application timed out waiting for user input.",
  },
  INSTITUTION_NOT_RESPONDING: {
    type: "INSTITUTION_ERROR",
    code: "INSTITUTION_NOT_RESPONDING",
    message: "this institution is not currently responding to this request. please try again soon",
    display: "This financial institution is not currently responding to requests. Please try again later.",
  },
  RECAPTCHA_BAD: {
    type: "RECAPTCHA_ERROR",
    code: "RECAPTCHA_BAD",
    message: "the provided challenge response was denied. please try again",
  },
  PLAID_ERROR: { type: "API_ERROR", code: "PLAID_ERROR", message: "an unexpected error occurred", status: 500 },
};

/** the reason is the simulator's; Plaid says no more than the first sentence */
export const invalidCredentials = (reason: string) =>
  new PlaidApiError({ ...INVALID_CREDENTIALS, message: `${INVALID_CREDENTIALS.message}: ${reason}` });
