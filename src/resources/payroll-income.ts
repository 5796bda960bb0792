/**
 * Payroll income of a user, from payroll accounts and from uploaded documents
 * (https://plaid.com/docs/api/products/income/#creditpayroll_incomeget). Pay stubs and forms have an id of their document at most, and a
 * document may hold several: their place in the answer tells them apart, the newest first. So a new pay stub moves the others.
 */
import { USER } from "./subjects.ts";
import { date, jsonb, numeric, text, timestamptz, type Resource, type Table } from "./types.ts";

/** Where the documents of one kind are, and whose they are. */
const documentsAt = (name: string) =>
  [
    {
      at: `items[].payroll_income[].${name}`,
      with: ["account_id", "items[].item_id"],
      numbered: "position",
      numberedWithin: "items[]",
    },
  ] as const;

const DOCUMENT: NonNullable<Table["sensitive"]> = {
  // Files are often named after their user.
  "document_metadata.name": "hidden",
  // It opens the document.
  "document_metadata.download_url": "hidden",
};

const EMPLOYEE: NonNullable<Table["sensitive"]> = {
  "employee.name": "hidden",
  "employee.address.street": "hidden",
  "employee.taxpayer_id.id_mask": "last4",
  ...DOCUMENT,
};

const payStubs: Table = {
  name: "pay_stubs",
  row: "a pay stub: what an employer paid for one period, and in the year so far",
  rows: documentsAt("pay_stubs"),
  sensitive: EMPLOYEE,
  key: ["item_id", "position"],
  columns: [
    text("account_id"),
    text("document_id"),
    text("document_metadata_name", "document_metadata.name"),
    text("document_metadata_status", "document_metadata.status"),
    text("employer_name", "employer.name"),
    text("employee_name", "employee.name"),
    text("employee_taxpayer_id_id_mask", "employee.taxpayer_id.id_mask"),
    date("pay_period_details_pay_date", "pay_period_details.pay_date"),
    date("pay_period_details_start_date", "pay_period_details.start_date"),
    date("pay_period_details_end_date", "pay_period_details.end_date"),
    text("pay_period_details_pay_frequency", "pay_period_details.pay_frequency"),
    numeric("pay_period_details_gross_earnings", "pay_period_details.gross_earnings"),
    numeric("earnings_total_current_amount", "earnings.total.current_amount"),
    numeric("earnings_total_ytd_amount", "earnings.total.ytd_amount"),
    numeric("earnings_total_hours", "earnings.total.hours"),
    numeric("deductions_total_current_amount", "deductions.total.current_amount"),
    numeric("deductions_total_ytd_amount", "deductions.total.ytd_amount"),
    numeric("net_pay_current_amount", "net_pay.current_amount"),
    numeric("net_pay_ytd_amount", "net_pay.ytd_amount"),
    text("net_pay_iso_currency_code", "net_pay.iso_currency_code"),
    jsonb("earnings_breakdown", "earnings.breakdown"),
    jsonb("deductions_breakdown", "deductions.breakdown"),
  ],
  event: {
    rows: "pay stubs",
    example: {
      item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
      account_id: "GeooLPBGDEunl54q7N3ZcyD5aLPLEai1nkzM9",
      position: 1,
      document_id: "2jkflanbd",
      employer: { name: "Plaid Inc", address: { city: "San Francisco", region: "CA" } },
      earnings: { total: { current_amount: 4542.13, ytd_amount: 41_520 } },
      net_pay: { current_amount: 3201.33, ytd_amount: 29_840, iso_currency_code: "USD" },
      pay_period_details: { pay_date: "2026-11-13", pay_frequency: "BIWEEKLY", gross_earnings: 4542.13 },
    },
  },
};

const w2s: Table = {
  name: "w2s",
  row: "a form W-2: what an employer paid in a year",
  rows: documentsAt("w2s"),
  sensitive: {
    ...EMPLOYEE,
    employer_id_number: "last4",
    "state_and_local_wages.employer_state_id_number": "last4",
  },
  key: ["item_id", "position"],
  columns: [
    text("account_id"),
    text("document_id"),
    text("tax_year"),
    text("employer_name", "employer.name"),
    text("employer_id_number"),
    text("employee_name", "employee.name"),
    text("employee_taxpayer_id_id_mask", "employee.taxpayer_id.id_mask"),
    // Plaid writes the sums of this form as text.
    text("wages_tips_other_comp"),
    text("federal_income_tax_withheld"),
    text("social_security_wages"),
    text("social_security_tax_withheld"),
    text("medicare_wages_and_tips"),
    text("medicare_tax_withheld"),
    jsonb("box_12"),
    jsonb("state_and_local_wages"),
  ],
  event: {
    rows: "forms W-2",
    example: {
      item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
      account_id: "GeooLPBGDEunl54q7N3ZcyD5aLPLEai1nkzM9",
      position: 1,
      document_id: "1pkflebk4",
      tax_year: "2025",
      employer: { name: "Plaid Inc" },
      wages_tips_other_comp: "117 500.00",
      federal_income_tax_withheld: "18 000.00",
    },
  },
};

const form1099s: Table = {
  name: "form_1099s",
  row: "a form 1099: what somebody else than an employer paid in a year",
  rows: documentsAt("form1099s"),
  sensitive: {
    "recipient.name": "hidden",
    "recipient.address.street": "hidden",
    "recipient.tin": "last4",
    "recipient.account_number": "last4",
    // A payer may be a person.
    "payer.address.street": "hidden",
    "payer.tin": "last4",
    "payer.telephone_number": "hidden",
    payer_state_number: "last4",
    payer_state_number_lower: "last4",
    "filer.address.street": "hidden",
    "filer.tin": "last4",
    pse_telephone_number: "hidden",
    primary_state_id: "last4",
    secondary_state_id: "last4",
    ...DOCUMENT,
  },
  key: ["item_id", "position"],
  columns: [
    text("account_id"),
    text("document_id"),
    text("form_1099_type"),
    text("tax_year"),
    text("payer_name", "payer.name"),
    text("payer_tin", "payer.tin"),
    text("filer_name", "filer.name"),
    text("recipient_name", "recipient.name"),
    text("recipient_tin", "recipient.tin"),
    numeric("nonemployee_compensation"),
    numeric("other_income"),
    numeric("rents"),
    numeric("royalties"),
    numeric("gross_amount"),
    numeric("federal_income_tax_withheld"),
  ],
  event: {
    rows: "forms 1099",
    example: {
      item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
      account_id: null,
      position: 1,
      document_id: "mvMZ59Z2a5",
      form_1099_type: "FORM_1099_TYPE_MISC",
      tax_year: "2025",
      nonemployee_compensation: 1200,
    },
  },
};

export const payrollIncome: Resource = {
  name: "payroll_income",
  touchedBy: [
    {
      type: "INCOME",
      codes: ["INCOME_VERIFICATION", "USER_INCOME_VERIFICATION"],
    },
  ],
  subject: USER,
  fetch: { kind: "snapshot", endpoint: "/credit/payroll_income/get", none: ["INCOME_VERIFICATION_NOT_FOUND"] },
  tables: [
    {
      name: "payroll_items",
      row: "an item that pay stubs and forms are from: a login at a payroll provider, or uploaded documents",
      rows: [{ at: "items", without: ["accounts", "payroll_income"] }],
      key: ["item_id"],
      columns: [
        text("institution_id"),
        text("institution_name"),
        text("status_processing_status", "status.processing_status"),
        timestamptz("updated_at"),
      ],
    },
    {
      name: "payroll_accounts",
      row: "an account at a payroll provider, with the rate of pay; uploaded documents have one without id",
      rows: [{ at: "items[].accounts", with: ["item_id"], numbered: "position" }],
      key: ["item_id", "position"],
      columns: [
        text("account_id"),
        numeric("rate_of_pay_pay_amount", "rate_of_pay.pay_amount"),
        text("rate_of_pay_pay_rate", "rate_of_pay.pay_rate"),
        text("pay_frequency"),
      ],
    },
    payStubs,
    w2s,
    form1099s,
  ],
};
