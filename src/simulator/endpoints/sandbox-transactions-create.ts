/** POST /sandbox/transactions/create: up to ten transactions of your own, for `user_transactions_dynamic` only. */
import { z } from "zod";
import { put } from "../changes.ts";
import { parseDay } from "../days.ts";
import { newTxn, type Txn } from "../transaction-log.ts";
import { bookOf, type Book } from "../item.ts";
import { invalidField, productNotReady } from "../plaid-error.ts";
import { itemEndpoint } from "./endpoint.ts";

const LATEST_DAYS_BACK = 14;

const custom = z.looseObject({
  date_transacted: z.string(),
  date_posted: z.string(),
  amount: z.number(),
  description: z.string().min(1),
  iso_currency_code: z.string().optional(),
});

export const sandboxTransactionsCreate = itemEndpoint(
  "/sandbox/transactions/create",
  "healthy",
  { transactions: z.array(custom).min(1).max(10) },
  (item, body, { sim }) => {
    if (item.plan.username !== "user_transactions_dynamic") {
      throw invalidField("transactions can be created for Items of user_transactions_dynamic only");
    }
    if (item.stage === "NONE" || item.stage === "NOT_READY") throw productNotReady();
    const book = bookOf(item);
    const created = body.transactions.map((one) => txnOf(one, book, sim.today()));
    item.lastSuccess = sim.time.now();
    sim.announce(item, { added: created.map((txn) => put(book, txn)), modified: [], removed: [] });
    return {};
  },
  { perItem: 2, perClient: 50, code: "RATE_LIMIT" },
);

function txnOf(request: z.output<typeof custom>, book: Book, today: number): Txn {
  const transacted = parseDay(request.date_transacted);
  const posted = parseDay(request.date_posted);
  if (transacted === null) throw invalidField("date_transacted must be a valid date in the format YYYY-MM-DD");
  if (posted === null || posted > today || posted < today - LATEST_DAYS_BACK) {
    throw invalidField("date_posted must be today or at most 14 days in the past");
  }
  const account = book.accounts.find((one) => one.kind.type === "depository");
  if (!account) throw invalidField("the Item has no depository account");
  if (request.iso_currency_code !== undefined && request.iso_currency_code !== account.currency) {
    throw invalidField("iso_currency_code must be the account's currency");
  }
  return newTxn({
    id: book.random.id(),
    account,
    merchant: 0,
    place: 0,
    amount: Math.round(request.amount * 10_000),
    day: posted,
    authorizedDay: transacted,
    pending: false,
    pendingId: null,
    note: request.description,
  });
}
