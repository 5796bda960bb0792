/** The form of a holding and a security in Plaid's answers. */
import { securityKind, type SecurityKind } from "../catalogue/securities.ts";
import { dayText, momentText } from "../days.ts";
import type { Quote } from "../market.ts";
import { Random } from "../random.ts";
import type { Holding, Lot } from "./holdings.ts";

/** Quantities and prices are kept in millionths. */
export const MILLION = 1_000_000;
/** New York closes; in UTC, without its summer time */
const CLOSE_HOUR = "21:00:00Z";

/** The value of this quantity at this price, in ten-thousandths. */
export const worth = (quantity: number, price: number): number =>
  Math.round((quantity / MILLION) * (price / MILLION) * 10_000);

const money = (amount: number): number => amount / 10_000;
const maybeMoney = (amount: number | null): number | null => (amount === null ? null : money(amount));

/** A configured quantity may be finer than a millionth. */
const unitsOf = (quantity: number): number =>
  Number.isInteger(quantity) ? quantity / MILLION : Number((quantity / MILLION).toPrecision(12));

export function holdingObject(one: Holding, quote: Quote): Record<string, unknown> {
  const { currency, unofficial, cash, type } = securityKind(one.security);
  const dated = one.dated && !cash;
  return {
    account_id: one.account.id,
    cost_basis: maybeMoney(one.cost),
    institution_price: quote.price / MILLION,
    institution_price_as_of: dated ? dayText(quote.day) : null,
    institution_price_datetime: dated && type === "cryptocurrency" ? `${dayText(quote.day)}T${CLOSE_HOUR}` : null,
    institution_value: money(worth(one.quantity, quote.price)),
    iso_currency_code: currency,
    quantity: unitsOf(one.quantity),
    security_id: one.securityId,
    tax_lots: one.lots.map((lot) => lotObject(lot, quote)),
    unofficial_currency_code: unofficial,
    vested_quantity: one.vested === null ? null : one.vested / MILLION,
    vested_value: one.vested === null ? null : money(worth(one.vested, quote.price)),
  };
}

const lotObject = (lot: Lot, { price }: Quote): Record<string, unknown> => ({
  cost_basis: maybeMoney(lot.cost),
  current_value: money(worth(lot.quantity, price)),
  institution_lot_id: lot.id,
  original_purchase_datetime: lot.bought === null ? null : momentText(lot.bought),
  position_type: lot.quantity < 0 ? "SHORT" : "LONG",
  purchase_price: lot.cost === null ? null : money(Math.round((lot.cost * MILLION) / lot.quantity)),
  quantity: lot.quantity / MILLION,
});

export function securityObject(
  security: number,
  id: string,
  quote: Quote,
  institutionId: string,
): Record<string, unknown> {
  const kind = securityKind(security);
  // An institution's own fund has no public price.
  const open = kind.house === null;
  return {
    cfi_code: kind.cfi,
    close_price: open ? quote.price / MILLION : null,
    close_price_as_of: open ? dayText(quote.day) : null,
    cusip: kind.numbers?.cusip ?? null,
    figi: figiOf(kind),
    fixed_income: fixedIncome(kind.bond),
    industry: kind.industry,
    institution_id: kind.house === null ? null : institutionId,
    institution_security_id: kind.house,
    is_cash_equivalent: kind.type === null ? null : kind.cash,
    isin: kind.numbers?.isin ?? null,
    iso_currency_code: kind.currency,
    market_identifier_code: kind.market,
    name: kind.name,
    option_contract: optionContract(kind.option),
    proxy_security_id: null,
    sector: kind.sector,
    security_id: id,
    sedol: kind.numbers?.sedol ?? null,
    subtype: kind.subtype,
    ticker_symbol: kind.ticker,
    type: kind.type,
    unofficial_currency_code: kind.unofficial,
    update_datetime: open && kind.type === "cryptocurrency" ? `${dayText(quote.day)}T${CLOSE_HOUR}` : null,
  };
}

/** The letters that all of these ids begin with, and nine that depend on the security; an institution's own have none. */
const figiOf = ({ ticker, house, cash }: SecurityKind): string | null =>
  ticker === null || house !== null || cash ? null : `BBG${new Random(`figi/${ticker}`).id(9).toUpperCase()}`;

const optionContract = (option: SecurityKind["option"]): Record<string, unknown> | null =>
  option && {
    contract_type: option.type,
    expiration_date: option.expires,
    strike_price: option.strike,
    underlying_security_ticker: option.underlying,
  };

const fixedIncome = (bond: SecurityKind["bond"]): Record<string, unknown> | null =>
  bond && {
    face_value: bond.face,
    issue_date: bond.issued,
    maturity_date: bond.matures,
    yield_rate: bond.yield,
  };
