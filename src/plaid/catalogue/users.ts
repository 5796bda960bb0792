/**
 * The webhooks about users and reports on them, and about Link sessions. Plaid's `user_id` is what /user/create answered. Some
 * webhooks of income also name the item; what is read after them is the user's.
 */
import { ITEM, USER, webhooksOf, type SubjectRule } from "./types.ts";

const ASSET_REPORT: SubjectRule = { kind: "asset_report", field: "asset_report_id" };
const LINK_SESSION: SubjectRule = { kind: "link_session", field: "link_session_id" };

const NOT_MADE = "The report was not made, so there is nothing new to read.";
const RECONNECT = "The user must connect the payroll account again; nothing new can be read before.";
const RISK_SIGNALS = "The risk signals of uploaded documents have new results.";

export const USER_WEBHOOKS = [
  ...webhooksOf("INCOME", [USER], {
    PRODUCT_READY: {
      meaning: "Plaid has calculated the income of an item.",
      about: [ITEM],
      unread: "Income is read by its user, whom this webhook does not name.",
    },
    INCOME_VERIFICATION: { meaning: "A verification of payroll or document income has a new state." },
    INCOME_VERIFICATION_RISK_SIGNALS: { meaning: RISK_SIGNALS },
    INCOME_VERIFICATION_REFRESH_RECONNECT_NEEDED: {
      meaning: "Payroll income could not be refreshed, since the user must connect the payroll account again.",
      unread: RECONNECT,
    },
    USER_INCOME_VERIFICATION: { meaning: "A verification of a user's payroll or document income has a new state." },
    USER_INCOME_VERIFICATION_RISK_SIGNALS: { meaning: RISK_SIGNALS },
    USER_INCOME_VERIFICATION_REFRESH_RECONNECT_NEEDED: {
      meaning: "A user's payroll income could not be refreshed, since the user must connect the payroll account again.",
      unread: RECONNECT,
    },
    BANK_INCOME_COMPLETE: { meaning: "A report on bank income is ready, or could not be made; `result` says which." },
    BANK_INCOME_REFRESH_UPDATE: { meaning: "Plaid noticed that the user's income changed." },
    BANK_INCOME_REFRESH_COMPLETE: {
      meaning: "A refreshed report on bank income is ready, or could not be made; `result` says which.",
    },
  }),
  ...webhooksOf("ASSETS", [ASSET_REPORT], {
    PRODUCT_READY: { meaning: "An asset report is ready." },
    ERROR: { meaning: "An asset report could not be made.", unread: NOT_MADE },
  }),
  ...webhooksOf("BASE_REPORT", [USER], {
    ERROR: { meaning: "A base report could not be made.", unread: NOT_MADE },
  }),
  ...webhooksOf("CHECK_REPORT", [USER], {
    CHECK_REPORT_READY: { meaning: "A Plaid Check report is ready, for 24 hours." },
    CHECK_REPORT_FAILED: { meaning: "A Plaid Check report could not be made; the user's items say why." },
    USER_CHECK_REPORT_READY: { meaning: "A user's Plaid Check report is ready, for 24 hours." },
    USER_CHECK_REPORT_FAILED: {
      meaning: "A user's Plaid Check report could not be made; the user's items say why.",
    },
    UPGRADE_FAILED: { meaning: "Items could not be upgraded for a Plaid Check report." },
  }),
  ...webhooksOf("CRA_REPORT", [USER], {
    CRA_REPORT_UPDATED: { meaning: "Products of a Plaid Check report were updated, or failed; the body names them." },
  }),
  ...webhooksOf("CRA_INCOME", [USER], {
    BANK_INCOME_COMPLETE: { meaning: "A Plaid Check report on bank income is ready, or could not be made." },
    ERROR: { meaning: "A Plaid Check report on bank income could not be made.", unread: NOT_MADE },
  }),
  ...webhooksOf("CRA_INSIGHTS", [USER], {
    PARTNER_INSIGHTS_COMPLETE: { meaning: "The partner insights of a user are ready." },
    PARTNER_INSIGHTS_ERROR: { meaning: "The partner insights of a user could not be made.", unread: NOT_MADE },
  }),
  ...webhooksOf("CASH_FLOW_UPDATES", [USER], {
    CASH_FLOW_INSIGHTS_UPDATED: {
      meaning: "The cash-flow insights of a user were updated; the body names what was found.",
    },
    INSIGHTS_UPDATED: { meaning: "The cash-flow insights of a user were updated.", deprecated: true },
    NSF_OVERDRAFT_DETECTED: { meaning: "A user's account was overdrawn or lacked funds.", deprecated: true },
    NEW_INCOME_STREAM_DETECTED: { meaning: "A user has a new source of income.", deprecated: true },
    EXPECTED_DEPOSIT_MISSED: { meaning: "A deposit that was expected for a user did not come.", deprecated: true },
    LOW_BALANCE_DETECTED: { meaning: "A user's balance fell below 100 dollars.", deprecated: true },
    LARGE_DEPOSIT_DETECTED: { meaning: "A user received a deposit of more than 5,000 dollars.", deprecated: true },
    NEW_LOAN_PAYMENT_DETECTED: {
      meaning: "A user made a payment to a loan that was not seen before.",
      deprecated: true,
    },
  }),
  ...webhooksOf("LINK", [LINK_SESSION], {
    SESSION_FINISHED: { meaning: "A Link session ended; the body says how, and has the public tokens." },
    ITEM_ADD_RESULT: { meaning: "A user added an item in a Link session that goes on." },
    EVENTS: { meaning: "What a user did in a Link session, with all that was sent of it before." },
  }),
  ...webhooksOf("LAYER", [LINK_SESSION], {
    LAYER_AUTHENTICATION_PASSED: { meaning: "A user proved in a Layer session that the telephone number is theirs." },
  }),
];
