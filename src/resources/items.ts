/**
 * Items: a user's login at an institution, its health and its products (https://plaid.com/docs/api/items/#itemget).
 * What is wrong with an Item is always what /item/get says, never what a webhook said.
 */
import { ANNOUNCEMENTS, itemEvents } from "./item-events.ts";
import { INSTITUTION, ITEM } from "./subjects.ts";
import { jsonb, text, textList, timestamptz, type Resource } from "./types.ts";

export const items: Resource = {
  name: "items",
  touchedBy: [
    { type: "ITEM" },
    { type: "AUTH", codes: ["PRODUCT_PERMISSIONS_REQUIRED"] },
    { type: "IDENTITY", codes: ["PRODUCT_PERMISSIONS_REQUIRED"] },
  ],
  subject: ITEM,
  fetch: { kind: "snapshot", endpoint: "/item/get" },
  tables: [
    {
      name: "items",
      row: "an item and its state",
      rows: [{ at: "item", with: ["status"] }],
      key: [],
      columns: [
        text("institution_id"),
        text("institution_name"),
        text("webhook"),
        text("auth_method"),
        text("error_type", "error.error_type"),
        text("error_code", "error.error_code"),
        jsonb("error"),
        textList("available_products"),
        textList("billed_products"),
        textList("products"),
        textList("consented_products"),
        textList("consented_use_cases"),
        textList("consented_data_scopes"),
        timestamptz("consent_expiration_time"),
        text("update_type"),
        timestamptz("created_at"),
        timestamptz("status_transactions_last_successful_update", "status.transactions.last_successful_update"),
        timestamptz("status_transactions_last_failed_update", "status.transactions.last_failed_update"),
        timestamptz("status_investments_last_successful_update", "status.investments.last_successful_update"),
        timestamptz("status_investments_last_failed_update", "status.investments.last_failed_update"),
        timestamptz("status_last_webhook_sent_at", "status.last_webhook.sent_at"),
        text("status_last_webhook_code_sent", "status.last_webhook.code_sent"),
      ],
      given: ["user_id", "next_step"],
      references: [{ column: "institution_id", subject: INSTITUTION, staleHours: 24 }],
      summary: { institution_id: { value: "institution_id" } },
    },
  ],
  conditionAt: "error",
  productsAt: ["products", "billed_products"],
  announcedBy: ANNOUNCEMENTS,
  derivedEvents: itemEvents,
};
