/** Investment transactions, recurring streams and real-time balances. */
import { INVESTED_AND_OWED } from "./invested-and-owed.ts";
import { LINKED } from "./linked.ts";
import type { Meanings } from "./types.ts";

const { securities = {} } = INVESTED_AND_OWED;
const { transactions = {} } = LINKED;

export const TRADED_AND_RECURRING: Meanings = {
  investment_transactions: {
    investment_transaction_id: "Plaid's id of the transaction",
    security_id: "Plaid's id of the security; joins the traded securities; null where it is about money alone",
    date: "when it posted, as a rule the day of settlement",
    transaction_datetime: "when it was ordered, where the institution says so",
    name: "the institution's description",
    quantity: "units of the security: positive when bought, negative when sold",
    amount: "positive when money is debited, as for what was bought; negative when it is credited",
    price: "price of a unit",
    fees: "all fees of the transaction; null where the institution does not say",
    type: "buy, sell, cancel, cash, fee or transfer",
    subtype: "narrower kind, such as dividend or contribution",
    cancel_transaction_id: "a field that Plaid no longer fills",
  },
  traded_securities: { ...securities },
  balances: {
    type: "depository, credit, loan, investment or other",
    subtype: "such as checking, savings or credit card",
    balances_available: "what can be spent or withdrawn at that moment; null where the bank does not say",
    balances_current: "what is in the account, or what is owed on a credit card or loan",
    balances_limit: "credit limit, or overdraft limit",
    balances_iso_currency_code: "currency of the balances, as ISO 4217 has it",
    balances_unofficial_currency_code: "currency of the balances where ISO 4217 has none",
    balances_last_updated_datetime: "how old the balances are, where the bank has no present ones",
  },
  recurring_streams: {
    stream_id: "Plaid's id of the stream",
    direction: "inflow for money that comes in, outflow for money that goes out",
    description: "description of the stream",
    merchant_name: "name of the merchant, as Plaid recognized it",
    frequency: "WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY, ANNUALLY or UNKNOWN",
    status: "MATURE, EARLY_DETECTION, TOMBSTONED or UNKNOWN",
    is_active: "whether Plaid expects the stream to go on",
    first_date: "day of its earliest transaction",
    last_date: "day of its latest transaction",
    predicted_next_date: "when Plaid expects the next transaction; null where it cannot tell",
    average_amount_amount: "average of its transactions; positive when money leaves the account",
    last_amount_amount: "amount of its latest transaction",
    average_amount_iso_currency_code: "currency of the average, as ISO 4217 has it",
    average_amount_unofficial_currency_code: "currency of the average where ISO 4217 has none",
    transaction_ids: "the transactions of the stream, by their day; joins the transactions",
    personal_finance_category_primary: transactions["personal_finance_category_primary"] ?? "",
    personal_finance_category_detailed: transactions["personal_finance_category_detailed"] ?? "",
    personal_finance_category_confidence_level: transactions["personal_finance_category_confidence_level"] ?? "",
  },
};
