/** The terms of a liability of each kind, as Plaid shows them: the first ones, and those after a payment. */
import type { Account } from "../account.ts";
import { PLACES } from "../catalogue/merchants.ts";
import { dayText } from "../days.ts";
import type { Random } from "../random.ts";

export type LiabilityKind = "credit" | "mortgage" | "student" | "loan" | "line_of_credit";
export type Terms = Readonly<Record<string, unknown>>;

const YEAR = 365;
/** Banks differ in what they report. */
const MISSING = 0.15;

const dollars = (random: Random, from: number, to: number): number => random.between(from * 100, to * 100) / 100;
const percent = (random: Random, from: number, to: number): number => random.between(from * 1000, to * 1000) / 1000;
const digits = (random: Random, length: number): string =>
  Array.from({ length }, () => String(random.below(10))).join("");
const maybe = <T>(random: Random, value: T): T | null => (random.chance(MISSING) ? null : value);

type Drawing = (random: Random, account: Account, today: number) => Terms;

const DRAWN: Record<LiabilityKind, Drawing> = {
  credit: drawCredit,
  mortgage: drawMortgage,
  student: drawStudent,
  loan: drawLoan,
  line_of_credit: drawLine,
};

export const drawTerms = (kind: LiabilityKind, random: Random, account: Account, today: number): Terms =>
  DRAWN[kind](random, account, today);

/** What a payment, and at times a decision of the bank, changes; at least one field. */
export function payTerms(kind: LiabilityKind, terms: Terms, random: Random, today: number): Terms {
  const paid = {
    last_payment_amount: differing(terms["last_payment_amount"], dollars(random, 25, 900)),
    last_payment_date: dayText(today),
    next_payment_due_date: dayText(today + 30),
  };
  return { ...terms, ...paid, ...OTHERWISE[kind](terms, random, today) };
}

const differing = (before: unknown, drawn: number): number => (drawn === before ? drawn + 1 : drawn);

const OTHERWISE: Record<LiabilityKind, (terms: Terms, random: Random, today: number) => Terms> = {
  credit: (terms, random, today) => ({
    last_statement_balance: dollars(random, 100, 3000),
    last_statement_issue_date: dayText(today - 2),
    is_overdue: random.chance(0.2),
    ...(random.chance(0.3) ? { aprs: drawAprs(random) } : {}),
    minimum_payment_amount: terms["minimum_payment_amount"] ?? 25,
  }),
  mortgage: (terms, random) => ({
    escrow_balance: maybe(random, dollars(random, 500, 4000)),
    past_due_amount: random.chance(0.3) ? dollars(random, 100, 3000) : 0,
    ytd_interest_paid: grown(terms["ytd_interest_paid"], dollars(random, 300, 900)),
    ytd_principal_paid: grown(terms["ytd_principal_paid"], dollars(random, 300, 900)),
    ...(random.chance(0.2) ? { interest_rate: drawRate(random) } : {}),
  }),
  student: (terms, random) => ({
    is_overdue: random.chance(0.2),
    outstanding_interest_amount: dollars(random, 0, 6000),
    ytd_interest_paid: grown(terms["ytd_interest_paid"], dollars(random, 10, 90)),
    ...(random.chance(0.3) ? { loan_status: drawStatus(random, terms["expected_payoff_date"]) } : {}),
    ...(random.chance(0.2) ? { repayment_plan: drawPlan(random) } : {}),
  }),
  loan: (terms, random) => ({
    principal_balance: dollars(random, 500, 40_000),
    ytd_interest_paid: grown(terms["ytd_interest_paid"], dollars(random, 10, 90)),
    ...(random.chance(0.2) ? { interest_rate: drawRate(random) } : {}),
  }),
  line_of_credit: (_terms, random, today) => ({
    available_credit: dollars(random, 0, 9000),
    last_statement_balance: dollars(random, 100, 3000),
    last_statement_issue_date: dayText(today - 2),
    past_due_amount: random.chance(0.3) ? dollars(random, 100, 900) : 0,
    principal_balance: dollars(random, 100, 9000),
  }),
};

const grown = (before: unknown, by: number): number =>
  Math.round(((typeof before === "number" ? before : 0) + by) * 100) / 100;

function drawCredit(random: Random, account: Account, today: number): Terms {
  const owed = account.kind.current / 10_000;
  return {
    aprs: drawAprs(random),
    is_overdue: maybe(random, random.chance(0.1)),
    last_payment_amount: maybe(random, dollars(random, 25, 900)),
    last_payment_date: maybe(random, dayText(today - random.between(5, 40))),
    last_statement_balance: maybe(random, owed),
    last_statement_issue_date: dayText(today - random.between(1, 30)),
    minimum_payment_amount: maybe(random, random.between(20, 60)),
    next_payment_due_date: maybe(random, dayText(today + random.between(1, 30))),
  };
}

const APR_TYPES = ["balance_transfer_apr", "cash_apr", "purchase_apr", "special"] as const;

/** Not every issuer reports its rates; then there are none. */
const drawAprs = (random: Random): Terms[] =>
  random.sample(APR_TYPES, random.below(APR_TYPES.length + 1)).map((apr_type) => ({
    apr_percentage: apr_type === "special" ? 0 : percent(random, 9, 30),
    apr_type,
    balance_subject_to_apr: maybe(random, dollars(random, 0, 2000)),
    interest_charge_amount: maybe(random, dollars(random, 0, 130)),
  }));

function drawMortgage(random: Random, account: Account, today: number): Terms {
  const years = random.pick([10, 15, 20, 30]);
  const begun = today - random.between(1, 8 * YEAR);
  const monthly = dollars(random, 900, 4200);
  return {
    account_number: maybe(random, digits(random, 10)),
    current_late_fee: maybe(random, random.between(0, 50)),
    escrow_balance: maybe(random, dollars(random, 500, 4000)),
    has_pmi: maybe(random, random.chance(0.5)),
    has_prepayment_penalty: maybe(random, random.chance(0.3)),
    interest_rate: drawRate(random),
    last_payment_amount: monthly,
    last_payment_date: dayText(today - random.between(1, 30)),
    loan_term: maybe(random, `${years} year`),
    loan_type_description: maybe(random, random.pick(["conventional", "fixed", "variable"])),
    maturity_date: dayText(begun + years * YEAR),
    next_monthly_payment: monthly,
    next_payment_due_date: dayText(today + random.between(1, 30)),
    origination_date: dayText(begun),
    origination_principal_amount: Math.round((account.kind.current / 10_000) * (1 + random.fraction())),
    past_due_amount: maybe(random, random.chance(0.2) ? dollars(random, 100, 3000) : 0),
    property_address: drawAddress(random, 0.2),
    ytd_interest_paid: maybe(random, dollars(random, 300, 12_000)),
    ytd_principal_paid: maybe(random, dollars(random, 300, 12_000)),
  };
}

const drawRate = (random: Random): Terms => ({
  percentage: maybe(random, percent(random, 2, 8)),
  type: maybe(random, random.pick(["fixed", "variable"])),
});

/** `unknown`: how likely the bank gives none of it */
function drawAddress(random: Random, unknown: number): Terms {
  const place = random.pick(PLACES);
  const street = `${random.between(1, 9999)} ${random.pick(["Cameron", "Relaxation", "Heather", "Loch"])} Road`;
  const known = !random.chance(unknown);
  return {
    city: known ? place.city : null,
    country: known ? "US" : null,
    postal_code: known ? digits(random, 5) : null,
    region: known ? place.region : null,
    street: known ? street : null,
  };
}

function drawStudent(random: Random, account: Account, today: number): Terms {
  const begun = today - random.between(2 * YEAR, 20 * YEAR);
  const payoff = dayText(today + random.between(YEAR, 12 * YEAR));
  const number = digits(random, 10);
  return {
    account_number: maybe(random, number),
    disbursement_dates: maybe(random, [begun, begun + 180].slice(0, random.between(1, 2)).map(dayText)),
    expected_payoff_date: maybe(random, payoff),
    guarantor: maybe(random, "DEPT OF ED"),
    interest_rate_percentage: percent(random, 2, 9),
    is_overdue: maybe(random, random.chance(0.1)),
    last_payment_amount: maybe(random, dollars(random, 50, 400)),
    last_payment_date: maybe(random, dayText(today - random.between(1, 40))),
    last_statement_balance: maybe(random, account.kind.current / 10_000),
    last_statement_issue_date: maybe(random, dayText(today - random.between(1, 30))),
    loan_name: maybe(random, random.pick(["Consolidation", "Direct Subsidized", "Graduate PLUS"])),
    loan_status: drawStatus(random, payoff),
    minimum_payment_amount: maybe(random, random.between(20, 300)),
    next_payment_due_date: maybe(random, dayText(today + random.between(1, 30))),
    origination_date: maybe(random, dayText(begun)),
    origination_principal_amount: maybe(random, random.between(5, 90) * 1000),
    outstanding_interest_amount: maybe(random, dollars(random, 0, 6000)),
    payment_reference_number: maybe(random, number),
    pslf_status: drawForgiveness(random, today),
    repayment_plan: drawPlan(random),
    sequence_number: maybe(random, String(random.between(1, 9))),
    servicer_address: drawAddress(random, 0.2),
    ytd_interest_paid: maybe(random, dollars(random, 0, 900)),
    ytd_principal_paid: maybe(random, dollars(random, 0, 900)),
  };
}

const drawStatus = (random: Random, until: unknown): Terms => ({
  end_date: until ?? null,
  type: maybe(random, random.pick(["repayment", "deferment", "forbearance", "in grace", "in school", "delinquent"])),
});

/** Public Service Loan Forgiveness, of 120 payments */
function drawForgiveness(random: Random, today: number): Terms {
  const made = random.chance(0.5) ? random.below(120) : null;
  return {
    estimated_eligibility_date: made === null ? null : dayText(today + (120 - made) * 30),
    payments_made: made,
    payments_remaining: made === null ? null : 120 - made,
  };
}

const drawPlan = (random: Random): Terms => {
  const type = random.pick(["standard", "graduated", "income-based repayment", "pay as you earn"]);
  return { description: maybe(random, `Repayment: ${type}`), type: maybe(random, type) };
};

const PERIODS = ["daily", "weekly", "biweekly", "semimonthly", "monthly", "semiannually", "annually"] as const;

function drawLoan(random: Random, account: Account, today: number): Terms {
  const months = random.pick([24, 36, 48, 60, 72]);
  const begun = today - random.between(1, months * 30);
  const owed = account.kind.current / 10_000;
  const payment = dollars(random, 100, 900);
  return {
    account_number: maybe(random, digits(random, 10)),
    compounding_period: maybe(random, random.pick(PERIODS)),
    interest_rate: maybe(random, drawRate(random)),
    last_payment_amount: maybe(random, payment),
    last_payment_date: maybe(random, dayText(today - random.between(1, 30))),
    loan_term_months: maybe(random, months),
    maturity_date: maybe(random, dayText(begun + months * 30)),
    next_payment_amount: maybe(random, payment),
    next_payment_due_date: maybe(random, dayText(today + random.between(1, 30))),
    origination_date: maybe(random, dayText(begun)),
    origination_principal_amount: maybe(random, Math.round(owed * (1 + random.fraction()))),
    payment_count: maybe(random, months),
    payment_frequency: maybe(random, random.pick(PERIODS)),
    payoff_amount: maybe(random, owed + dollars(random, 0, 200)),
    principal_balance: maybe(random, owed),
    ytd_interest_paid: maybe(random, dollars(random, 0, 900)),
  };
}

function drawLine(random: Random, account: Account, today: number): Terms {
  const owed = account.kind.current / 10_000;
  const limit = (account.kind.limit ?? account.kind.current) / 10_000;
  return {
    aprs: drawAprs(random),
    available_credit: maybe(random, Math.max(0, limit - owed)),
    credit_limit: maybe(random, limit),
    draw_period_end_date: maybe(random, dayText(today + random.between(1, 5 * YEAR))),
    finance_charges: maybe(random, dollars(random, 0, 90)),
    interest_rate: maybe(random, drawRate(random)),
    last_payment_amount: maybe(random, dollars(random, 25, 900)),
    last_payment_date: maybe(random, dayText(today - random.between(1, 30))),
    last_statement_balance: maybe(random, owed),
    last_statement_issue_date: maybe(random, dayText(today - random.between(1, 30))),
    minimum_payment_amount: maybe(random, random.between(20, 200)),
    next_payment_amount: maybe(random, dollars(random, 20, 400)),
    next_payment_due_date: maybe(random, dayText(today + random.between(1, 30))),
    past_due_amount: maybe(random, random.chance(0.2) ? dollars(random, 100, 900) : 0),
    principal_balance: maybe(random, owed),
  };
}
