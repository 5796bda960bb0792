/**
 * Account numbers of an Item, one table for each payment network (https://plaid.com/docs/api/products/auth/#authget). Plaid may
 * replace numbers that a bank has tokenized, and says so. An account whose verification by micro-deposits is not finished has
 * none. Plaid says nowhere when it last fetched them: so each check reads them.
 */
import { ITEM } from "./subjects.ts";
import { boolean, text, type Resource } from "./types.ts";

export const auth: Resource = {
  name: "auth",
  touchedBy: [
    // The user has to agree first; until then nothing changes.
    { type: "AUTH", except: ["PRODUCT_PERMISSIONS_REQUIRED"] },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["auth"],
  fetch: { kind: "snapshot", endpoint: "/auth/get", none: ["NO_AUTH_ACCOUNTS"] },
  updatedWith: "unknown",
  tables: [
    {
      name: "auth_ach",
      row: "the ACH numbers of an account in the United States",
      rows: [{ at: "numbers.ach" }],
      sensitive: { account: "last4", routing: "last4", wire_routing: "last4" },
      key: ["account_id"],
      columns: [
        text("account"),
        text("routing"),
        text("wire_routing"),
        boolean("is_tokenized_account_number"),
        boolean("can_transfer_in"),
        boolean("can_transfer_out"),
      ],
      event: {
        rows: "ACH numbers of accounts",
        example: {
          account_id: "vzeNDwK7KQIm4yEog683uElbp9GRLEFXGK98D",
          account: "9900009606",
          routing: "011401533",
          wire_routing: "021000021",
          is_tokenized_account_number: false,
        },
      },
    },
    {
      name: "auth_eft",
      row: "the EFT numbers of an account in Canada",
      rows: [{ at: "numbers.eft" }],
      sensitive: { account: "last4", branch: "last4" },
      key: ["account_id"],
      columns: [text("account"), text("institution"), text("branch")],
      event: {
        rows: "EFT numbers of accounts",
        example: {
          account_id: "vzeNDwK7KQIm4yEog683uElbp9GRLEFXGK98D",
          account: "111122223333",
          institution: "021",
          branch: "01140",
        },
      },
    },
    {
      name: "auth_international",
      row: "the IBAN of an account",
      rows: [{ at: "numbers.international" }],
      sensitive: { iban: "last4", bic: "last4" },
      key: ["account_id"],
      columns: [text("iban"), text("bic")],
      event: {
        rows: "IBANs of accounts",
        example: {
          account_id: "vzeNDwK7KQIm4yEog683uElbp9GRLEFXGK98D",
          iban: "GB29NWBK60161331926819",
          bic: "NWBKGB21",
        },
      },
    },
    {
      name: "auth_bacs",
      row: "the BACS numbers of an account in the United Kingdom",
      rows: [{ at: "numbers.bacs" }],
      sensitive: { account: "last4", sort_code: "last4" },
      key: ["account_id"],
      columns: [text("account"), text("sort_code")],
      event: {
        rows: "BACS numbers of accounts",
        example: {
          account_id: "vzeNDwK7KQIm4yEog683uElbp9GRLEFXGK98D",
          account: "31926819",
          sort_code: "601613",
        },
      },
    },
  ],
};
