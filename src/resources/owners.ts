/** What is masked of people, where Plaid names them in one form in several answers. */
import type { Table } from "./types.ts";

/** Of the owners of an account. */
export const OWNERS: NonNullable<Table["sensitive"]> = {
  "owners.names": "hidden",
  "owners.emails.data": "hidden",
  "owners.phone_numbers.data": "hidden",
  "owners.addresses.data.street": "hidden",
};

/** Of the people whom banks name in a few transactions: who has the card, and the parties of a transfer. */
export const PARTIES: NonNullable<Table["sensitive"]> = {
  account_owner: "hidden",
  "payment_meta.payee": "hidden",
  "payment_meta.payer": "hidden",
  "payment_meta.by_order_of": "hidden",
};
