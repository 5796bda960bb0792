/** The terms of a liability of `user_custom`: the made-up ones, with what its configuration says instead. */
import { dayText, parseDay } from "../days.ts";
import type { LiabilityOverride } from "./schema.ts";

type Terms = Readonly<Record<string, unknown>>;

const APRS = ["purchase_apr", "cash_apr", "balance_transfer_apr"] as const;

export const withLiability = (terms: Terms, override: LiabilityOverride | undefined): Terms =>
  override === undefined ? terms : { ...terms, ...(override.type === "credit" ? credit(override) : student(override)) };

/** Only fields that are set replace the made-up ones. */
const set = (fields: Record<string, unknown>): Terms =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function credit(one: LiabilityOverride): Terms {
  const rates = [...APRS.map((name) => [name, one[name]] as const), ["special", one.special_apr] as const];
  const aprs = rates.flatMap(([apr_type, apr_percentage]) =>
    apr_percentage === undefined
      ? []
      : [{ apr_percentage, apr_type, balance_subject_to_apr: null, interest_charge_amount: null }],
  );
  return set({
    aprs: aprs.length > 0 ? aprs : undefined,
    is_overdue: one.is_overdue,
    last_payment_amount: one.last_payment_amount,
    minimum_payment_amount: one.minimum_payment_amount,
  });
}

function student(one: LiabilityOverride): Terms {
  const plan = set({ description: one.repayment_plan_description, type: one.repayment_plan_type });
  const address = one.servicer_address?.data;
  return set({
    expected_payoff_date: one.expected_payoff_date ?? payoffOf(one),
    guarantor: one.guarantor,
    interest_rate_percentage: one.nominal_apr,
    is_overdue: one.is_overdue,
    loan_name: one.loan_name,
    loan_status: one.loan_status && { end_date: null, type: null, ...one.loan_status },
    minimum_payment_amount: one.minimum_payment_amount,
    origination_date: one.origination_date,
    origination_principal_amount: one.principal,
    payment_reference_number: one.payment_reference_number,
    pslf_status: one.pslf_status && {
      estimated_eligibility_date: null,
      payments_made: null,
      payments_remaining: null,
      ...one.pslf_status,
    },
    repayment_plan: Object.keys(plan).length > 0 ? { description: null, type: null, ...plan } : undefined,
    sequence_number: one.sequence_number,
    servicer_address: address && {
      city: null,
      country: null,
      postal_code: null,
      region: null,
      street: null,
      ...address,
    },
  });
}

/** The end of the repayment, by the model: so many months after the origination. */
function payoffOf({ origination_date, repayment_model }: LiabilityOverride): string | undefined {
  if (origination_date === undefined || repayment_model === undefined) return undefined;
  const months = repayment_model.non_repayment_months + repayment_model.repayment_months;
  return dayText((parseDay(origination_date) as number) + Math.round((months * 365.25) / 12));
}
