/**
 * The payroll income of a user (https://plaid.com/docs/api/products/income/#creditpayroll_incomeget): for each payroll account the
 * pay stubs of a job, newest first, and the tax forms of the years before; and uploaded documents, which have no account.
 */
import { dayText, momentText } from "../days.ts";
import type { Random } from "../random.ts";
import { addressData, dollars, employerName, fullName, lastFour, USD, type Person } from "./american.ts";

type Plain = Record<string, unknown>;

/** One job: what all its pay stubs and forms agree on. */
interface Job {
  employer: { name: string; address: ReturnType<typeof addressData> };
  employee: Plain;
  /** cents of one pay period before deductions */
  gross: number;
  /** the day of the newest pay stub */
  paidOn: number;
}

export interface PayrollItem {
  itemId: string;
  institutionId: string;
  institutionName: string;
  /** null: the documents were uploaded */
  accountId: string | null;
  job: Job;
  payStubs: Plain[];
  w2s: Plain[];
  form1099s: Plain[];
  risk: Plain[];
  updatedAt: number;
}

const PERIOD_DAYS = 14;

/** @param day the day of the newest pay stub */
export function drawPayroll(random: Random, someone: Person, day: number, now: number, uploaded: boolean): PayrollItem {
  const employee = {
    address: addressData(random),
    marital_status: random.pick(["SINGLE", "MARRIED"]),
    name: fullName(someone),
    taxpayer_id: { id_mask: lastFour(random), id_type: "SSN" },
  };
  const job = {
    employer: { name: employerName(random), address: addressData(random) },
    employee,
    gross: random.between(1_500_00, 6_000_00),
    paidOn: day - PERIOD_DAYS * random.between(2, 4),
  };
  const item: PayrollItem = {
    itemId: random.id(),
    institutionId: uploaded ? "ins_document" : "ins_92",
    institutionName: uploaded ? "Document upload" : "ADP",
    accountId: uploaded ? null : random.id(),
    job,
    payStubs: [],
    w2s: [],
    form1099s: [],
    risk: [],
    updatedAt: now,
  };
  addPayStubs(item, random, random.between(1, 3), now);
  const year = new Date(day * 86_400_000).getUTCFullYear() - 1;
  item.w2s.push(w2Of(job, random, year));
  if (uploaded || random.chance(0.5)) item.form1099s.push(form1099Of(job, random, year));
  if (uploaded) item.risk.push(...[...item.payStubs, ...item.w2s].map((document) => riskOf(document, random)));
  return item;
}

/** A new pay stub for each period that follows. */
export function addPayStubs(item: PayrollItem, random: Random, count: number, now: number): void {
  for (let n = 0; n < count; n += 1) {
    item.job.paidOn += PERIOD_DAYS;
    item.payStubs.unshift(payStubOf(item.job, random));
  }
  item.updatedAt = now;
}

function payStubOf({ employer, employee, gross, paidOn }: Job, random: Random): Plain {
  const periods = Math.ceil(
    (paidOn - Date.parse(`${dayText(paidOn).slice(0, 4)}-01-01`) / 86_400_000 + 1) / PERIOD_DAYS,
  );
  const tax = Math.round(gross * 0.22);
  const [ytd, taxYtd] = [gross * periods, tax * periods];
  const of = (cents: number, ytdCents: number) => ({
    current_amount: dollars(cents),
    ytd_amount: dollars(ytdCents),
    ...USD,
  });
  return {
    deductions: { breakdown: [{ description: "Federal tax", ...of(tax, taxYtd) }], total: of(tax, taxYtd) },
    ...documentOf(random, `paystub-${dayText(paidOn)}.pdf`, "PAYSTUB"),
    earnings: {
      breakdown: [
        { canonical_description: "REGULAR PAY", description: "Regular", hours: 80, rate: null, ...of(gross, ytd) },
      ],
      total: { hours: 80, ...of(gross, ytd) },
    },
    employee,
    employer,
    net_pay: { description: "Net pay", ...of(gross - tax, ytd - taxYtd) },
    pay_period_details: {
      distribution_breakdown: [
        {
          account_name: "Checking",
          bank_name: "First Platypus Bank",
          current_amount: dollars(gross - tax),
          mask: "0000",
          type: "checking",
          ...USD,
        },
      ],
      end_date: dayText(paidOn - 1),
      gross_earnings: dollars(gross),
      pay_amount: dollars(gross - tax),
      pay_basis: "SALARY",
      pay_date: dayText(paidOn),
      pay_frequency: "BIWEEKLY",
      start_date: dayText(paidOn - PERIOD_DAYS),
      ...USD,
    },
  };
}

const documentOf = (random: Random, name: string, type: string): Plain => ({
  document_id: random.id(),
  document_metadata: {
    document_type: type,
    download_url: null,
    name,
    page_count: 1,
    status: "DOCUMENT_STATUS_PROCESSING_COMPLETE",
  },
});

/** Plaid's CreditW2: all sums are texts. */
function w2Of({ employer, employee, gross }: Job, random: Random, year: number): Plain {
  const wages = gross * 26;
  const share = (part: number): string => String(dollars(wages * part));
  return {
    ...documentOf(random, `w2-${year}.pdf`, "US_TAX_W2"),
    allocated_tips: null,
    box_12: [{ amount: share(0.05), code: "D" }],
    box_9: null,
    dependent_care_benefits: null,
    employee,
    employer,
    employer_id_number: `12-${random.between(1_000_000, 9_999_999)}`,
    federal_income_tax_withheld: share(0.15),
    medicare_tax_withheld: share(0.0145),
    medicare_wages_and_tips: share(1),
    nonqualified_plans: null,
    other: null,
    retirement_plan: "true",
    social_security_tax_withheld: share(0.062),
    social_security_tips: null,
    social_security_wages: share(1),
    state_and_local_wages: [
      {
        employer_state_id_number: "A12345",
        local_income_tax: null,
        local_wages_tips: null,
        locality_name: null,
        state: employer.address.region,
        state_income_tax: share(0.04),
        state_wages_tips: share(1),
      },
    ],
    statutory_employee: "false",
    tax_year: String(year),
    third_party_sick_pay: "false",
    wages_tips_other_comp: share(1),
  };
}

/** Plaid's Credit1099 */
function form1099Of({ employer, employee }: Job, random: Random, year: number): Plain {
  return {
    ...documentOf(random, `1099-${year}.pdf`, "US_TAX_1099"),
    federal_income_tax_withheld: 0,
    filer: {
      address: employer.address,
      name: employer.name,
      tin: `98-${random.between(1_000_000, 9_999_999)}`,
      type: null,
    },
    form_1099_type: "FORM_1099_TYPE_MISC",
    nonemployee_compensation: random.between(500, 9000),
    payer: { address: employer.address, name: employer.name, telephone_number: null, tin: `98-${lastFour(random)}321` },
    recipient: {
      account_number: `AC${random.between(10_000, 99_999)}`,
      address: employee["address"],
      facta_filing_requirement: null,
      name: employee["name"],
      second_tin_exists: null,
      tin: `XXX-XX-${lastFour(random)}`,
    },
    rents: null,
    royalties: null,
    tax_year: String(year),
  };
}

/** Plaid's SingleDocumentRiskSignal */
function riskOf(document: Plain, random: Random): Plain {
  const { name, document_type } = document["document_metadata"] as { name: string; document_type: string };
  const isRisky = random.chance(0.3);
  return {
    document_reference: {
      document_id: document["document_id"],
      document_name: name,
      document_type: document_type === "PAYSTUB" ? "PAYSLIP" : "TAX_FORM",
      file_type: "TRUE_PDF",
      status: "PROCESSING_COMPLETE",
    },
    risk_signals: isRisky
      ? [
          {
            actual_value: "Calibri",
            expected_value: "Helvetica",
            field: "employer_name",
            has_fraud_risk: true,
            institution_metadata: null,
            page_number: 0,
            signal_description: "Another font than in the rest of the document",
            type: "FONT",
          },
        ]
      : [],
    risk_summary: { risk_score: isRisky ? random.between(60, 95) : random.between(0, 20) },
  };
}

/** Plaid's PayrollItem */
export const payrollItemObject = (item: PayrollItem): Plain => ({
  accounts: [
    {
      account_id: item.accountId,
      pay_frequency: "BIWEEKLY",
      rate_of_pay: { pay_amount: dollars(item.job.gross * 26), pay_rate: "ANNUAL" },
    },
  ],
  institution_id: item.institutionId,
  institution_name: item.institutionName,
  item_id: item.itemId,
  payroll_income: [{ account_id: item.accountId, form1099s: item.form1099s, pay_stubs: item.payStubs, w2s: item.w2s }],
  status: { processing_status: "PROCESSING_COMPLETE" },
  updated_at: momentText(item.updatedAt),
});

/** Plaid's PayrollRiskSignalsItem */
export const riskItemObject = (item: PayrollItem): Plain => ({
  item_id: item.itemId,
  verification_risk_signals: [
    { account_id: item.accountId, multi_document_risk_signals: [], single_document_risk_signals: item.risk },
  ],
});
