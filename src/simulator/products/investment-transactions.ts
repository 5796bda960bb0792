/**
 * The transactions of an Item's investment accounts: what was bought and sold, dividends, fees and transfers of the last two years. A
 * cancelled one is gone, as at Plaid, whose answers then lack it. They do not move balances or positions, which the holdings have.
 *
 * Quantities and prices are in millionths, money in ten-thousandths, as in holdings.ts. Money out is positive, and so is what was bought.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { securitiesFor, securityKind } from "../catalogue/securities.ts";
import { dayOf, dayText, momentText } from "../days.ts";
import type { Quote } from "../market.ts";
import { noAccountsOf } from "../plaid-error.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { MILLION, securityObject, worth } from "./holding-object.ts";
import { isInvestment } from "./holdings.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

export interface Trade {
  readonly id: string;
  readonly account: Account;
  /** null: it is about money alone */
  readonly security: { index: number; id: string } | null;
  readonly kind: TradeKind;
  day: number;
  /** ms since the epoch; null: the institution does not say when it was ordered */
  readonly ordered: number | null;
  readonly quantity: number;
  readonly price: number;
  amount: number;
  /** null: the institution does not say */
  fees: number | null;
}

export interface TradesState {
  list: Trade[];
  /** the prices of the securities at the Item's last pull */
  quotes: Map<number, Quote>;
}

/** ids; the first pull is a change too */
export interface TradesChange {
  added: string[];
  modified: string[];
  removed: string[];
  first?: true;
}

interface TradeKind {
  type: "buy" | "sell" | "cash" | "fee" | "transfer";
  subtype: string;
  verb: string;
  /** 1: units come in, -1: they go, 0: it is about money */
  units: 1 | -1 | 0;
  /** 1: money goes out, -1: it comes in */
  money: 1 | -1;
  /** whether it names a security */
  named: boolean;
}

const KINDS: readonly TradeKind[] = [
  { type: "buy", subtype: "buy", verb: "BUY", units: 1, money: 1, named: true },
  { type: "buy", subtype: "buy", verb: "BUY", units: 1, money: 1, named: true },
  { type: "buy", subtype: "dividend reinvestment", verb: "REINVESTMENT", units: 1, money: 1, named: true },
  { type: "sell", subtype: "sell", verb: "SELL", units: -1, money: -1, named: true },
  { type: "cash", subtype: "dividend", verb: "DIVIDEND", units: 0, money: -1, named: true },
  { type: "cash", subtype: "contribution", verb: "CONTRIBUTION", units: 0, money: -1, named: false },
  { type: "cash", subtype: "interest", verb: "INTEREST", units: 0, money: -1, named: false },
  { type: "fee", subtype: "management fee", verb: "ADVISORY FEE", units: 0, money: 1, named: false },
  { type: "transfer", subtype: "transfer", verb: "TRANSFER IN", units: 1, money: 1, named: true },
];

const DAY_MS = 86_400_000;
/** Plaid has 24 months of them. */
const HISTORY_DAYS = 720;
/** New ones settle within so many days before today. */
const FRESH_DAYS = 3;

const input = z.strictObject({
  ...changeFields,
  add: countField,
  /** another fee, or another day of settlement */
  modify: countField,
  /** cancelled */
  remove: countField,
  /** the new ones are from this many days ago at the most */
  days: z.int().min(0).max(10_000).default(FRESH_DAYS),
});

export const investmentTransactions: ProductBook<TradesState, typeof input, TradesChange> = {
  name: "investment_transactions",
  product: "investments",
  nothing: { investment_transactions: [], securities: [] },
  lacking: (accounts) => (accounts.some(isInvestment) ? null : noAccountsOf("investment")),
  make,
  truth(state, item) {
    const list = newestTradesFirst(state);
    return {
      investment_transactions: list.map(tradeObject),
      securities: securitiesOf(state, list, item.institution.institution_id),
    };
  },
  input,
  change,
  calm: (random) => ({
    add: random.below(2),
    modify: random.chance(0.2) ? 1 : 0,
    remove: random.chance(0.1) ? 1 : 0,
    days: FRESH_DAYS,
    webhooks: true,
  }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    return { added: [], modified: [], removed: gone.map(({ id }) => id) };
  },
  everything: ({ list }) => ({ added: list.map(({ id }) => id), modified: [], removed: [], first: true }),
  notice({ added, modified, removed, first }) {
    if (first) return update("HISTORICAL_UPDATE", added.length, 0);
    if (added.length + modified.length + removed.length === 0) return null;
    return update("DEFAULT_UPDATE", added.length + modified.length, removed.length);
  },
  readyMade(kind) {
    if (kind === "INVESTMENTS_TRANSACTIONS/DEFAULT_UPDATE") return update("DEFAULT_UPDATE", 1, 0);
    return kind === "INVESTMENTS_TRANSACTIONS/HISTORICAL_UPDATE" ? update("HISTORICAL_UPDATE", 1, 0) : null;
  },
};

const update = (code: "DEFAULT_UPDATE" | "HISTORICAL_UPDATE", added: number, cancelled: number): WebhookNotice => ({
  type: "INVESTMENTS_TRANSACTIONS",
  code,
  fields: {
    cancelled_investments_transactions: cancelled,
    error: null,
    new_investments_transactions: added,
  },
  withUser: true,
});

/** Newest first, in an order that does not change while they do not. */
export const newestTradesFirst = ({ list }: TradesState): Trade[] =>
  list.toSorted((a, b) => b.day - a.day || (a.id < b.id ? -1 : 1));

/** Plaid's InvestmentTransaction */
export function tradeObject(one: Trade): Record<string, unknown> {
  const kind = one.security && securityKind(one.security.index);
  return {
    account_id: one.account.id,
    amount: one.amount / 10_000,
    cancel_transaction_id: null,
    date: dayText(one.day),
    fees: one.fees === null ? null : one.fees / 10_000,
    investment_transaction_id: one.id,
    iso_currency_code: kind?.unofficial ? null : one.account.currency,
    name: [one.kind.verb, kind?.name].filter(Boolean).join(" "),
    price: one.price / MILLION,
    quantity: one.quantity / MILLION,
    security_id: one.security?.id ?? null,
    subtype: one.kind.subtype,
    transaction_datetime: one.ordered === null ? null : momentText(one.ordered),
    type: one.kind.type,
    unofficial_currency_code: kind?.unofficial ?? null,
  };
}

/** The securities that these name, each once. */
export function securitiesOf(
  { quotes }: TradesState,
  trades: readonly Trade[],
  institutionId: string,
): Record<string, unknown>[] {
  const named = new Map(trades.flatMap(({ security }) => (security ? [[security.index, security.id] as const] : [])));
  return [...named].map(([index, id]) => securityObject(index, id, quotes.get(index) as Quote, institutionId));
}

function make(scene: Scene): TradesState {
  const { accounts, item, random, sim } = scene;
  const state: TradesState = { list: [], quotes: new Map() };
  const today = dayOf(item.createdAt);
  for (const account of accounts.filter(isInvestment)) {
    for (let left = random.between(4, 30); left > 0; left -= 1) {
      const day = today - random.below(HISTORY_DAYS);
      state.list.push(draw(scene, state, account, day, (index) => sim.world.market.opening(index, today)));
    }
  }
  return state;
}

function draw(
  scene: Scene,
  state: TradesState,
  account: Account,
  day: number,
  quoted: (index: number) => Quote,
): Trade {
  const { random, item, sim } = scene;
  const kind = random.pick(KINDS);
  const index = kind.named ? random.pick(securitiesFor(account.kind.subtype, account.currency)) : null;
  const quote = index === null ? null : (state.quotes.get(index) ?? quoted(index));
  if (index !== null && quote) state.quotes.set(index, quote);
  const price = kind.units === 0 || !quote ? 0 : quote.price;
  const unit = index === null ? 0 : securityKind(index).unit;
  const quantity = kind.units === 0 ? 0 : kind.units * unit * random.between(1, Math.max(1, (40 * MILLION) / unit));
  const value =
    kind.units === 0 ? random.between(1, 900) * 100 * random.between(1, 100) : worth(Math.abs(quantity), price);
  return {
    id: random.id(),
    account,
    security: index === null ? null : { index, id: sim.world.market.idOf(index, item.institution.institution_id) },
    kind,
    day,
    ordered: random.chance(0.3) ? day * DAY_MS + random.below(DAY_MS) : null,
    quantity,
    price,
    amount: kind.money * value,
    fees: random.chance(0.2) ? null : random.below(10) * 9900,
  };
}

function change(state: TradesState, request: z.output<typeof input>, scene: Scene): TradesChange {
  const { random, accounts, sim } = scene;
  const meant = (account: Account) => request.account_id === undefined || account.id === request.account_id;
  const mine = () => state.list.filter(({ account }) => meant(account));
  const removed = random.sample(mine(), request.remove);
  const gone = new Set(removed);
  state.list = state.list.filter((one) => !gone.has(one));
  const modified = random.sample(mine(), request.modify);
  for (const one of modified) correct(one, scene);
  const into = accounts.filter((account) => isInvestment(account) && meant(account));
  const latest = (index: number) => sim.world.market.latest(index, sim.today());
  const added = Array.from({ length: into.length === 0 ? 0 : request.add }, () =>
    draw(scene, state, random.pick(into), sim.today() - random.below(request.days + 1), latest),
  );
  state.list.push(...added);
  const idsOf = (trades: readonly Trade[]): string[] => trades.map(({ id }) => id);
  return { added: idsOf(added), modified: idsOf(modified), removed: idsOf(removed) };
}

function correct(one: Trade, { random }: Scene): void {
  if (random.chance(0.5)) one.fees = (one.fees ?? 0) + random.between(1, 20) * 100;
  else one.day -= 1;
}
