/** The `account_ids` option of several endpoints: the answer has only these accounts. */
import { z } from "zod";
import type { Account } from "../account.ts";
import { bookOf, type Item } from "../item.ts";
import { invalidAccountId } from "../plaid-error.ts";

export const accountOptions = z.strictObject({ account_ids: z.array(z.string()).optional() }).optional();

/** The Item's accounts, or the requested ones. @throws PlaidApiError INVALID_ACCOUNT_ID for one that is not the Item's */
export function accountsAsked(item: Item, options: z.output<typeof accountOptions>): Account[] {
  const { accounts } = bookOf(item);
  const wanted = options?.account_ids;
  if (!wanted) return [...accounts];
  if (wanted.some((id) => !accounts.some((account) => account.id === id))) throw invalidAccountId();
  return accounts.filter((account) => wanted.includes(account.id));
}
