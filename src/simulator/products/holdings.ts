/**
 * The holdings of an Item's investment accounts. A row's key is account and security: Plaid's schema has no other field that could
 * distinguish two rows, and the lots of one position are inside its row (`tax_lots`). The same security may be held in several accounts,
 * and all rows of it show one price.
 *
 * The holdings of an account add up to its balance: when the account is made, the rest of the balance is cash, and every change of a
 * row's value changes the balance by the same amount.
 *
 * Quantities and prices are in millionths, money in ten-thousandths. A position that was sold short is negative.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { cashIn, securitiesFor, securityKind, unheld } from "../catalogue/securities.ts";
import type { HoldingOverride } from "../custom/schema.ts";
import { customSecurity } from "../custom/securities.ts";
import { dayOf, parseDay } from "../days.ts";
import type { Quote } from "../market.ts";
import { noAccountsOf } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { holdingObject, MILLION, securityObject, worth } from "./holding-object.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

export interface Lot {
  id: string | null;
  /** ms since the epoch */
  bought: number | null;
  quantity: number;
  cost: number | null;
}

export interface Holding {
  readonly account: Account;
  readonly security: number;
  readonly securityId: string;
  quantity: number;
  /** null: the institution does not say */
  cost: number | null;
  vested: number | null;
  /** the institution says when its price was current */
  readonly dated: boolean;
  /** [] where the institution does not report lots */
  lots: Lot[];
}

export interface HoldingsState {
  list: Holding[];
  /** the prices of the securities at the Item's last pull */
  quotes: Map<number, Quote>;
  /** borrowed in a margin account */
  margins: Map<Account, number>;
  /** the user typed the portfolio in by hand */
  readonly fallback: boolean;
}

/** The key of a row, as Plaid names it. */
export interface HoldingKey {
  account_id: string;
  security_id: string;
}

export interface HoldingsChange {
  added: HoldingKey[];
  modified: HoldingKey[];
  removed: HoldingKey[];
}

const YEAR_MS = 365 * 86_400_000;
/** Institutions that report lots. */
const KEEPS_LOTS: readonly string[] = ["ins_109508", "ins_109510", "ins_109512", "ins_900001", "ins_900005"];

const input = z.strictObject({
  ...changeFields,
  add: countField,
  /** bought more of, sold a part of, or another cost basis */
  modify: countField,
  remove: countField,
  /** how many securities get a new price, or all of them */
  reprice: z.union([countField, z.literal("all")]).default(0),
});

export const holdings: ProductBook<HoldingsState, typeof input, HoldingsChange> = {
  name: "holdings",
  product: "investments",
  nothing: { holdings: [], securities: [] },
  lacking: (accounts) => (accounts.some(isInvestment) ? null : noAccountsOf("investment")),
  make,
  truth: (state, item) => holdingsAnswer(state, state.list, item.institution.institution_id),
  input,
  change,
  calm: (random) => ({
    add: random.chance(0.2) ? 1 : 0,
    modify: random.below(2),
    remove: random.chance(0.1) ? 1 : 0,
    reprice: random.between(1, 3),
    webhooks: true,
  }),
  dropAccount(state, account) {
    const removed = state.list.filter((one) => one.account === account);
    takeAll(state, removed);
    state.margins.delete(account);
    return { added: [], modified: [], removed: removed.map(keyOf) };
  },
  everything: ({ list }) => ({ added: list.map(keyOf), modified: [], removed: [] }),
  notice({ added, modified, removed }) {
    if (added.length + modified.length + removed.length === 0) return null;
    return defaultUpdate(added.length, modified.length + removed.length);
  },
  readyMade: (kind) => (kind === "HOLDINGS/DEFAULT_UPDATE" ? defaultUpdate(1, 0) : null),
};

const defaultUpdate = (added: number, updated: number): WebhookNotice => ({
  type: "HOLDINGS",
  code: "DEFAULT_UPDATE",
  fields: { error: null, new_holdings: added, updated_holdings: updated },
  withUser: true,
});

/** Rows and the securities that they name, as Plaid shows them. */
export function holdingsAnswer(
  state: HoldingsState,
  rows: readonly Holding[],
  institutionId: string,
): { holdings: Record<string, unknown>[]; securities: Record<string, unknown>[] } {
  const named = new Map(rows.map((one) => [one.security, one.securityId]));
  return {
    holdings: rows.map((one) => holdingObject(one, quoteOf(state, one.security))),
    securities: [...named].map(([security, id]) =>
      securityObject(security, id, quoteOf(state, security), institutionId),
    ),
  };
}

/** The margin loan of this account, in currency; null: it is not a margin account. */
export function marginOf({ margins }: HoldingsState, account: Account): number | null {
  const borrowed = margins.get(account);
  return borrowed === undefined ? null : borrowed / 10_000;
}

export const isInvestment = (account: Account): boolean => account.kind.type === "investment";

const keyOf = ({ account, securityId }: Holding): HoldingKey => ({ account_id: account.id, security_id: securityId });

const quoteOf = (state: HoldingsState, security: number): Quote => state.quotes.get(security) as Quote;

const valueOf = (state: HoldingsState, one: Holding): number => worth(one.quantity, quoteOf(state, one.security).price);

function make(scene: Scene): HoldingsState {
  const { random, item, accounts } = scene;
  const fallback = item.plan.username === "controlled" && random.chance(0.05);
  const state: HoldingsState = { list: [], quotes: new Map(), margins: new Map(), fallback };
  for (const account of accounts.filter(isInvestment)) {
    const { override } = account;
    if (override?.holdings === undefined) fill(state, account, scene);
    else {
      const held = override.holdings.map((one) => configured(state, account, one, scene));
      // An account has one row of each security: of one that is configured twice, the last counts.
      state.list.push(...new Map(held.map((one) => [one.security, one])).values());
    }
  }
  return state;
}

/** A holding of `user_custom`. Its price is the one that its configuration names. */
function configured(state: HoldingsState, account: Account, one: HoldingOverride, { sim, item }: Scene): Holding {
  const security = customSecurity(one.security, one.currency);
  const day = one.institution_price_as_of === undefined ? null : parseDay(one.institution_price_as_of);
  state.quotes.set(security, {
    price: Math.round(one.institution_price * MILLION),
    day: day ?? dayOf(item.createdAt) - 1,
  });
  return {
    account,
    security,
    securityId: sim.world.market.idOf(security, item.institution.institution_id),
    quantity: Math.round(one.quantity * MILLION * MILLION) / MILLION,
    cost: one.cost_basis === undefined ? null : Math.round(one.cost_basis * 10_000),
    vested: null,
    dated: day !== null,
    lots: [],
  };
}

/** One to five securities, each for up to a sixth of the balance, and the rest in money. */
function fill(state: HoldingsState, account: Account, scene: Scene): void {
  const { random, item, sim } = scene;
  const today = dayOf(item.createdAt);
  let left = account.kind.current;
  const held = random.sample(securitiesFor(account.kind.subtype, account.currency), random.between(1, 5));
  for (const security of held) {
    const quote = sim.world.market.opening(security, today);
    const short = account.kind.subtype === "brokerage" && random.chance(0.1);
    const share = account.kind.current * (0.02 + 0.14 * random.fraction());
    const quantity = wholeUnits(share, security, quote.price) * (short ? -1 : 1);
    if (quantity === 0) continue;
    left -= worth(quantity, quote.price);
    state.quotes.set(security, quote);
    state.list.push(draw(scene, account, security, quantity, quote.price));
  }
  const cash = cashIn(account.currency);
  state.quotes.set(cash, sim.world.market.opening(cash, today));
  state.list.push(draw(scene, account, cash, left * 100, MILLION));
  if (account.kind.subtype === "brokerage" && random.chance(0.5))
    state.margins.set(account, random.between(1, 5000) * 10_000);
}

/** As many as this money buys, in the units that the security comes in. */
function wholeUnits(money: number, security: number, price: number): number {
  const { unit } = securityKind(security);
  return Math.floor((money * 100 * MILLION) / price / unit) * unit;
}

function draw(scene: Scene, account: Account, security: number, quantity: number, price: number): Holding {
  const { random, item, sim } = scene;
  const { type, cash } = securityKind(security);
  const value = worth(quantity, price);
  const cost = random.chance(0.15) ? null : Math.round(cash ? value : value * (0.6 + 0.6 * random.fraction()));
  const vests = type === "equity" && (account.kind.subtype === "stock plan" || random.chance(0.2));
  const vested = vests && quantity > 0 ? Math.floor((quantity * random.between(0, 4)) / 4) : null;
  const keepsLots = KEEPS_LOTS.includes(item.institution.institution_id) && !cash;
  return {
    account,
    security,
    securityId: sim.world.market.idOf(security, item.institution.institution_id),
    quantity,
    cost,
    vested,
    dated: random.chance(0.85),
    lots: keepsLots ? drawLots(random, quantity, cost, item.createdAt) : [],
  };
}

/** One to three lots that add up to the position and its cost. */
function drawLots(random: Random, quantity: number, cost: number | null, before: number): Lot[] {
  const lots: Lot[] = [];
  let [quantityLeft, costLeft] = [quantity, cost];
  for (let number = random.between(1, 3); number > 0; number -= 1) {
    const part = Math.trunc(quantityLeft / number);
    const paid = costLeft === null ? null : Math.trunc(costLeft / number);
    if (part === 0) continue;
    lots.push(drawLot(random, part, paid, before - random.below(5 * YEAR_MS)));
    quantityLeft -= part;
    if (costLeft !== null && paid !== null) costLeft -= paid;
  }
  return lots;
}

const drawLot = (random: Random, quantity: number, cost: number | null, bought: number): Lot => ({
  id: random.chance(0.8) ? `LOT${random.between(100_000, 999_999)}` : null,
  bought: random.chance(0.9) ? bought : null,
  quantity,
  cost,
});

function change(state: HoldingsState, request: z.output<typeof input>, scene: Scene): HoldingsChange {
  const { random, accounts } = scene;
  const mine = () =>
    state.list.filter((one) => request.account_id === undefined || one.account.id === request.account_id);
  const held = heldIn(state);
  const removed = random.sample(mine(), request.remove);
  for (const one of removed) one.account.current -= valueOf(state, one);
  takeAll(state, removed);
  const modified = new Set(random.sample(mine(), request.modify));
  for (const one of modified) modify(state, one, scene);
  for (const one of reprice(state, mine(), request.reprice, scene)) modified.add(one);
  const into = accounts.filter(
    (one) => isInvestment(one) && (request.account_id === undefined || one.id === request.account_id),
  );
  const adding = into.length === 0 ? 0 : request.add;
  const added = Array.from({ length: adding }, () => add(state, random.pick(into), held, scene));
  return { added: added.map(keyOf), modified: [...modified].map(keyOf), removed: removed.map(keyOf) };
}

function takeAll(state: HoldingsState, gone: readonly Holding[]): void {
  const left = new Set(gone);
  state.list = state.list.filter((one) => !left.has(one));
  const held = new Set(state.list.map((one) => one.security));
  for (const security of state.quotes.keys()) if (!held.has(security)) state.quotes.delete(security);
}

/** Bought more, sold a part, or corrected what it had cost. */
function modify(state: HoldingsState, one: Holding, { random, sim }: Scene): void {
  if (random.chance(0.1)) return correctCost(one, random);
  const before = valueOf(state, one);
  const { unit } = securityKind(one.security);
  const step = Math.max(unit, Math.round((Math.abs(one.quantity) * random.between(5, 50)) / 100 / unit) * unit);
  const sells = random.chance(0.4) && Math.abs(one.quantity) > step;
  const moved = (one.quantity < 0 ? -step : step) * (sells ? -1 : 1);
  const kept = (one.quantity + moved) / one.quantity;
  one.quantity += moved;
  one.account.current += valueOf(state, one) - before;
  const paid = valueOf(state, one) - before;
  if (one.cost !== null) one.cost = sells ? Math.round(one.cost * kept) : one.cost + paid;
  if (one.vested !== null) one.vested = Math.min(one.vested, one.quantity);
  if (one.lots.length === 0) return;
  if (sells) one.lots = drawLots(random, one.quantity, one.cost, sim.time.now());
  else one.lots.push(drawLot(random, moved, one.cost === null ? null : paid, sim.time.now()));
}

function correctCost(one: Holding, random: Random): void {
  one.cost = one.cost === null ? random.between(1, 10_000) * 10_000 : null;
  for (const lot of one.lots)
    lot.cost = one.cost === null ? null : Math.round((one.cost * lot.quantity) / one.quantity);
}

/** Moves prices and pulls the Item: every row of these securities changes, also in other accounts. */
function reprice(
  state: HoldingsState,
  rows: readonly Holding[],
  requested: number | "all",
  { random, sim }: Scene,
): Holding[] {
  // What somebody configured, below zero, has no price on the market.
  const all = [...new Set(rows.map((one) => one.security))].filter((one) => one >= 0 && !securityKind(one).cash);
  const chosen = new Set(requested === "all" ? all : random.sample(all, requested));
  const affected = state.list.filter((one) => chosen.has(one.security));
  for (const one of affected) one.account.current -= valueOf(state, one);
  for (const security of chosen) state.quotes.set(security, sim.world.market.move(security, sim.today()));
  for (const one of affected) one.account.current += valueOf(state, one);
  return affected;
}

/** The keys of each account's rows; a row that goes and comes back within one change is neither removed nor added. */
function heldIn({ list }: HoldingsState): Map<Account, Set<number>> {
  const held = new Map<Account, Set<number>>();
  for (const { account, security } of list) held.set(account, (held.get(account) ?? new Set()).add(security));
  return held;
}

function add(state: HoldingsState, account: Account, held: Map<Account, Set<number>>, scene: Scene): Holding {
  const { random, sim } = scene;
  const candidates = [cashIn(account.currency), ...securitiesFor(account.kind.subtype, account.currency)];
  const mine = held.get(account) ?? new Set();
  const security = unheld(random, candidates, mine);
  held.set(account, mine.add(security));
  const quote = state.quotes.get(security) ?? sim.world.market.latest(security, sim.today());
  state.quotes.set(security, quote);
  const money = random.between(50, 2000) * 10_000;
  const quantity = Math.max(securityKind(security).unit, wholeUnits(money, security, quote.price));
  const one = draw(scene, account, security, quantity, quote.price);
  state.list.push(one);
  account.current += valueOf(state, one);
  return one;
}
