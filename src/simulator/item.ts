/**
 * An Item: a user's login at one institution, and what Plaid knows about it.
 *
 * Its history arrives in stages: NONE (Transactions was not asked for yet) → NOT_READY → INITIAL (the last 30 days) →
 * HISTORICAL (everything). Besides, it has no error, or an `error` until its user acts or the bank recovers, or is
 * `revoked` by its user, or `removed` by the client; the last two are final.
 *
 * Accounts and transactions (the book) are made when they are first read, from the Item's own random stream: ten
 * thousand Items cost little until someone reads them, and are the same in any order of reading.
 */
import { createAccount, type Account } from "./account.ts";
import { CHECKING, HELD_FOR, OTHERS, USER_GOOD, type AccountKind } from "./catalogue/accounts.ts";
import { dataRandom, planAccounts } from "./custom/accounts.ts";
import { customHistory, type CustomHistory, type DueTxn } from "./custom/history.ts";
import type { CustomUser } from "./custom/schema.ts";
import type { Institution } from "./catalogue/institutions.ts";
import { dayOf, momentText } from "./days.ts";
import { TransactionLog, type Txn } from "./transaction-log.ts";
import { makeHistory, type Plan } from "./history.ts";
import { errorObject, type ErrorFacts } from "./plaid-error.ts";
import type { Random } from "./random.ts";

export type Stage = "NONE" | "NOT_READY" | "INITIAL" | "HISTORICAL";

export interface Book {
  readonly accounts: Account[];
  /** the user has them at the institution, and has not shared them with the client */
  readonly unshared: Account[];
  readonly log: TransactionLog;
  /** history that has not arrived yet, oldest first */
  reserve: Txn[];
  /** pending transactions that post on a day that their user has planned */
  due: DueTxn[];
  /** changes after the history draw from here */
  readonly random: Random;
}

/** a product book on an Item's shelf (products/shelf.ts) */
export interface Shelved {
  /** when Plaid last had news from the bank; null: the first pull is under way */
  pulledAt: number | null;
  /** null: not read yet */
  content: { state: unknown; random: Random } | null;
}

export interface Item {
  readonly itemId: string;
  readonly clientId: string;
  readonly institution: Institution;
  readonly createdAt: number;
  readonly random: Random;
  /** Plaid's own user id (usr_…) or the name that the maker of the Item gave its user */
  readonly userId: string | null;
  /** the configuration of user_custom */
  readonly override: CustomUser | null;
  /** may still change until the first request for Transactions */
  plan: Plan;
  accessToken: string;
  products: string[];
  /** may become products at their first request */
  consented: string[];
  webhook: string | null;
  stage: Stage;
  error: ErrorFacts | null;
  /** when the user's consent ends; null: never */
  consentEndsAt: number | null;
  revoked: boolean;
  removed: boolean;
  /** SYNC_UPDATES_AVAILABLE is not sent before the first call of /transactions/sync */
  syncCalled: boolean;
  lastSuccess: number | null;
  lastFailure: number | null;
  lastWebhook: { at: number; code: string } | null;
  /** raised when a restart lost changes that a client may have read; cursors of an earlier epoch are refused */
  cursorEpoch: number;
  /** Read it through bookOf. */
  book: Book | null;
  /** product books by their name; read them through products/shelf.ts */
  shelf: Record<string, Shelved>;
}

/** Accounts and transactions, made now if this is the first reading. */
export function bookOf(item: Item): Book {
  if (item.book) return item.book;
  const random = item.random.fork("book");
  const currency = item.institution.country_codes.includes("CA") ? "CAD" : "USD";
  const accounts = item.override
    ? planAccounts(item.override, dataRandom(item.override, random), currency).map((one) =>
        createAccount(random, one.kind, one.currency, one.override),
      )
    : accountKinds(item, random).map((kind) => createAccount(random, kind, currency));
  if (item.plan.username === "controlled") for (const account of accounts) openWith(account, random);
  const book: Book = {
    accounts,
    unshared: [],
    log: new TransactionLog(),
    reserve: [],
    due: [],
    random: random.fork("changes"),
  };
  planHistory(item, book);
  item.book = book;
  if (item.stage === "HISTORICAL") release(book, -Infinity);
  return book;
}

function planHistory(item: Item, book: Book): void {
  const { history, due } = plannedHistory(item, book.accounts);
  book.reserve = history;
  book.due = due;
}

/** The history that an Item with these accounts is linked with, whatever became of it; the same at each call. */
export function plannedHistory(item: Item, accounts: readonly Account[]): CustomHistory {
  const { plan, override: user } = item;
  const today = dayOf(item.createdAt);
  const random = item.random.fork("history");
  if (user === null) return { history: makeHistory(plan, accounts, today, random), due: [] };
  return customHistory({ user, plan, accounts, today, data: dataRandom(user, random), ids: random });
}

/** Replaces the planned history, before any of it has arrived. */
export function replan(item: Item, plan: Plan): void {
  item.plan = plan;
  if (item.book) planHistory(item, item.book);
}

/** Lets the history from `fromDay` on arrive; returns how many transactions that were. */
export function release(book: Book, fromDay: number): number {
  const arriving = book.reserve.filter((txn) => txn.day >= fromDay);
  book.reserve = book.reserve.filter((txn) => txn.day < fromDay);
  for (const txn of arriving) book.log.add(txn);
  return arriving.length;
}

/** Sandbox's 110 dollars would be spent at once; what `user_good` holds stays as Plaid has it. */
function openWith(account: Account, random: Random): void {
  if (account.kind.type === "depository") account.current += random.between(1_000_00, 25_000_00) * 100;
}

function accountKinds(item: Item, random: Random): readonly AccountKind[] {
  if (item.plan.username === "user_good") return USER_GOOD;
  const kinds = [CHECKING, ...random.sample(OTHERS, random.between(1, 3))];
  for (const product of item.products) {
    const { first, others } = HELD_FOR[product] ?? { first: [], others: [] };
    const more = item.random.fork(`accounts for ${product}`);
    const requested = [...more.sample(first, 1), ...more.sample(others, more.below(3))];
    kinds.push(...new Set(requested.filter((one) => !kinds.includes(one))));
  }
  return kinds;
}

const maybeMoment = (ms: number | null): string | null => (ms === null ? null : momentText(ms));

/** Plaid's Item object */
export const itemObject = (item: Item): Record<string, unknown> => ({
  auth_method: item.products.includes("auth") ? "INSTANT_AUTH" : null,
  available_products: item.institution.products.filter((product) => !item.products.includes(product)),
  billed_products: item.products.filter((product) => product !== "balance"),
  consent_expiration_time: maybeMoment(item.consentEndsAt),
  error: item.error ? errorObject(item.error) : null,
  institution_id: item.institution.institution_id,
  institution_name: item.institution.name,
  item_id: item.itemId,
  products: item.products,
  update_type: "background",
  webhook: item.webhook,
});

/** Plaid has one for both books of the product, so it tells of the later of their pulls. */
function investmentsStatus({ shelf, lastFailure }: Item): Record<string, unknown> | null {
  const shelved = [shelf["holdings"], shelf["investment_transactions"]].filter((each) => each !== undefined);
  if (shelved.length === 0) return null;
  const pulls = shelved.flatMap(({ pulledAt }) => pulledAt ?? []);
  return {
    last_failed_update: maybeMoment(lastFailure),
    last_successful_update: maybeMoment(pulls.length === 0 ? null : Math.max(...pulls)),
  };
}

/** Plaid's ItemStatus, of /item/get */
export const statusObject = (item: Item): Record<string, unknown> => ({
  investments: investmentsStatus(item),
  last_webhook: item.lastWebhook
    ? { code_sent: item.lastWebhook.code, sent_at: momentText(item.lastWebhook.at) }
    : null,
  transactions:
    item.stage === "NONE"
      ? null
      : { last_failed_update: maybeMoment(item.lastFailure), last_successful_update: maybeMoment(item.lastSuccess) },
});
