/** Account numbers, owners of accounts, and statements. */
import type { Meanings } from "./types.ts";

export const NUMBERS_AND_OWNERS: Meanings = {
  auth_ach: {
    account: "the account number",
    routing: "the routing number for ACH transfers",
    wire_routing: "the routing number for wire transfers",
    is_tokenized_account_number:
      "whether the bank gave a number made for Plaid, which stops working when the user withdraws access",
    can_transfer_in: "whether money can be sent to the account",
    can_transfer_out: "whether money can be debited from the account",
  },
  auth_eft: {
    account: "the account number",
    institution: "number of the bank",
    branch: "number of the branch",
  },
  auth_international: {
    iban: "the international account number",
    bic: "the bank's code for international transfers",
  },
  auth_bacs: {
    account: "the account number",
    sort_code: "number of the bank and branch",
  },
  identity_owners: {
    position:
      "the owner's place in the account's list, from 1, as text (sort by `position::int`), since Plaid gives owners no id; when one comes or goes, the others move: do not store it",
    names: "names of the owner",
    emails: "e-mail addresses, with which is the primary one",
    phone_numbers: "telephone numbers, with their kind",
    addresses: "postal addresses",
  },
  statements: {
    statement_id: "Plaid's id of the statement, with which its file is fetched",
    year: "the year that the statement is for",
    month: "the month that the statement is for, 1 to 12",
    date_posted: "when the bank issued it; null where the bank does not say",
    account_name: "name of the account",
    account_official_name: "the bank's official name of the account",
    account_type: "such as depository",
    account_subtype: "such as checking",
    account_mask: "the last characters of the account number",
  },
};
