/** What is masked of the owners of an account, in Plaid's form of them. */
import type { Table } from "./types.ts";

export const OWNERS: NonNullable<Table["sensitive"]> = {
  "owners.names": "hidden",
  "owners.emails.data": "hidden",
  "owners.phone_numbers.data": "hidden",
  "owners.addresses.data.street": "hidden",
};
