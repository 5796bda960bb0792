/** Account numbers, owners of accounts, and statements. */
import type { Meanings } from "./types.ts";

export const NUMBERS_AND_OWNERS: Meanings = {
  auth_ach: {
    account: "the account number; masked unless revealed",
    routing: "the routing number for ACH transfers; masked unless revealed",
    wire_routing: "the routing number for wire transfers; masked unless revealed",
    is_tokenized_account_number:
      "whether the bank gave a number made for Plaid, which stops working when the user withdraws access",
    can_transfer_in: "whether money can be sent to the account",
    can_transfer_out: "whether money can be debited from the account",
  },
  auth_eft: {
    account: "the account number; masked unless revealed",
    institution: "number of the bank",
    branch: "number of the branch; masked unless revealed",
  },
  auth_international: {
    iban: "the international account number; masked unless revealed",
    bic: "the bank's code for international transfers; masked unless revealed",
  },
  auth_bacs: {
    account: "the account number; masked unless revealed",
    sort_code: "number of the bank and branch; masked unless revealed",
  },
  identity_owners: {
    position: "the owner's place in the account's list, from 1; owners have no id at Plaid",
    names: "names of the owner; masked unless revealed",
    emails: "e-mail addresses, with which is the primary one; masked unless revealed",
    phone_numbers: "telephone numbers, with their kind; masked unless revealed",
    addresses: "postal addresses; streets are masked unless revealed",
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
