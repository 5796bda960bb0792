/** What Plaid has of a row and no row of the resource holds, not even in `raw`, by table: its path in the answer, and why. */
export const DROPPED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  users: { "user.user_id": "The column of the subject has it." },
  payroll_items: { "items.payroll_income.i20s": "About a student's funds, which are no income." },
  bank_income_reports: { "bank_income.items.last_updated_time": "The report has the time when it was made." },
  cra_income_insights: { "report.items.last_updated_time": "The report has the time when it was made." },
  cra_partner_insights: { "report.items": "The items and accounts are those of the base report." },
  cra_verification_reports: {
    "report.employment_refresh": "plaid.cra_employment_refreshes has it, by another request.",
  },
  cra_voa_accounts: {
    "report.voa.items.accounts.transactions_insights": "First and last day, which the transactions have.",
  },
  cra_monitoring_insights: { "items.accounts": "The accounts are those of the base report." },
};
