/**
 * All event types, each with its description. Tartan never removes a type and never changes its meaning;
 * its data may gain fields. The types for changed rows come from the tables of the resources.
 */
import { changeType, RESOURCES } from "../resources/index.ts";
import type { ChangeEvent } from "../resources/types.ts";

const BEFORE_CHANGES = {
  "webhook.received": "Tartan accepted a webhook from Plaid or from your backend; the event carries it as it came.",
  "item.linked": "An item was linked, or its access token was replaced.",
  "link.adopted": "Tartan exchanged a public token of Plaid's webhook and linked its item.",
  "link.adoption_failed":
    "A public token of Plaid's webhook did not become an item; `reason` and `next_step` say more.",
  "item.updated": "Plaid's object of an item changed: its products, its webhook URL, its consent.",
  "item.error": "An item has an error, or another error than before; usually its user must log in again.",
  "item.repaired": "An item no longer has an error.",
  "item.consent_expiring": "An item will be disconnected soon unless its user consents again.",
  "item.new_accounts":
    "Its user has accounts at the institution that an item does not include; update mode lets the user add them.",
  "item.account_revoked": "The user withdrew the permission to access one account of an item.",
  "item.permissions_required": "The user did not grant an item a product; update mode lets the user grant it.",
  "item.data_erased":
    "The user withdrew an item or an account, and Tartan has deleted its data, as the integration's `revoked_data` says.",
  "item.duplicate_found":
    "An item has accounts that another item of the same user has too: the user seems to have linked the same login twice.",
  "item.notice_cleared":
    "What `item.consent_expiring`, `item.new_accounts`, `item.account_revoked` or `item.permissions_required` said of an item no longer holds.",
  "item.removed": "An item is no longer synced: it was unlinked or erased, or Plaid no longer has it.",
} as const;

const AFTER_CHANGES = {
  "accounts.replaced":
    "Accounts of an item were known before by other ids, which are gone: after another Link, or because the bank renamed them.",
  "subject.erased": "Something that belongs to no item, such as a payment, was erased here with all its rows.",
  "sync.completed": "A sync of an item or another subject ended without a failure; `outcome` is its result.",
  "integration.webhooks_stopped":
    "Plaid's webhooks no longer come for an integration; `cause` and `next_step` say why and what to do.",
  "integration.webhooks_resumed": "Plaid's webhooks come again for an integration for which they had stopped.",
  "integration.webhooks_expired":
    "Webhooks of an integration were dropped unproven: their verification keys could not be fetched from Plaid for days.",
  "sync.failed": "A sync of an item or another subject failed; Tartan tries it again.",
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

/** The types that are listed here and not in a resource. */
export type FixedType = keyof typeof BEFORE_CHANGES | keyof typeof AFTER_CHANGES | keyof typeof OF_THE_RELAY;
/** The types for changed rows. */
export type ChangeType = ReturnType<typeof changeType>;
export type EventType = FixedType | ChangeType;

/** A table whose changed rows are recorded as events. */
export interface ChangedTable {
  type: ChangeType;
  event: ChangeEvent;
}

/** The tables whose changed rows are recorded, in the order in which a run applies them. */
export const CHANGED_TABLES: readonly ChangedTable[] = RESOURCES.flatMap(({ tables }) =>
  tables.flatMap((table) => (table.event ? [{ type: changeType(table), event: table.event }] : [])),
);

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const OF_CHANGES = Object.fromEntries(
  CHANGED_TABLES.map(({ type, event }) => [
    type,
    `${capitalised(event.rows)} were added, modified or removed; the rows themselves are in the event, in parts of at most 100.`,
  ]),
);

/** Type → one sentence. */
export const EVENT_TYPES: Readonly<Record<string, string>> = {
  ...BEFORE_CHANGES,
  ...OF_CHANGES,
  ...AFTER_CHANGES,
  ...OF_THE_RELAY,
};

/** What an event of the type says, in one sentence. */
export const sentenceOf = (type: EventType): string => EVENT_TYPES[type] ?? "";

/** Whether the event is about Tartan itself, for its operators; a route matches such events only when it names them. */
export const isOperatorEvent = (type: string): boolean => Object.hasOwn(OF_THE_RELAY, type);
