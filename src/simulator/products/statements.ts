/**
 * The statements of an Item's accounts: one for each month, as far as Plaid has fetched them. Which months those are is decided when
 * the Item is linked, and widened by /statements/refresh. Plaid announces only the end of a refresh; here each change through
 * the control counts as one.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { dayOf, dayText } from "../days.ts";
import { bookOf, type Item } from "../item.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

export interface Statement {
  readonly id: string;
  readonly account: Account;
  /** months since the year 0 */
  readonly month: number;
  /** a day; null: the bank does not say */
  posted: number | null;
}

export interface StatementsState {
  list: Statement[];
}

/** statement ids */
export interface StatementsChange {
  added: string[];
  modified: string[];
  removed: string[];
}

const input = z.strictObject({
  ...changeFields,
  /** statements of the newest months that lack one */
  add: countField,
  /** posted on another day */
  modify: countField,
  remove: countField,
  /** months that Plaid fetches from the bank: each account gets the statements that it lacks */
  refresh: z.strictObject({ from: z.int(), to: z.int() }).optional(),
});

const ISSUED: readonly string[] = ["checking", "savings", "money market", "cash management", "credit card"];
const SANDBOX_MONTHS = 6;

export const statements: ProductBook<StatementsState, typeof input, StatementsChange> = {
  name: "statements",
  product: "statements",
  nothing: { accounts: [] },
  lacking: () => null,
  make: (scene) => ({ list: scene.accounts.filter(hasStatements).flatMap((account) => issued(account, scene)) }),
  truth: (state, item) => ({ accounts: statementAccounts(state, item) }),
  input,
  change,
  calm: (random) => ({ add: random.chance(0.2) ? 1 : 0, modify: 0, remove: 0, webhooks: true }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    return { added: [], modified: [], removed: gone.map(idOf) };
  },
  everything: ({ list }) => ({ added: list.map(idOf), modified: [], removed: [] }),
  notice: ({ added, modified, removed }) =>
    added.length + modified.length + removed.length === 0 ? null : refreshComplete(),
  readyMade: (kind) => (kind === "STATEMENTS/STATEMENTS_REFRESH_COMPLETE" ? refreshComplete() : null),
};

export const refreshComplete = (): WebhookNotice => ({
  type: "STATEMENTS",
  code: "STATEMENTS_REFRESH_COMPLETE",
  fields: { result: "SUCCESS" },
});

const idOf = ({ id }: Statement): string => id;

const hasStatements = ({ kind }: Account): boolean => ISSUED.includes(kind.subtype);

export const monthOf = (day: number): number => {
  const date = new Date(day * 86_400_000);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
};

/** Plaid's StatementsAccount of each account that may have statements, with them, the newest first. */
export function statementAccounts({ list }: StatementsState, item: Item): Record<string, unknown>[] {
  const accounts = bookOf(item).accounts.filter(hasStatements);
  return accounts.map((account) => ({
    account_id: account.id,
    account_mask: account.kind.mask ?? "",
    account_name: account.kind.name,
    account_official_name: account.kind.official_name ?? account.kind.name,
    account_subtype: account.kind.subtype,
    account_type: account.kind.type,
    statements: list
      .filter((one) => one.account === account)
      .toSorted((a, b) => b.month - a.month)
      .map(statementObject),
  }));
}

const statementObject = ({ id, month, posted }: Statement): Record<string, unknown> => ({
  date_posted: posted === null ? null : dayText(posted),
  month: (month % 12) + 1,
  statement_id: id,
  year: Math.floor(month / 12),
});

/** The statements that exist when the Item is linked: of the last months, without the current one. */
function issued(account: Account, { item, random }: Scene): Statement[] {
  const months = item.plan.username === "user_good" ? SANDBOX_MONTHS : random.between(1, SANDBOX_MONTHS);
  const last = monthOf(dayOf(item.createdAt)) - 1;
  return Array.from({ length: months }, (_, back) => draw(account, last - back, random));
}

const draw = (account: Account, month: number, random: Random): Statement => ({
  id: random.id(),
  account,
  month,
  posted: random.chance(0.1) ? null : postedIn(month + 1, random),
});

/** One of the first days of a month. */
const postedIn = (month: number, random: Random): number =>
  Date.UTC(Math.floor(month / 12), month % 12, random.between(1, 5)) / 86_400_000;

function change(state: StatementsState, request: z.output<typeof input>, scene: Scene): StatementsChange {
  const { random, sim } = scene;
  const meant = (account: Account) => request.account_id === undefined || account.id === request.account_id;
  const mine = () => state.list.filter((one) => meant(one.account));
  const accounts = scene.accounts.filter((account) => hasStatements(account) && meant(account));
  const gone = random.sample(mine(), request.remove);
  state.list = state.list.filter((one) => !gone.includes(one));
  const modified = random.sample(mine(), request.modify);
  for (const one of modified) one.posted = otherDay(one, random);
  const last = monthOf(sim.today()) - 1;
  const adding = accounts.length === 0 ? 0 : request.add;
  const added = Array.from({ length: adding }, () => fill(state, accounts, last, random));
  if (request.refresh) added.push(...fetchMonths(state, accounts, request.refresh, { random, last }));
  return { added: added.map(idOf), modified: modified.map(idOf), removed: gone.map(idOf) };
}

function otherDay({ month, posted }: Statement, random: Random): number {
  const drawn = postedIn(month + 1, random);
  return drawn === posted ? drawn + 5 : drawn;
}

/** Adds the statement of the newest month that lacks one. */
function fill(state: StatementsState, accounts: readonly Account[], last: number, random: Random): Statement {
  const account = random.pick(accounts);
  const known = new Set(state.list.filter((one) => one.account === account).map((one) => one.month));
  let month = last;
  while (known.has(month)) month -= 1;
  const one = draw(account, month, random);
  state.list.push(one);
  return one;
}

/** What a refresh of these months brings: a statement of each month up to `last` that has none yet. */
function fetchMonths(
  state: StatementsState,
  accounts: readonly Account[],
  { from, to }: { from: number; to: number },
  { random, last }: { random: Random; last: number },
): Statement[] {
  const count = Math.max(0, Math.min(to, last) - from + 1);
  const brought = accounts.flatMap((account) => {
    const known = new Set(state.list.filter((one) => one.account === account).map((one) => one.month));
    const months = Array.from({ length: count }, (_, n) => from + n).filter((month) => !known.has(month));
    return months.map((month) => draw(account, month, random));
  });
  state.list.push(...brought);
  return brought;
}
