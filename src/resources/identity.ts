/**
 * Who owns the accounts of an Item, as the bank has it (https://plaid.com/docs/api/products/identity/#identityget). An owner has no
 * id at Plaid, so its place in the account's list is its key: when an owner leaves a joint account, those behind move up. Plaid
 * says nowhere when it last fetched them: so each check reads them.
 */
import { ITEM } from "./subjects.ts";
import { jsonb, textList, type Resource } from "./types.ts";

export const identity: Resource = {
  name: "identity",
  touchedBy: [
    // The user has to agree first; until then nothing changes.
    { type: "IDENTITY", except: ["PRODUCT_PERMISSIONS_REQUIRED"] },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["identity"],
  fetch: { kind: "snapshot", endpoint: "/identity/get" },
  updatedWith: "unknown",
  tables: [
    {
      name: "identity_owners",
      row: "an owner of an account",
      rows: [{ at: "accounts[].owners", with: ["account_id"], numbered: "position" }],
      sensitive: {
        names: "hidden",
        "emails.data": "hidden",
        "phone_numbers.data": "hidden",
        "addresses.data.street": "hidden",
      },
      key: ["account_id", "position"],
      columns: [textList("names"), jsonb("emails"), jsonb("phone_numbers"), jsonb("addresses")],
      event: {
        rows: "owners of accounts",
        example: {
          account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
          position: 1,
          names: ["Alberta Bobbeth Charleson"],
          emails: [{ data: "accountholder0@example.com", primary: true, type: "primary" }],
          phone_numbers: [{ data: "2025550123", primary: false, type: "home" }],
          addresses: [
            {
              data: {
                street: "2992 Cameron Road",
                city: "Malakoff",
                region: "NY",
                postal_code: "14236",
                country: "US",
              },
              primary: true,
            },
          ],
        },
      },
    },
  ],
};
