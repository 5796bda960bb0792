/**
 * All event types, each with its description. Tartan never removes a type and never changes its meaning;
 * its data may gain fields.
 */

const OF_PLAID_DATA = {
  "webhook.received": "Tartan accepted a webhook from Plaid or from your backend; the event carries it as it came.",
  "item.linked": "An item was linked, or its access token was replaced.",
  "item.updated": "Plaid's object of an item changed: its products, its webhook URL, its consent.",
  "item.error": "An item has an error, or another error than before; usually its user must log in again.",
  "item.repaired": "An item no longer has an error.",
  "item.consent_expiring": "An item will be disconnected soon unless its user consents again.",
  "item.removed": "An item is no longer synced: it was unlinked or erased, or Plaid no longer has it.",
  "accounts.changed": "Accounts of an item were added, modified or removed; the rows themselves are in the event.",
  "transactions.changed":
    "Transactions of an item were added, modified or removed; the rows themselves are in the event, in parts of at most 100.",
  "sync.completed": "A sync of an item ended without a failure; `outcome` is its result.",
  "sync.failed": "A sync of an item failed; Tartan tries it again.",
} as const;

const OF_THE_RELAY = {
  "delivery.failing": "A delivery failed several times; Tartan still tries it.",
  "delivery.exhausted": "A delivery was given up and is now a dead letter.",
  "delivery.recovered": "A delivery that had failed several times was delivered.",
  "destination.opened": "A destination failed so often that its circuit opened; its deliveries are held for a while.",
  "destination.failing":
    "A destination has only failed for 50, 70 or 90 per cent of the time after which Tartan disables it.",
  "destination.recovered": "A destination that had been failing accepts deliveries again.",
  "destination.disabled": "A destination was disabled; its deliveries are held until you enable it.",
  "relay.overdue": "Events or deliveries have waited too long.",
} as const;

/** Type → one sentence. */
export const EVENT_TYPES = { ...OF_PLAID_DATA, ...OF_THE_RELAY } as const;
export type EventType = keyof typeof EVENT_TYPES;

/** Whether the event is about Tartan itself, for its operators; a route matches such events only when it names them. */
export const isOperatorEvent = (type: string): boolean => Object.hasOwn(OF_THE_RELAY, type);
