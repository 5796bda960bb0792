/**
 * All types of events that there are, each with what it says. A type is never taken away and never changes its meaning;
 * its data may gain fields.
 */

const OF_PLAID_DATA = {
  "webhook.received": "A webhook was accepted, from Plaid or from your backend; it is passed on as it came.",
  "item.linked": "An item was linked, or its access token was replaced.",
  "item.updated": "Plaid says something else of an item than before: its products, its webhook, its consent.",
  "item.error": "An item is in an error, or in another one than before; mostly its user must log in again.",
  "item.repaired": "The error that an item was in is gone.",
  "item.consent_expiring": "An item will be disconnected soon unless its user consents again.",
  "item.removed": "An item is no longer synced: it was unlinked or erased, or Plaid no longer has it.",
  "accounts.changed": "Accounts of an item were added, modified or removed; the rows themselves are in the event.",
  "transactions.changed":
    "Transactions of an item were added, modified or removed; the rows themselves are in the event, in parts of at most 100.",
  "sync.completed": "A sync of an item ended without a failure; its outcome says what came of it.",
  "sync.failed": "A sync of an item failed; it is tried again.",
} as const;

const OF_THE_RELAY = {
  "delivery.failing": "A delivery failed several times and is still tried.",
  "delivery.exhausted": "A delivery was given up and stands in the dead letters.",
  "delivery.recovered": "A delivery that had been failing arrived.",
  "destination.opened": "A destination fails so often that its deliveries are held for a while.",
  "destination.failing":
    "A destination has done nothing but fail for 50, 70 or 90 per cent of the time after which it is disabled.",
  "destination.recovered": "A destination that had been failing takes deliveries again.",
  "destination.disabled": "A destination was disabled; its deliveries are held until it is enabled.",
  "relay.overdue": "Events or deliveries wait longer than they should.",
} as const;

/** Type → one sentence. */
export const EVENT_TYPES = { ...OF_PLAID_DATA, ...OF_THE_RELAY } as const;
export type EventType = keyof typeof EVENT_TYPES;

/** Whether the event tells of Tartan's own doing, for whoever operates it; a route takes such only when it names them. */
export const isOperatorEvent = (type: string): boolean => Object.hasOwn(OF_THE_RELAY, type);
