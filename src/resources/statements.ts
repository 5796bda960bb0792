/**
 * The statements that an Item's accounts have at Plaid (https://plaid.com/docs/api/products/statements/#statementslist), without their
 * files, which Tartan fetches on request and does not keep. Plaid announces the end of a refresh, but no new statement by itself:
 * so each check reads the list.
 */
import { ITEM } from "./subjects.ts";
import { date, numeric, text, type Resource } from "./types.ts";

export const statements: Resource = {
  name: "statements",
  touchedBy: [
    { type: "STATEMENTS" },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["statements"],
  fetch: { kind: "snapshot", endpoint: "/statements/list" },
  updatedWith: "unknown",
  tables: [
    {
      name: "statements",
      row: "a statement of an account for a month",
      rows: [
        {
          at: "accounts[].statements",
          with: [
            "account_id",
            "account_name",
            "account_official_name",
            "account_type",
            "account_subtype",
            "account_mask",
          ],
        },
      ],
      key: ["statement_id"],
      columns: [
        text("account_id"),
        numeric("year"),
        numeric("month"),
        date("date_posted"),
        text("account_name"),
        text("account_official_name"),
        text("account_type"),
        text("account_subtype"),
        text("account_mask"),
      ],
      event: {
        rows: "statements",
        example: {
          statement_id: "vzeNDwK7KQIm4yEog683uElbp9GRLEFXGK98D",
          account_id: "3gE5gnRzNyfXpBK5wEEKcymJ5albGVUqg77gr",
          year: 2026,
          month: 10,
          date_posted: "2026-11-03",
          account_name: "Plaid Saving",
          account_official_name: "Plaid Silver Standard 0.1% Interest Saving",
          account_type: "depository",
          account_subtype: "savings",
          account_mask: "1111",
        },
      },
    },
  ],
};
