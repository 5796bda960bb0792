/** Plaid's subtypes of each type of account (https://plaid.com/docs/api/accounts/#account-type-schema). */
const SUBTYPES = {
  depository:
    "cash management, cd, checking, ebt, hsa, limited purpose checking, money market, paypal, prepaid, savings",
  credit: "credit card, paypal",
  loan: "auto, business, commercial, construction, consumer, home equity, line of credit, loan, mortgage, other, overdraft, student",
  investment:
    "529, 401a, 401k, 403B, 457b, brokerage, cash isa, crypto exchange, education savings account, fhsa, fixed annuity, gic, " +
    "health reimbursement arrangement, hsa, ira, isa, keogh, lif, life insurance, line of credit, lira, lrif, lrsp, mutual fund, " +
    "non-custodial wallet, non-taxable brokerage account, other, other annuity, other insurance, pension, prif, profit sharing plan, " +
    "qshr, rdsp, resp, retirement, rlif, roth, roth 401k, roth 403B, roth 457b, roth pension, roth profit sharing plan, " +
    "roth thrift savings plan, rrif, rrsp, sarsep, sep ira, simple ira, sipp, stock plan, tfsa, thrift savings plan, trust, ugma, " +
    "utma, variable annuity",
  payroll: "payroll",
  other: "other",
};

export type AccountType = keyof typeof SUBTYPES;

export const ACCOUNT_TYPES = Object.keys(SUBTYPES) as [AccountType, ...AccountType[]];

export const hasSubtype = (type: AccountType, subtype: string): boolean => SUBTYPES[type].split(", ").includes(subtype);
