/**
 * Users of Plaid's, with the items that are associated with them (https://plaid.com/docs/api/users/). /user/items/get answers for every
 * user; /user/get, which has the user's own fields, only for one who has no token. Plaid sends no webhook about a user's fields. After
 * those of reports and income the items are read again: they say what was added, and why a report could not be made.
 */
import { USER } from "./subjects.ts";
import { jsonb, text, textList, timestamptz, type Resource } from "./types.ts";

export const users: Resource = {
  name: "users",
  touchedBy: [
    { type: "CHECK_REPORT" },
    { type: "CRA_REPORT" },
    { type: "INCOME", codes: ["INCOME_VERIFICATION", "USER_INCOME_VERIFICATION", "BANK_INCOME_COMPLETE"] },
  ],
  subject: USER,
  fetch: { kind: "snapshot", endpoint: "/user/items/get", and: { user: { endpoint: "/user/get", byId: true } } },
  tables: [
    {
      name: "users",
      row: "a user; of one who has a user_token, Plaid shows no fields",
      rows: [{ at: "user", without: ["request_id", "user_id"] }],
      sensitive: {
        "identity.name": "hidden",
        "identity.date_of_birth": "hidden",
        "identity.emails.data": "hidden",
        "identity.phone_numbers.data": "hidden",
        "identity.addresses.street_1": "hidden",
        "identity.addresses.street_2": "hidden",
        "identity.id_numbers.value": "last4",
      },
      key: [],
      columns: [
        text("client_user_id"),
        timestamptz("created_at"),
        timestamptz("updated_at"),
        text("identity_name_given_name", "identity.name.given_name"),
        text("identity_name_family_name", "identity.name.family_name"),
        text("identity_date_of_birth", "identity.date_of_birth"),
        jsonb("identity_emails", "identity.emails"),
        jsonb("identity_phone_numbers", "identity.phone_numbers"),
        jsonb("identity_addresses", "identity.addresses"),
        jsonb("identity_id_numbers", "identity.id_numbers"),
      ],
    },
    {
      name: "user_items",
      row: "an item that is associated with a user, in Link or by a report",
      rows: [{ at: "items" }],
      key: ["item_id"],
      columns: [
        text("institution_id"),
        text("institution_name"),
        text("error_type", "error.error_type"),
        text("error_code", "error.error_code"),
        jsonb("error"),
        textList("products"),
        textList("billed_products"),
        textList("consented_products"),
        timestamptz("consent_expiration_time"),
        text("update_type"),
      ],
      event: {
        rows: "items of users",
        example: {
          item_id: "Ed6bjNrDLJfGvZWwnkQlfxwoNz54B5C97ejBr",
          institution_id: "ins_56",
          institution_name: "Chase",
          error: null,
          products: ["cra_base_report"],
          update_type: "background",
        },
      },
    },
  ],
};
