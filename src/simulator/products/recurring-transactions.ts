/**
 * The recurring streams of an Item: posted transactions of one account with one merchant, as Plaid last grouped them. Plaid computes
 * them now and then, not with each transaction, so a stream may name transactions that have changed since; a change of this
 * book looks at the transactions again. The first streams are those of the history that the Item is linked with.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { MERCHANTS, type Merchant } from "../catalogue/merchants.ts";
import { dayText, momentText } from "../days.ts";
import { bookOf, plannedHistory, type Item } from "../item.ts";
import type { Txn } from "../transaction-log.ts";
import { recurringUpdate } from "../webhooks/notices.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

export interface Stream {
  readonly id: string;
  readonly account: Account;
  readonly merchant: number;
  /** the transactions' own name, where they have no merchant */
  readonly note: string | null;
  readonly inflow: boolean;
  /** Plaid's fields, without those of the stream's identity */
  terms: Readonly<Record<string, unknown>>;
}

export interface StreamsState {
  list: Stream[];
  /** ms since the epoch */
  updatedAt: number;
}

/** stream ids, and the accounts that they belong to */
export interface StreamsChange {
  added: string[];
  modified: string[];
  removed: string[];
  accounts: string[];
}

/** One merchant's posted transactions of an account, oldest first. */
interface Group {
  account: Account;
  merchant: number;
  note: string | null;
  txns: [Txn, ...Txn[]];
}

const input = z.strictObject({
  ...changeFields,
  /** streams that Plaid finds among the transactions of today */
  add: countField,
  /** computed again; a stream that would stay as it is ends, or goes on if it had ended */
  modify: countField,
  /** no longer taken for a stream */
  remove: countField,
});

/** So often is a stream mature. */
const MATURE = 3;
/** at the beginning, in each direction */
const MOST_STREAMS = 12;

export const recurringTransactions: ProductBook<StreamsState, typeof input, StreamsChange> = {
  name: "recurring_transactions",
  product: "recurring_transactions",
  nothing: { inflow_streams: [], outflow_streams: [] },
  lacking: () => null,
  make,
  truth: (state) => streamsObject(state.list),
  input,
  change,
  calm: (random) => ({ add: random.below(2), modify: random.below(3), remove: 0, webhooks: true }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    return changeOf([], [], gone);
  },
  everything: ({ list }) => changeOf(list, [], []),
  notice: ({ accounts }) => (accounts.length === 0 ? null : recurringUpdate(accounts)),
  // The Sandbox fires it for an Item with Transactions, so ready-made.ts has it.
  readyMade: () => null,
};

/** Plaid's streams in their two lists. */
export function streamsObject(list: readonly Stream[]): Record<"inflow_streams" | "outflow_streams", unknown[]> {
  const of = (inflow: boolean) =>
    list
      .filter((one) => one.inflow === inflow)
      .map(({ id, account, terms }) => ({ account_id: account.id, stream_id: id, ...terms }));
  return { inflow_streams: of(true), outflow_streams: of(false) };
}

const changeOf = (added: readonly Stream[], modified: readonly Stream[], removed: readonly Stream[]): StreamsChange => {
  const idsOf = (streams: readonly Stream[]): string[] => streams.map(({ id }) => id);
  const accounts = new Set([...added, ...modified, ...removed].map(({ account }) => account.id));
  return { added: idsOf(added), modified: idsOf(modified), removed: idsOf(removed), accounts: [...accounts] };
};

function make(scene: Scene): StreamsState {
  const { item, accounts } = scene;
  const groups = groupsOf(plannedHistory(item, accounts).history);
  const regular = groups.filter(({ txns }) => txns.length > 1);
  const usual = [true, false].flatMap((comesIn) =>
    regular.filter(({ txns: [txn] }) => txn.amount < 0 === comesIn).slice(0, MOST_STREAMS),
  );
  const found = usual.length > 0 ? usual : groups.slice(0, 2);
  return { list: found.map((group) => streamOf(group, scene)), updatedAt: item.createdAt };
}

/** The groups of posted transactions, the largest first. */
function groupsOf(txns: readonly Txn[]): Group[] {
  const groups = new Map<string, Group>();
  for (const txn of txns.filter(({ pending }) => !pending)) {
    const group = groups.get(keyOf(txn));
    if (group) group.txns.push(txn);
    else groups.set(keyOf(txn), { account: txn.account, merchant: txn.merchant, note: txn.note, txns: [txn] });
  }
  for (const { txns: some } of groups.values()) some.sort((a, b) => a.day - b.day || (a.id < b.id ? -1 : 1));
  return [...groups.values()].toSorted((a, b) => b.txns.length - a.txns.length);
}

const streamOf = (group: Group, { random }: Scene): Stream => ({
  id: random.id(),
  account: group.account,
  merchant: group.merchant,
  note: group.note,
  inflow: group.txns[0].amount < 0,
  terms: termsOf(group),
});

/** The names of frequencies, by the longest gap in days that each allows. */
const FREQUENCIES = [
  [9, "WEEKLY"],
  [15, "BIWEEKLY"],
  [20, "SEMI_MONTHLY"],
  [45, "MONTHLY"],
  [300, "UNKNOWN"],
  [430, "ANNUALLY"],
] as const;

function termsOf({ account, merchant, note, txns }: Group): Record<string, unknown> {
  const [first] = txns;
  const last = txns.at(-1) ?? first;
  const gap = txns.length < 2 ? null : Math.max(1, Math.round((last.day - first.day) / (txns.length - 1)));
  const frequency = gap === null ? "UNKNOWN" : (FREQUENCIES.find(([longest]) => gap <= longest)?.[1] ?? "UNKNOWN");
  const sum = txns.reduce((total, { amount }) => total + amount, 0);
  const amountOf = (amount: number) => ({
    amount: amount / 10_000,
    iso_currency_code: account.currency,
    unofficial_currency_code: null,
  });
  return {
    average_amount: amountOf(Math.round(sum / txns.length / 100) * 100),
    category: null,
    category_id: null,
    ...named(note, MERCHANTS[merchant] as Merchant),
    first_date: dayText(first.day),
    frequency,
    is_active: true,
    is_user_modified: false,
    last_amount: amountOf(last.amount),
    last_date: dayText(last.day),
    predicted_next_date: gap === null || frequency === "UNKNOWN" ? null : dayText(last.day + gap),
    status: txns.length < MATURE ? "EARLY_DETECTION" : "MATURE",
    transaction_ids: txns.map(({ id }) => id),
  };
}

function named(note: string | null, merchant: Merchant): Record<string, unknown> {
  if (note !== null) return { description: note, merchant_name: null };
  const { name: description, merchant: merchant_name, confidence: confidence_level, detailed, primary } = merchant;
  const category = { confidence_level, detailed, primary };
  return { description, merchant_name, ...(confidence_level ? { personal_finance_category: category } : {}) };
}

function change(state: StreamsState, request: z.output<typeof input>, scene: Scene): StreamsChange {
  const { random, item, sim } = scene;
  const meant = (account: Account) => request.account_id === undefined || account.id === request.account_id;
  const mine = () => state.list.filter(({ account }) => meant(account));
  const groups = groupsNow(item).filter(({ account }) => meant(account));
  const before = new Set(state.list.map(keyOf));
  const removed = random.sample(mine(), request.remove);
  state.list = state.list.filter((one) => !removed.includes(one));
  const modified = random.sample(mine(), request.modify);
  for (const one of modified) computeAgain(one, groups);
  const added = groups
    .filter((group) => !before.has(keyOf(group)))
    .slice(0, request.add)
    .map((group) => streamOf(group, scene));
  state.list.push(...added);
  state.updatedAt = sim.time.now();
  return changeOf(added, modified, removed);
}

const groupsNow = (item: Item): Group[] => groupsOf(bookOf(item).log.live);

const keyOf = ({ account, merchant, note }: Pick<Stream, "account" | "merchant" | "note">): string =>
  `${account.id}/${note ?? merchant}`;

function computeAgain(one: Stream, groups: readonly Group[]): void {
  const group = groups.find((each) => keyOf(each) === keyOf(one));
  const terms = group ? termsOf(group) : { ...one.terms, is_active: true, status: "EARLY_DETECTION" };
  const isSame = JSON.stringify(terms) === JSON.stringify(one.terms);
  one.terms = isSame ? { ...terms, is_active: false, predicted_next_date: null, status: "TOMBSTONED" } : terms;
}

/** `updated_datetime` of the answer */
export const updatedText = ({ updatedAt }: StreamsState): string => momentText(updatedAt);
