/**
 * Explains an item's error to the people who run Tartan and to those who support its users: what
 * is wrong, and what to do next. By code; a code without a text of its own gets that of its class.
 */
import { classify, type RetryClass } from "./errors.ts";

/** Tartan's own code: Plaid answers a token with another item, account or report than it was given for. */
export const TOKEN_OF_ANOTHER_ITEM = "token_of_another_item";

export interface Reason {
  /** what is wrong */
  message: string;
  /** what to do next; null: nothing, the error goes away by itself */
  next_step: string | null;
}

const UPDATE_MODE =
  "Send the user through Link in update mode. Then post ITEM/UPDATED, or wait for the daily check of the item.";
const LINK_AGAIN = "Ask the user to link the account again. Then unlink this item.";
const OTHER_WAY =
  "The user cannot fix this in Link now. Tartan keeps the rows and checks the item daily; contact Plaid's support or let the user link another account.";
const RIGHT_TOKEN = "Post ITEM/CREATED again with the access token that belongs to this item_id.";
const CURRENT_TOKEN =
  "Post ITEM/UPDATED with the item's current access token, as a backend that rotates tokens does. If nobody has it, it is lost: " +
  "ask the user to link the account again, then unlink this item.";
const RIGHT_PROCESSOR_TOKEN = "Add the account again with its processor_token.";

const BY_CODE: Readonly<Record<string, Reason>> = {
  [TOKEN_OF_ANOTHER_ITEM]: {
    message: "The token belongs to another item, account or report.",
    next_step: `${RIGHT_TOKEN} Where it is an asset report or the account of a processor: Add it again with its own asset_report_token or processor_token.`,
  },
  INVALID_ACCESS_TOKEN: {
    message:
      "Plaid does not accept the access token: it was replaced elsewhere, or belongs to another client or environment.",
    next_step: CURRENT_TOKEN,
  },
  INVALID_PROCESSOR_TOKEN: {
    message: "Plaid does not know the processor token, or it belongs to another client or environment.",
    next_step: RIGHT_PROCESSOR_TOKEN,
  },
  INVALID_API_KEYS: {
    message: "Plaid does not accept the integration's client id and secret.",
    next_step:
      "Correct them: `PLAID_SECRET=… npx tartan integrations update <id> --secret`, or PATCH /v1/integrations/:id.",
  },
  ITEM_LOGIN_REQUIRED: { message: "The user's login at the bank no longer works.", next_step: UPDATE_MODE },
  ITEM_LOCKED: {
    message: "The bank has locked the user's account.",
    next_step: "Ask the user to unlock the account at the bank, then send the user through Link in update mode.",
  },
  USER_SETUP_REQUIRED: {
    message: "The user must finish something at the bank first, such as accepting new terms.",
    next_step: "Ask the user to log in at the bank itself once, then send the user through Link in update mode.",
  },
  PASSWORD_RESET_REQUIRED: {
    message: "The bank wants the user to choose a new password.",
    next_step: "Ask the user to change the password at the bank, then send the user through Link in update mode.",
  },
  MANUAL_VERIFICATION_REQUIRED: {
    message: "The bank wants to verify the user itself.",
    next_step: "Ask the user to log in at the bank itself once, then send the user through Link in update mode.",
  },
  ADDITIONAL_CONSENT_REQUIRED: {
    message: "The user did not consent to the product.",
    next_step: "Send the user through Link in update mode with the product. Then post ITEM/UPDATED.",
  },
  INVALID_CREDENTIALS: { message: "The bank refused the user's login.", next_step: UPDATE_MODE },
  INSUFFICIENT_CREDENTIALS: { message: "The user did not finish logging in at the bank.", next_step: UPDATE_MODE },
  INVALID_UPDATED_USERNAME: {
    message: "The user logged in with another name than before.",
    next_step:
      "Send the user through Link in update mode with the same login, or let the user link the other one anew.",
  },
  INVALID_MFA: { message: "The bank refused the user's second factor.", next_step: UPDATE_MODE },
  NO_ACCOUNTS: { message: "The bank shows no account of the user.", next_step: UPDATE_MODE },
  ACCESS_NOT_GRANTED: { message: "The user did not grant access to the data.", next_step: UPDATE_MODE },
  ITEM_NOT_FOUND: { message: "Plaid no longer has this item: it was removed.", next_step: LINK_AGAIN },
  ITEM_CONCURRENTLY_DELETED: { message: "The item was removed at Plaid.", next_step: LINK_AGAIN },
  USER_PERMISSION_REVOKED: {
    message: "The user withdrew the permission to access the item.",
    next_step: "Delete what you hold of it where you must. Ask the user to link the account again to have it back.",
  },
  ITEM_NOT_SUPPORTED: { message: "Plaid does not support this kind of account at the bank.", next_step: OTHER_WAY },
  MFA_NOT_SUPPORTED: { message: "Plaid does not support the bank's second factor of this user.", next_step: OTHER_WAY },
  INSTITUTION_NO_LONGER_SUPPORTED: { message: "Plaid no longer supports the bank.", next_step: OTHER_WAY },
  UNSUPPORTED_RESPONSE: { message: "The bank answers Plaid in a way that Plaid cannot read.", next_step: OTHER_WAY },
  USER_NOT_FOUND: {
    message: "Plaid no longer has this user: the user was removed, or never existed in this environment.",
    next_step:
      "Erase what you hold of the user where you must. Create the user anew with /user/create to have a new user_id.",
  },
  CONSUMER_REPORT_EXPIRED: {
    message:
      "The consumer report is older than a day, and Plaid no longer shows it. The mirror keeps what it has read.",
    next_step: "Create another with /cra/check_report/create to have newer data.",
  },
  DATA_UNAVAILABLE: {
    message: "Plaid could not gather enough data for the report.",
    next_step: "See the errors of the user's items, then create the report again.",
  },
  INVALID_LINK_TOKEN: { message: "The Link token has expired.", next_step: null },
  PRODUCT_NOT_READY: { message: "Plaid is still preparing the data.", next_step: null },
  INSTITUTION_DOWN: { message: "The bank is down.", next_step: null },
  INSTITUTION_NOT_RESPONDING: { message: "The bank does not respond to Plaid.", next_step: null },
  INSTITUTION_NOT_AVAILABLE: { message: "The bank is not available to Plaid.", next_step: null },
  INTERNAL_SERVER_ERROR: { message: "Plaid failed.", next_step: null },
  PLANNED_MAINTENANCE: { message: "Plaid is under planned maintenance.", next_step: null },
};

const BY_CLASS: Readonly<Record<RetryClass, Reason>> = {
  backoff: { message: "Plaid or the bank failed.", next_step: null },
  trigger: { message: "Plaid does not have the data yet.", next_step: null },
  restart: { message: "The data changed while it was read.", next_step: null },
  cursor_invalid: { message: "Plaid no longer accepts the cursor; Tartan reads everything again.", next_step: null },
  user: { message: "The item waits for its user.", next_step: UPDATE_MODE },
  item_ended: { message: "Plaid cannot serve the item.", next_step: OTHER_WAY },
  product_unavailable: { message: "The item does not have the product.", next_step: null },
  configuration: {
    message: "Plaid refuses a request of this integration.",
    next_step: "Compare the integration's client id, secret and environment with Plaid's dashboard.",
  },
};

/** What Plaid's `error_code_reason` adds to the code, for items that are linked by OAuth. */
const BY_REASON: ReadonlyMap<string, string> = new Map([
  ["OAUTH_INVALID_TOKEN", "The bank no longer accepts the access that it granted to Plaid."],
  ["OAUTH_CONSENT_EXPIRED", "The user's consent at the bank has expired."],
  ["OAUTH_USER_REVOKED", "The user withdrew the access at the bank."],
]);

/**
 * Explains the error. `errorType` decides only where the code is unknown.
 * @param codeReason Plaid's `error_code_reason`
 */
export function explain(errorType: string, errorCode: string, codeReason: string | null = null): Reason {
  const reason =
    BY_CODE[errorCode] ??
    (errorType === "TARTAN" ? { message: "Tartan failed.", next_step: "See Tartan's log." } : null) ??
    BY_CLASS[classify(errorType, errorCode)];
  const more = BY_REASON.get(codeReason ?? "");
  return more === undefined ? reason : { ...reason, message: `${reason.message} ${more}` };
}
