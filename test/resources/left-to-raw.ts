/**
 * What Plaid has of a row and no column holds, by table: the path of the field, or of the object around several, and why. It stays in
 * `raw`.
 */
import { baseTableOf, PROCESSOR_RESOURCES } from "../../src/resources/processor.ts";

const OF_ACCOUNTS = "Of the account rather than its balances, and free of charge from /accounts/get.";
const CUMULATIVE = "Sums of shorter periods; the transactions of the report have the same.";
const ON_PAPER = "How the document was read, for showing it to people.";
const ADDRESS = "The street and city of a document, for showing it to people.";
const RARE_BOX = "A box of the form that is seldom filled.";
const DEPRECATED = "Deprecated at Plaid.";
const FOR_MAPS = "For maps rather than queries.";
const PAYMENT_META = "Of transfers only, and not filled by most banks.";
const INSIGHTS = "Figures in a hundred fields that Plaid still changes.";
const SCORE_DETAILS = "What a score is made from; the score itself has a column.";
const REPORTED_PLACE = "In reports the name and the amount matter; transactions of items have the place.";

const SENTENCES = "Type and code have columns; the rest are sentences for people.";

const CHECK_DETAILS = "What a check compared; its summary has a column.";
const HIT_DETAILS = "What the list says of the person or company, for a review by people; how it matched has columns.";

/** The same of every transaction in a report. */
const OF_REPORTED = {
  category: DEPRECATED,
  category_id: DEPRECATED,
  transaction_type: DEPRECATED,
  check_number: "The name of the transaction has it.",
  date_transacted: "Deprecated at Plaid in favour of the date.",
  location: REPORTED_PLACE,
  account_owner: "Of cards with several owners only.",
} as const;

const OF_TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  transactions: {
    "location.address": FOR_MAPS,
    "location.lat": FOR_MAPS,
    "location.lon": FOR_MAPS,
    "location.store_number": "The merchant's own number of a shop.",
    "payment_meta.ppd_id": PAYMENT_META,
    "payment_meta.by_order_of": PAYMENT_META,
    "payment_meta.payment_method": PAYMENT_META,
    "payment_meta.payment_processor": PAYMENT_META,
    "payment_meta.reason": PAYMENT_META,
    personal_finance_category_icon_url: "An address that depends on the primary category alone.",
    business_finance_category: "Only for clients to which Plaid gives this taxonomy.",
    client_customization: "Only for clients with their own rules.",
  },
  recurring_streams: {
    "last_amount.iso_currency_code": "That of the average has a column.",
    "personal_finance_category.version": "Which list of categories it is from.",
  },
  balances: {
    mask: OF_ACCOUNTS,
    name: OF_ACCOUNTS,
    official_name: OF_ACCOUNTS,
    verification_status: OF_ACCOUNTS,
    verification_name: OF_ACCOUNTS,
    verification_insights: OF_ACCOUNTS,
    persistent_account_id: OF_ACCOUNTS,
    holder_category: OF_ACCOUNTS,
    apy: OF_ACCOUNTS,
  },
  institutions: {
    auth_metadata: "Which methods of Auth it supports: for pages before Link.",
    payment_initiation_metadata: "Which payments it supports: for pages before Link.",
  },
  user_items: {
    webhook: "plaid.items has it.",
    auth_method: "plaid.items has it.",
    available_products: "plaid.items has it.",
  },
  pay_stubs: {
    document_metadata: ON_PAPER,
    "deductions.total": "The sum of the deductions, which have a column.",
    "earnings.total": "The sum of the earnings, which have a column.",
    "employee.address": ADDRESS,
    "employee.marital_status": "Seldom on a pay stub.",
    "employee.taxpayer_id": "Parts of a masked number.",
    "employer.address": ADDRESS,
    "net_pay.description": "A label on the paper.",
    pay_period_details: "The period has columns; how it was paid out is of few pay stubs.",
  },
  w2s: {
    document_metadata: ON_PAPER,
    "employer.address": ADDRESS,
    "employee.address": ADDRESS,
    "employee.marital_status": "Not on the form.",
    "employee.taxpayer_id": "Parts of a masked number.",
    social_security_tips: RARE_BOX,
    allocated_tips: RARE_BOX,
    box_9: RARE_BOX,
    dependent_care_benefits: RARE_BOX,
    nonqualified_plans: RARE_BOX,
    statutory_employee: RARE_BOX,
    retirement_plan: RARE_BOX,
    third_party_sick_pay: RARE_BOX,
    other: RARE_BOX,
  },
  form_1099s: {
    document_metadata: ON_PAPER,
    recipient: "Who it is for is that of the user; name and number have columns.",
    payer: "Name and number have columns.",
    filer: "Name and number have columns.",
    fishing_boat_proceeds: RARE_BOX,
    medical_and_healthcare_payments: RARE_BOX,
    substitute_payments_in_lieu_of_dividends_or_interest: RARE_BOX,
    payer_made_direct_sales_of_5000_or_more_of_consumer_products_to_buyer: RARE_BOX,
    crop_insurance_proceeds: RARE_BOX,
    excess_golden_parachute_payments: RARE_BOX,
    gross_proceeds_paid_to_an_attorney: RARE_BOX,
    section_409a_deferrals: RARE_BOX,
    section_409a_income: RARE_BOX,
    state_tax_withheld: RARE_BOX,
    state_tax_withheld_lower: RARE_BOX,
    payer_state_number: RARE_BOX,
    payer_state_number_lower: RARE_BOX,
    state_income: RARE_BOX,
    state_income_lower: RARE_BOX,
    transactions_reported: RARE_BOX,
    pse_name: RARE_BOX,
    pse_telephone_number: RARE_BOX,
    card_not_present_transaction: RARE_BOX,
    merchant_category_code: RARE_BOX,
    number_of_payment_transactions: RARE_BOX,
    ...Object.fromEntries(
      "january february march april may june july august september october november december"
        .split(" ")
        .map((month) => [`${month}_amount`, "The sum of the year has a column."]),
    ),
    primary_state: RARE_BOX,
    secondary_state: RARE_BOX,
    primary_state_id: RARE_BOX,
    secondary_state_id: RARE_BOX,
    primary_state_income_tax: RARE_BOX,
    secondary_state_income_tax: RARE_BOX,
  },
  payroll_risk_signals: { "document_reference.file_type": ON_PAPER },
  bank_income_reports: {
    "bank_income_summary.income_categories_count": "How many kinds of income there are: a count over the sources.",
    "bank_income_summary.historical_summary": "The months are rows of plaid.bank_income_months.",
  },
  cra_base_reports: { attributes: CUMULATIVE },
  cra_base_report_accounts: {
    "balances.limit": "Of credit accounts, which a base report seldom has.",
    "balances.last_updated_datetime": "Known for few banks.",
    "balances.average_monthly_balances": "A list of months.",
    "balances.most_recent_thirty_day_average_balance": "The average over the report has a column.",
    metadata: "The days that the report covers, which the report has.",
    attributes: CUMULATIVE,
  },
  cra_base_report_transactions: {
    ...OF_REPORTED,
    "personal_finance_category.confidence_level": "The category has columns.",
    "personal_finance_category.version": "The category has columns.",
  },
  cra_income_insights: { bank_income_summary: "Sums of the sources, which are rows of plaid.cra_income_sources." },
  cra_income_accounts: {
    metadata: "The days that the report covers, which the report has.",
    official_name: "The name has a column.",
  },
  cra_income_sources: {
    forecasted_average_monthly_income_prediction_intervals: "Bounds of a forecast, which has a column.",
    "income_provider.is_normalized": "How the name was found.",
  },
  cra_income_streams: {
    "insights.income_provider.is_normalized": "How the name was found.",
    "income_metrics.current.annual.gross_income": "Twelve times the month.",
    "income_metrics.projected": "A forecast in four figures.",
  },
  cra_verification_reports: { gse_reference_id: "A token, masked in raw." },
  cra_voa_reports: { attributes: CUMULATIVE },
  cra_voa_transactions: {
    ...OF_REPORTED,
    "personal_finance_category.confidence_level": "The category has columns.",
    "personal_finance_category.version": "The category has columns.",
  },
  cra_verification_income_accounts: { metadata: "The days that the report covers, which the report has." },
  cra_verification_income_streams: {
    "insights.income_provider.is_normalized": "How the name was found.",
    "income_metrics.current.annual.gross_income": "Twelve times the month.",
  },
  cra_partner_insights: {
    "fico.lender_application_id": "Your own id of the application.",
    "fico.report_characteristics": SCORE_DETAILS,
    prism: SCORE_DETAILS,
  },
  asset_reports: {
    insights: INSIGHTS,
    "user.middle_name": "What you said of the user yourself.",
    "user.phone_number": "What you said of the user yourself.",
    "user.email": "What you said of the user yourself.",
  },
  asset_report_accounts: {
    account_insights: INSIGHTS,
    "balances.margin_loan_amount": "Of margin accounts only.",
    "balances.last_updated_datetime": "Known for few banks.",
    verification_status: "plaid.accounts has it.",
    persistent_account_id: "plaid.accounts has it.",
  },
  asset_report_transactions: {
    ...OF_REPORTED,
    payment_meta: PAYMENT_META,
    pending_transaction_id: "A report is of one moment.",
    income_source_id: "Joins the income in reports with that product.",
  },
  transfers: {
    "user.address": "What you said of the user yourself.",
    wire_details: "Of wires only.",
    guarantee_decision_rationale: "Of guaranteed transfers only.",
    guarantee_details: "Of guaranteed transfers only.",
    expected_sweep_settlement_schedule: "A list of days.",
  },
  recurring_transfers: {
    test_clock_id: "Of the Sandbox only.",
    "user.address": "What you said of the user yourself.",
  },
  originators: { client_id: "It is the key, under the name that other answers have for it." },
  payments: {
    "refund_details.name": "The account to which a refund goes, masked in raw.",
    "refund_details.iban": "The account to which a refund goes, masked in raw.",
    "refund_details.bacs": "The account to which a refund goes, masked in raw.",
    error: SENTENCES,
  },
  wallet_transactions: {
    "counterparty.address": "What you said of the counterparty yourself.",
    "counterparty.date_of_birth": "What you said of the counterparty yourself.",
    "counterparty.holder_category": "Known of few counterparties.",
    "counterparty.is_verified": "Known of few counterparties.",
    error: SENTENCES,
  },
  cra_monitoring_insights: {
    "insights.loans.loan_payment_merchants_counts.current_count":
      "Plaid's document and SDK disagree on the name of the field.",
  },
  identity_verifications: {
    "user.ip_address": "Where the user was, for a review by people.",
    "user.address": "Streets of people, masked in raw; the rest of the address has columns.",
    "documentary_verification.documents": "Each document that the user showed, for a review by people.",
    "selfie_check.selfies": "Each picture, for a review by people.",
    "kyc_check.address": CHECK_DETAILS,
    "kyc_check.name": CHECK_DETAILS,
    "kyc_check.date_of_birth": CHECK_DETAILS,
    "kyc_check.phone_number": CHECK_DETAILS,
    risk_check: CHECK_DETAILS,
    verify_sms: CHECK_DETAILS,
    latest_scored_protect_event: "Of Protect, which few clients have.",
    beacon_user_id: "Of Beacon, which is deprecated.",
    user_id: "Of clients with Plaid's users; client_user_id is yours.",
  },
  watchlist_screening_hits: { data: HIT_DETAILS },
  entity_watchlist_screening_hits: { data: HIT_DETAILS },
  link_sessions: {
    "exit.error": SENTENCES,
    "exit.metadata": "Where the user left has columns; the rest is ids of Link.",
    results: "The items that were added are rows; other results are of few flows.",
  },
};

/** What a processor reads has the columns of what is read of an item. */
const OF_PROCESSORS = PROCESSOR_RESOURCES.flatMap(({ tables }) =>
  tables.map(({ name }) => [name, OF_TABLES[baseTableOf(name)] ?? {}] as const),
);

export const LEFT_TO_RAW: typeof OF_TABLES = { ...OF_TABLES, ...Object.fromEntries(OF_PROCESSORS) };

/** A field that is left to raw wherever it is. */
export const LEFT_EVERYWHERE: Readonly<Record<string, string>> = {
  unofficial_currency_code:
    "Of amounts in a currency that ISO 4217 does not have; tables of money that people add up have it.",
};

/**
 * Tables with a key of which Plaid's document says that a field may be absent, and why it is the key all the same. A row without it is
 * listed as one that could not be stored.
 */
export const LOOSE_KEYS: Readonly<Record<string, string>> = {
  partner_oauth_institutions: "The document requires no field of the object.",
  bank_income_reports: "The document requires no field of the object.",
  bank_income_sources: "The document requires no field of the object.",
  bank_income_months: "The document requires no field of the object.",
  cra_income_insights: "The document requires no field of the object.",
  cra_income_accounts: "The document requires no field of the object.",
  cra_income_sources: "The document requires no field of the object.",
  cra_partner_insights: "The document requires no field of the object.",
};
