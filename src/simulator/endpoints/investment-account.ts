/** Plaid's InvestmentAccount: an account whose balances name the margin loan. */
import { accountObject, type Account } from "../account.ts";
import { marginOf, type HoldingsState } from "../products/holdings.ts";

/** @param state null: the Item's holdings are not known */
export function investmentAccountObject(account: Account, state: HoldingsState | null): Record<string, unknown> {
  const { balances, ...rest } = accountObject(account);
  const margin_loan_amount = state && marginOf(state, account);
  return { ...rest, balances: { ...(balances as object), margin_loan_amount } };
}
