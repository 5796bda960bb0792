/**
 * The securities of `user_custom`. Each has an index below zero that follows from what its configuration says of it: the same security is
 * the same for all Items, and after a restart. Its price is that of the holding; it never moves with the market.
 */
import { createHash } from "node:crypto";
import { registerSecurity, type SecurityKind } from "../catalogue/securities.ts";
import type { AccountOverride, SecurityOverride } from "./schema.ts";

/** Codes of three letters that are no currencies of ISO 4217, but of coins. */
const COINS = ["BTC", "ETH", "LTC", "BCH", "XRP", "SOL", "ADA", "DOT", "UNI"];
const OPTION = /^([A-Z]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{8})$/;
const MILLION = 1_000_000;

export const isOfficial = (currency: string): boolean => /^[A-Z]{3}$/.test(currency) && !COINS.includes(currency);

/** The index of a security; it is known from then on. */
export function customSecurity(security: SecurityOverride, currency: string): number {
  const facts = [security.isin, security.cusip, security.sedol, security.ticker_symbol, security.name, currency];
  const digest = createHash("sha256").update(JSON.stringify(facts)).digest();
  const index = -1 - digest.readUIntBE(0, 6);
  registerSecurity(index, kindOf(security, security.currency ?? currency));
  return index;
}

/** Makes the securities of an account known again, after a restart. */
export function knowSecurities(override: AccountOverride | null): void {
  for (const { security, currency } of override?.holdings ?? []) customSecurity(security, currency);
  for (const { security, currency } of override?.investment_transactions ?? [])
    if (security) customSecurity(security, currency);
}

function kindOf(security: SecurityOverride, currency: string): SecurityKind {
  const ticker = security.ticker_symbol ?? null;
  const money = ticker?.startsWith("CUR:") ? ticker.slice(4) : null;
  const option = optionOf(ticker);
  const official = isOfficial(currency);
  const cash = money !== null && isOfficial(money);
  const [type, subtype] = typeOf(money, cash, option !== null);
  return {
    name: security.name ?? null,
    ticker,
    type,
    subtype,
    price: MILLION,
    currency: official ? currency : null,
    unofficial: official ? null : currency,
    unit: 1,
    cash,
    house: null,
    market: null,
    sector: null,
    industry: null,
    cfi: null,
    option,
    bond: null,
    numbers: { isin: security.isin ?? null, cusip: security.cusip ?? null, sedol: security.sedol ?? null },
  };
}

function typeOf(money: string | null, cash: boolean, option: boolean): [string, string] {
  if (cash) return ["cash", "cash"];
  if (money !== null) return ["cryptocurrency", "cryptocurrency"];
  return option ? ["derivative", "option"] : ["equity", "common stock"];
}

/** A symbol of the Options Clearing Corporation, such as F241108C00005000: a call of 8 November 2024 at 5. */
function optionOf(ticker: string | null): SecurityKind["option"] {
  const [, underlying, year, month, day, side, strike] = OPTION.exec(ticker ?? "") ?? [];
  if (underlying === undefined) return null;
  return {
    type: side === "C" ? "call" : "put",
    expires: `20${year}-${month}-${day}`,
    strike: Number(strike) / 1000,
    underlying,
  };
}
