/** POST /transactions/get: transactions between two dates, newest first, by offset; more appear as history arrives. */
import { z } from "zod";
import { accountObject } from "../account.ts";
import { bookOf, itemObject, type Book } from "../item.ts";
import { invalidAccountId, productNotReady } from "../plaid-error.ts";
import { transactionsText } from "../transaction-text.ts";
import { newestFirst } from "../transactions.ts";
import { daysAsked } from "./day-range.ts";
import { itemEndpoint, JsonMembers } from "./endpoint.ts";
import { getOptions } from "./transaction-options.ts";

export const transactionsGet = itemEndpoint(
  "/transactions/get",
  "healthy",
  { start_date: z.string(), end_date: z.string(), options: getOptions },
  (item, body, { sim }) => {
    const [from, to] = daysAsked(body);
    if (item.stage === "NONE") sim.startExtraction(item, body.options?.days_requested);
    if (item.stage === "NOT_READY") throw productNotReady();
    const book = bookOf(item);
    const { account_ids, count = 100, offset = 0, include_original_description } = body.options ?? {};
    const accounts = account_ids ? account_ids.map((id) => accountNamed(book, id)) : book.accounts;
    const requested = new Set(accounts);
    const all = newestFirst(book).filter((txn) => txn.day >= from && txn.day <= to && requested.has(txn.account));
    const page = transactionsText(all.slice(offset, offset + count), include_original_description ?? false);
    const shown = account_ids ? accounts : accounts.filter((account) => account.transactions > 0);
    return new JsonMembers(
      `"accounts":${JSON.stringify(shown.map(accountObject))},"item":${JSON.stringify(itemObject(item))},` +
        `"total_transactions":${all.length},"transactions":${page}`,
    );
  },
  { perItem: 80, perClient: 1000, code: "TRANSACTIONS_LIMIT" },
);

function accountNamed(book: Book, id: string) {
  const account = book.accounts.find((one) => one.id === id);
  if (!account) throw invalidAccountId();
  return account;
}
