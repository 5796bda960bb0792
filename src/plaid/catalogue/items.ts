/** The webhooks about an item itself: Plaid's, your backend's and Tartan's own (https://plaid.com/docs/api/items/#webhooks). */
import { ITEM, webhooksOf } from "./types.ts";

export const ITEM_WEBHOOKS = webhooksOf("ITEM", [ITEM], {
  ERROR: { meaning: "The item has an error; usually its user must log in again.", effect: "error" },
  LOGIN_REPAIRED: {
    meaning: "The item works again, although its user did not go through update mode with you.",
    effect: "repaired",
  },
  NEW_ACCOUNTS_AVAILABLE: {
    meaning: "The user has an account at the institution that the item does not include yet.",
    effect: "new_accounts",
  },
  PENDING_DISCONNECT: {
    meaning:
      "The institution will disconnect the item in a week unless its user goes through update mode (US and Canada).",
    effect: "disconnect_pending",
  },
  PENDING_EXPIRATION: {
    meaning: "The user's consent ends in a week unless the user renews it (Europe and the United Kingdom).",
    effect: "consent_expiring",
  },
  USER_PERMISSION_REVOKED: {
    meaning: "The user withdrew the permission to access the item.",
    effect: "permission_revoked",
  },
  USER_ACCOUNT_REVOKED: {
    meaning: "The user withdrew the permission to access one account of the item.",
    effect: "account_revoked",
  },
  WEBHOOK_UPDATE_ACKNOWLEDGED: {
    meaning: "The item's webhook URL was changed; Plaid sends this to the new one.",
    effect: "webhook_url_changed",
    alsoSentAs: ["UPDATE_ACKNOWLEDGED"],
  },
  AUTHORIZATION_GRANTED: {
    meaning:
      "Plaid's Sandbox can send it about an item, and Plaid's API does not describe it; Tartan reads the item again.",
  },
  CREATED: {
    meaning: "Your backend links the item: it posts the item's access token.",
    sender: "BACKEND",
    effect: "linked",
  },
  UPDATED: {
    meaning: "Your backend says that the item changed, as after update mode; Tartan reads all of it.",
    sender: "BACKEND",
    effect: "updated",
  },
  GAP_FOUND: {
    meaning: "Reconciliation found a difference from Plaid that no webhook had announced.",
    sender: "RECONCILER",
  },
  USER_LOGGED_IN: {
    meaning: "A listener received a login of the item's user to your application; Tartan reads all of the item.",
    sender: "FROM_LISTENER",
  },
});
