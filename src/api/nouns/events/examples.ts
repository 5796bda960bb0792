/**
 * One example of each event, with the same Item and destination as the other examples. A test checks each against its schema.
 */
import { CHANGED_TABLES, type ChangedTable, type EventType, type FixedType } from "../../../events/event-types.ts";
import { deliveryExample as delivery } from "../deliveries.ts";
import { destinationExample as destination } from "../destinations/shapes.ts";
import { integrationExample as integration } from "../integrations.ts";
import { runExample as run } from "../items/runs.ts";
import { adoptionExample as adoption } from "../link.ts";
import { itemExample as item } from "../items/shapes.ts";
import { explain } from "../../../plaid/reasons.ts";
import { NOTICES } from "../../../sync/life.ts";
import { ONE_OF_TWO } from "../../../sync/duplicates.ts";
import { WEBHOOK_EXAMPLE as webhook } from "../../../model/records.ts";

const plaidItem = {
  item_id: item.item_id,
  institution_id: item.institution_id,
  institution_name: item.institution_name,
  error: null,
  products: ["transactions"],
  consent_expiration_time: null,
  update_type: "background",
  status: { transactions: { last_successful_update: "2026-11-20T17:03:22Z", last_failed_update: null } },
};

const plaidError = {
  error_type: "ITEM_ERROR",
  error_code: "ITEM_LOGIN_REQUIRED",
  error_message: "the login details of this item have changed",
  display_message: null,
};

/** An event with one row that changed. */
const changed = ({ event }: ChangedTable): object => ({
  run_id: run.id,
  part: 1,
  parts: 1,
  counts: { added: 0, modified: 1, removed: 0 },
  added: [],
  modified: [event.example],
  removed: [],
});

const failedDelivery = {
  delivery_id: delivery.id,
  destination_id: destination.id,
  event_id: delivery.event_id,
  event_type: delivery.event_type,
  attempts: 3,
  cause: "status_503",
  last_status: 503,
};

const publicToken = {
  public_token_id: adoption.id,
  webhook_id: webhook.id,
  link_session_id: adoption.link_session_id,
};

/** type → the data of its example */
const DATA: Record<FixedType, object> = {
  "webhook.received": {
    webhook_id: webhook.id,
    source: webhook.source,
    webhook_type: webhook.webhook_type,
    webhook_code: webhook.webhook_code,
    received_at: webhook.received_at,
    webhook: webhook.webhook,
    body_base64: null,
    tokens_cut: false,
    verification: { jwt: "eyJhbGciOiJFUzI1NiIsImtpZCI6ImJm….eyJpYXQiOjE….MEUCIQ…", ...webhook.verification },
  },
  "item.linked": { created: true },
  "link.adopted": { ...publicToken, created: true },
  "link.adoption_failed": {
    ...publicToken,
    reason: "expired",
    error_code: "INTERNAL_SERVER_ERROR",
    message: "The public token was not exchanged within the 30 minutes that Plaid gives it.",
    next_step: "Ask the user to link the account again. last_error and Tartan's log say what held the exchange up.",
  },
  "item.updated": { changed: ["consent_expiration_time"], item: plaidItem },
  "item.error": {
    error: plaidError,
    ...explain(plaidError.error_type, plaidError.error_code),
    item: { ...plaidItem, error: plaidError },
  },
  "item.repaired": { previous_error_code: plaidError.error_code, item: plaidItem },
  "item.consent_expiring": {
    reason: "PENDING_EXPIRATION",
    consent_expiration_time: "2026-11-27T09:20:11Z",
    disconnect_time: null,
    message: "The user's consent ends at 2026-11-27 09:20 UTC; then the item gives no more data.",
    next_step: NOTICES.consent_expiring.next_step,
    item: { ...plaidItem, consent_expiration_time: "2026-11-27T09:20:11Z" },
  },
  "item.new_accounts": { item: plaidItem },
  "item.account_revoked": { account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", item: plaidItem },
  "item.permissions_required": { product: "auth", item: plaidItem },
  "item.data_erased": { reason: "account_revoked", account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp" },
  "item.duplicate_found": {
    duplicates: [
      {
        item_id: "gKr5vB8pYxHq2LmZwNd7TfJc9SaE3oXiRuVbP",
        accounts: [
          {
            account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
            other_account_id: "JJLEX5vR9yTpWmQ3KcNzH7dGoA1bUf4sYiXeZ",
            certainty: "likely",
          },
        ],
      },
    ],
    next_step: ONE_OF_TWO,
  },
  "accounts.replaced": {
    accounts: [
      {
        account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
        old_account_id: "JJLEX5vR9yTpWmQ3KcNzH7dGoA1bUf4sYiXeZ",
        old_item_id: item.item_id,
        certainty: "certain",
      },
    ],
  },
  "item.notice_cleared": {
    kind: "consent_expiring",
    by: "link_session",
    product: null,
    account_id: null,
    since: "2026-11-20T09:20:11.000Z",
    until: "2026-11-27T09:20:11.000Z",
    item: { ...plaidItem, consent_expiration_time: "2027-05-19T17:03:22Z" },
  },
  "item.removed": { reason: "unlinked", error_code: null },
  "subject.erased": { reason: "erased" },
  "integration.webhooks_stopped": {
    silent_since: "2026-11-20T10:04:11.000Z",
    usual_pause_s: 3600,
    missed: 3,
    cause: "failing",
    message: "Plaid got 503 from you at 2026-11-20T10:04:11Z.",
    next_step: "`npx tartan webhooks sent --status FAILED` lists what Plaid got.",
  },
  "integration.webhooks_resumed": {
    stopped_at: "2026-11-20T16:05:00.000Z",
    silent_since: "2026-11-20T10:04:11.000Z",
    resumed_at: "2026-11-20T17:03:29.051Z",
    webhook_id: webhook.id,
  },
  "integration.webhooks_expired": {
    webhooks: 12,
    first_received_at: "2026-11-17T16:05:00.000Z",
    last_received_at: "2026-11-17T17:03:29.051Z",
    cause: "the key could not be fetched from Plaid (INVALID_API_KEYS)",
    next_step: "Check the client id and secret of the integration and that Tartan reaches Plaid.",
  },
  "sync.completed": { run_id: run.id, outcome: run.outcome, webhooks: run.webhooks, update_info: run.update_info },
  "sync.failed": {
    run_id: run.id,
    status: "needs_user",
    attempts: 1,
    retry_at: null,
    error: {
      class: "user",
      error_type: plaidError.error_type,
      error_code: plaidError.error_code,
      message: "The user must log in again.",
      next_step:
        "Send the user through Link in update mode. Then post ITEM/UPDATED, or wait for the daily check of the item.",
      at: "2026-11-20T17:03:29.500Z",
    },
  },
  "delivery.failing": failedDelivery,
  "delivery.exhausted": { ...failedDelivery, attempts: 8 },
  "delivery.recovered": { ...failedDelivery, attempts: 4, cause: null, last_status: 200 },
  "destination.opened": {
    destination_id: destination.id,
    failures: 14,
    openings: 1,
    hold_until: "2026-11-20T17:10:30.000Z",
    last_error: "status_503",
  },
  "destination.failing": {
    destination_id: destination.id,
    percent: 50,
    failing_since: "2026-11-18T05:03:29.700Z",
    disables_at: "2026-11-23T05:03:29.700Z",
  },
  "destination.recovered": { destination_id: destination.id, failing_since: "2026-11-18T05:03:29.700Z" },
  "destination.disabled": { destination_id: destination.id, reason: "gone" },
  "relay.overdue": { outbox: 0, deliveries: 3, oldest_at: "2026-11-20T16:40:00.000Z" },
};

const CHANGES = new Map<string, object>(CHANGED_TABLES.map((table) => [table.type, changed(table)]));

/** The whole example of a type: the envelope and its data. */
export function eventExample<Type extends EventType>(type: Type) {
  const ofTartan = /^(destination|relay)\./.test(type);
  const ofIntegration = type.startsWith("integration.");
  return {
    id: delivery.event_id,
    type,
    version: 1 as const,
    occurred_at: "2026-11-20T17:03:29.500Z",
    integration_id: ofTartan ? null : integration.id,
    environment: ofTartan ? null : integration.environment,
    item_id: ofTartan || ofIntegration ? null : item.item_id,
    user_id: ofTartan || ofIntegration ? null : item.user_id,
    history: false,
    data: (CHANGES.get(type) ?? DATA[type as FixedType]) as never,
  };
}
