/** Every product book, by its name. */
import { auth } from "./auth.ts";
import { holdings } from "./holdings.ts";
import { identity } from "./identity.ts";
import { investmentTransactions } from "./investment-transactions.ts";
import { liabilities } from "./liabilities.ts";
import { recurringTransactions } from "./recurring-transactions.ts";
import type { AnyBook } from "./product-book.ts";
import { statements } from "./statements.ts";

export const BOOKS = {
  holdings,
  liabilities,
  auth,
  identity,
  statements,
  investment_transactions: investmentTransactions,
  recurring_transactions: recurringTransactions,
};

export type BookName = keyof typeof BOOKS;

export const ALL_BOOKS: readonly AnyBook[] = Object.values(BOOKS);
