/**
 * The configuration of the user `user_custom`: JSON, sent as the password. Plaid's document has its fields (UserCustomPassword,
 * OverrideAccounts and what they name); as there, unknown fields are ignored and null means that the field is not set.
 *
 * Each account of such an Item has its part of it as `account.override`: a product book shows what stands there, and makes the rest
 * as for any other user.
 */
import { z } from "zod";
import { parseDay } from "../days.ts";
import { ACCOUNT_TYPES, hasSubtype } from "./subtypes.ts";

const day = z.string().refine((text) => parseDay(text) !== null, "must be a date in the format YYYY-MM-DD");
const amount = z.number().refine((value) => Math.abs(value) < 1e11, "is too large");
const currency = z.string().min(3).max(12);

const transaction = z.looseObject({
  date_transacted: day,
  date_posted: day,
  amount,
  description: z.string().min(1),
  currency: currency.optional(),
});

const security = z.looseObject({
  isin: z.string().optional(),
  cusip: z.string().optional(),
  sedol: z.string().optional(),
  name: z.string().optional(),
  ticker_symbol: z.string().optional(),
  currency: currency.optional(),
});

const holding = z.looseObject({
  institution_price: amount,
  institution_price_as_of: day.optional(),
  cost_basis: amount.optional(),
  quantity: amount,
  currency,
  security,
});

const investmentTransaction = z.looseObject({
  date: day,
  name: z.string(),
  quantity: amount,
  price: amount,
  fees: amount.optional(),
  type: z.enum(["buy", "sell", "cash", "fee", "transfer"]),
  currency,
  security: security.optional(),
});

/** One or several: Plaid's document describes an object, and its examples have a list. */
const list = <T extends z.ZodType>(one: T) =>
  z
    .union([z.array(one), one])
    .transform((value): z.output<T>[] => (Array.isArray(value) ? value : [value]) as z.output<T>[]);

const addressData = z.looseObject({
  city: z.string().optional(),
  region: z.string().optional(),
  street: z.string().optional(),
  postal_code: z.string().optional(),
  country: z.string().optional(),
});
const address = z.looseObject({ data: addressData, primary: z.boolean().optional() });

const identity = z.looseObject({
  names: z.array(z.string()).optional(),
  phone_numbers: z
    .array(z.looseObject({ data: z.string(), primary: z.boolean().optional(), type: z.string().optional() }))
    .optional(),
  emails: z
    .array(z.looseObject({ data: z.string(), primary: z.boolean().optional(), type: z.string().optional() }))
    .optional(),
  addresses: z.array(address).optional(),
});

const liability = z.looseObject({
  type: z.enum(["credit", "student"]),
  purchase_apr: amount.optional(),
  cash_apr: amount.optional(),
  balance_transfer_apr: amount.optional(),
  special_apr: amount.optional(),
  last_payment_amount: amount.optional(),
  minimum_payment_amount: amount.optional(),
  is_overdue: z.boolean().optional(),
  origination_date: day.optional(),
  principal: amount.optional(),
  nominal_apr: amount.optional(),
  interest_capitalization_grace_period_months: z.number().optional(),
  repayment_model: z
    .looseObject({ type: z.literal("standard"), non_repayment_months: z.number(), repayment_months: z.number() })
    .optional(),
  expected_payoff_date: day.optional(),
  guarantor: z.string().optional(),
  is_federal: z.boolean().optional(),
  loan_name: z.string().optional(),
  loan_status: z.looseObject({ end_date: day.optional(), type: z.string().optional() }).optional(),
  payment_reference_number: z.string().optional(),
  pslf_status: z
    .looseObject({
      estimated_eligibility_date: day.optional(),
      payments_made: z.int().optional(),
      payments_remaining: z.int().optional(),
    })
    .optional(),
  repayment_plan_description: z.string().optional(),
  repayment_plan_type: z.string().optional(),
  sequence_number: z.string().optional(),
  servicer_address: address.optional(),
});

/** a day of the month from 1 to 28, as a number or as text, or the last day */
const dayOfMonth = z
  .union([z.int().min(1).max(28), z.string().regex(/^([1-9]|1\d|2[0-8])$/), z.literal("last")])
  .transform((value) => (value === "last" ? value : Number(value)));

const inflow = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("none") }),
  z.looseObject({
    type: z.literal("monthly-income"),
    income_amount: amount,
    payment_day_of_month: dayOfMonth,
    transaction_name: z.string().min(1),
  }),
  z.looseObject({
    type: z.enum(["monthly-balance-payment", "monthly-interest-only-payment"]),
    payment_day_of_month: dayOfMonth,
    statement_day_of_month: dayOfMonth,
    transaction_name: z.string().min(1),
  }),
]);

const account = z
  .looseObject({
    type: z.enum(ACCOUNT_TYPES),
    subtype: z.string().min(1),
    starting_balance: amount.optional(),
    force_available_balance: amount.optional(),
    has_null_available_balance: z.boolean().optional(),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, "must be an ISO-4217 code")
      .optional(),
    meta: z
      .looseObject({
        name: z.string().optional(),
        official_name: z.string().optional(),
        limit: amount.optional(),
        mask: z
          .string()
          .regex(/^([0-9A-Za-z]{2,4})?$/, "must be empty or 2 to 4 letters and digits")
          .optional(),
      })
      .optional(),
    numbers: z
      .looseObject({
        account: z.string().optional(),
        ach_routing: z.string().optional(),
        ach_wire_routing: z.string().optional(),
        eft_institution: z.string().optional(),
        eft_branch: z.string().optional(),
        international_bic: z.string().optional(),
        international_iban: z.string().optional(),
        bacs_sort_code: z.string().optional(),
      })
      .refine(both("eft_institution", "eft_branch"), "eft_institution and eft_branch need each other")
      .refine(
        both("international_bic", "international_iban"),
        "international_bic and international_iban need each other",
      )
      .optional(),
    transactions: z.array(transaction).optional(),
    holdings: list(holding).optional(),
    investment_transactions: list(investmentTransaction).optional(),
    identity: identity.optional(),
    liability: liability.optional(),
    inflow_model: inflow.optional(),
    income: z
      .looseObject({
        paystubs: z.array(z.looseObject({})).optional(),
        w2s: z.array(z.looseObject({})).optional(),
      })
      .optional(),
  })
  .refine(({ type, subtype }) => hasSubtype(type, subtype), "subtype is none of this type")
  .refine(
    ({ type, subtype, liability }) =>
      liability === undefined ||
      (liability.type === "credit" ? type === "credit" : type === "loan" && subtype === "student"),
    "liability is of another type than the account",
  )
  .refine(
    (one) => one.force_available_balance === undefined || !one.has_null_available_balance,
    "force_available_balance and has_null_available_balance exclude each other",
  );

/** More than ten accounts fail in Plaid's Link too. */
const MOST_ACCOUNTS = 10;

export const customUser = z.looseObject({
  version: z.union([z.string(), z.number()]).optional(),
  /** two Items with the same seed have the same made-up data, as far from the day when they were linked */
  seed: z.string().optional(),
  override_accounts: z.array(account).max(MOST_ACCOUNTS).optional(),
  /** true: all dates of transactions move forward so that the newest one is today */
  roll_dates_forward: z.boolean().optional(),
  force_error: z.string().optional(),
  /** for Link's own pages only */
  mfa: z.looseObject({}).optional(),
  recaptcha: z.enum(["good", "bad"]).optional(),
});

export type CustomUser = z.output<typeof customUser>;
export type AccountOverride = NonNullable<CustomUser["override_accounts"]>[number];
export type TransactionOverride = NonNullable<AccountOverride["transactions"]>[number];
export type HoldingOverride = NonNullable<AccountOverride["holdings"]>[number];
export type InvestmentTransactionOverride = NonNullable<AccountOverride["investment_transactions"]>[number];
export type SecurityOverride = HoldingOverride["security"];
export type OwnerOverride = NonNullable<AccountOverride["identity"]>;
export type NumbersOverride = NonNullable<AccountOverride["numbers"]>;
export type LiabilityOverride = NonNullable<AccountOverride["liability"]>;
export type InflowModel = NonNullable<AccountOverride["inflow_model"]>;

function both(one: string, other: string): (value: Record<string, unknown>) => boolean {
  return (value) => (value[one] === undefined) === (value[other] === undefined);
}
