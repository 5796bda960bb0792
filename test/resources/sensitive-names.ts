/**
 * The names under which Plaid sends what the mirror masks: numbers of accounts and those that go with them, tax ids and ids of documents,
 * what tells of people, and tokens; and where a field of such a name is none of these.
 */

const NAMES: readonly RegExp[] = [
  // numbers of accounts, alone or with the name of the network around them, and what is needed beside them
  /^(?:account|routing|wire_routing|iban|bic|sort_code|branch|payment_reference_number)$/,
  /(?:^|_)(?:account|routing|wire)_numbers?$/,
  // tax ids and ids of documents
  /^(?:tin|ssn|id_mask|taxpayer_id|documents)$/,
  /(?:^|_)(?:id|document|state)_numbers?(?:_lower)?$|_state_id$/,
  // people
  /^(?:payee|payer|by_order_of|account_owner|owner|names)$/,
  /(?:^|_)(?:first|middle|last|given|family|full|legal|verification)_name$/,
  /(?:^|\.)(?:user|employee|recipient|counterparty|owner|payer_details|refund_details|identity|extracted_data)\.name$/,
  /(?:^|_)(?:emails?|email_address(?:es)?|phones?|phone_numbers?|telephone_number|ip_address)$/,
  /(?:^|_)(?:street(?:_?\d)?|dates?_of_birth|birth_?date|birthday)$/,
  /(?:^|_)tokens?$/,
];

/** Names of what holds a value: the name before tells what it is, as in `emails.data` or `id_number.value`. */
const HOLDERS: ReadonlySet<string> = new Set(["data", "value", "full", "number"]);

/** Whether the name of a field says that its value is masked. */
export function isSensitiveName(path: readonly string[]): boolean {
  const names = [...path];
  while (names.length > 1 && HOLDERS.has(names.at(-1) ?? "")) names.pop();
  const ends = [names.at(-1) ?? "", names.slice(-2).join(".")];
  return NAMES.some((pattern) => ends.some((end) => pattern.test(end)));
}

const OF_A_FIRM = "Of a firm.";
const OF_A_MATCH = "How well it matches, in one of few words.";

/** Fields with such a name that are not masked, by their paths, and why. Behind the name of a table: there alone. */
export const NOT_SENSITIVE: Readonly<Record<string, string>> = {
  is_tokenized_account_number: "Whether the number is one that the bank made for Plaid.",
  routing_numbers: "Of the bank itself, which publishes them.",
  "employer.address.street": OF_A_FIRM,
  "entity_watchlist_screenings: search_terms.legal_name": OF_A_FIRM,
  "entity_watchlist_screening_hits: data.names.data.full": OF_A_FIRM,
  "analysis.names": OF_A_MATCH,
  "analysis.dates_of_birth": OF_A_MATCH,
  "analysis.documents": OF_A_MATCH,
  "analysis.email_addresses": OF_A_MATCH,
  "analysis.phone_numbers": OF_A_MATCH,
  "documentary_verification.documents.analysis.extracted_data.name": OF_A_MATCH,
  "documentary_verification.documents.analysis.extracted_data.date_of_birth": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.id_number": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.street": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.date_of_birth": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.first_name": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.middle_name": OF_A_MATCH,
  "documentary_verification.documents.analysis.aamva_verification.last_name": OF_A_MATCH,
  "kyc_check.address.street": OF_A_MATCH,
  "kyc_check.name.given_name": OF_A_MATCH,
  "kyc_check.name.family_name": OF_A_MATCH,
  "risk_check.email.includes_date_of_birth": OF_A_MATCH,
};
