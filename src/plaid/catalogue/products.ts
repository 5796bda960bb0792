/**
 * The webhooks about the data of an item's products. Where Plaid sends them to a processor partner, they name the account of
 * its processor token instead of the item.
 */
import { ITEM, PROCESSOR_ACCOUNT, webhooksOf } from "./types.ts";

export const PRODUCT_WEBHOOKS = [
  ...webhooksOf("TRANSACTIONS", [ITEM, PROCESSOR_ACCOUNT], {
    SYNC_UPDATES_AVAILABLE: {
      meaning: "There are changes of transactions that /transactions/sync has not returned yet.",
    },
    INITIAL_UPDATE: { meaning: "The transactions of the last 30 days are ready." },
    HISTORICAL_UPDATE: { meaning: "The whole history of transactions is ready." },
    DEFAULT_UPDATE: { meaning: "Plaid found new transactions." },
    TRANSACTIONS_REMOVED: { meaning: "Transactions no longer exist; the body names them." },
    RECURRING_TRANSACTIONS_UPDATE: { meaning: "Recurring payments or deposits were found, or changed." },
  }),
  ...webhooksOf("AUTH", [ITEM], {
    DEFAULT_UPDATE: { meaning: "Account or routing numbers changed, or there are new ones." },
    AUTOMATICALLY_VERIFIED: { meaning: "Automated micro-deposits verified an account." },
    VERIFICATION_EXPIRED: { meaning: "Micro-deposits did not verify an account in time." },
    SMS_MICRODEPOSITS_VERIFICATION: { meaning: "A verification by text message and micro-deposit has a new state." },
    PRODUCT_PERMISSIONS_REQUIRED: {
      meaning: "The user did not grant access to account numbers.",
      effect: "permissions_required",
    },
  }),
  ...webhooksOf("IDENTITY", [ITEM], {
    DEFAULT_UPDATE: { meaning: "What the institution knows of an account's owners changed." },
    PRODUCT_PERMISSIONS_REQUIRED: {
      meaning: "The user did not grant access to the owners' data.",
      effect: "permissions_required",
    },
  }),
  ...webhooksOf("HOLDINGS", [ITEM], {
    DEFAULT_UPDATE: { meaning: "An investment account holds something else than before, or prices changed." },
  }),
  ...webhooksOf("INVESTMENTS_TRANSACTIONS", [ITEM], {
    DEFAULT_UPDATE: { meaning: "An investment account has new or cancelled transactions." },
    HISTORICAL_UPDATE: { meaning: "The history of investment transactions is ready." },
  }),
  ...webhooksOf("LIABILITIES", [ITEM], {
    DEFAULT_UPDATE: { meaning: "A loan or credit account is new, or its terms changed." },
  }),
  ...webhooksOf("STATEMENTS", [ITEM], {
    STATEMENTS_REFRESH_COMPLETE: { meaning: "A refresh of the statements ended; `result` says whether it succeeded." },
  }),
  ...webhooksOf("PROCESSOR_TOKEN", [PROCESSOR_ACCOUNT], {
    WEBHOOK_UPDATE_ACKNOWLEDGED: {
      meaning: "The webhook URL of a processor token was changed; Plaid sends this to the new one.",
    },
  }),
];
