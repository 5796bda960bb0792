/**
 * The securities of investment accounts: a few invented ones of every type that Plaid knows, followed by an
 * endless row of options and treasury bills, so that an account can hold as many as a test needs. An index identifies a security.
 */
import type { Random } from "../random.ts";

export interface SecurityKind {
  name: string | null;
  ticker: string | null;
  type: string | null;
  subtype: string | null;
  /** millionths of the currency, before any move */
  price: number;
  /** ISO 4217, or null where `unofficial` is set */
  currency: string | null;
  unofficial: string | null;
  /** holdings of it are whole multiples of this, in millionths */
  unit: number;
  /** a cash equivalent: its price never moves */
  cash: boolean;
  /** the institution's own: no public price, and an id at the institution */
  house: string | null;
  market: string | null;
  sector: string | null;
  industry: string | null;
  cfi: string | null;
  option: { type: "call" | "put"; expires: string; strike: number; underlying: string } | null;
  /** of securities whose numbers somebody configured */
  numbers?: { isin: string | null; cusip: string | null; sedol: string | null };
  bond: { face: number | null; issued: string | null; matures: string | null; yield: Yield | null } | null;
}

/** Securities of other indexes than the catalogue's, which are below zero. */
const registered = new Map<number, SecurityKind>();

export const registerSecurity = (index: number, kind: SecurityKind): void => void registered.set(index, kind);

interface Yield {
  percentage: number;
  type: "coupon" | "coupon_equivalent" | "discount" | "yield" | null;
}

const MILLION = 1_000_000;

const kind = (
  [type, subtype]: [string | null, string | null],
  name: string | null,
  ticker: string | null,
  price: number,
  more: Partial<SecurityKind> = {},
): SecurityKind => ({
  type,
  subtype,
  name,
  ticker,
  price: Math.round(price * MILLION),
  currency: "USD",
  unofficial: null,
  unit: 1000,
  cash: false,
  house: null,
  market: null,
  sector: null,
  industry: null,
  cfi: null,
  option: null,
  bond: null,
  ...more,
});

const equity = (name: string, ticker: string, price: number, sector: string, industry: string) =>
  kind(["equity", "common stock"], name, ticker, price, { market: "XNAS", sector, industry, cfi: "ESVUFR" });

const coin = (name: string, ticker: string, price: number, more: Partial<SecurityKind> = {}) =>
  kind(["cryptocurrency", "cryptocurrency"], name, ticker, price, { unit: 1, ...more });

const cash = (name: string, currency: string) =>
  kind(["cash", "cash"], name, `CUR:${currency}`, 1, { currency, cash: true, unit: 10_000 });

const bill: Partial<SecurityKind> = { sector: "Government", industry: "Sovereign Government", cfi: "DYZTXR" };

const NAMED: readonly SecurityKind[] = [
  cash("U S Dollar", "USD"),
  cash("Canadian Dollar", "CAD"),
  equity("Platypus Instruments Inc", "PLTY", 2.11, "Health Technology", "Medical Specialties"),
  equity("Houndstooth Logistics Corp", "HNDS", 187.43, "Transportation", "Air Freight or Couriers"),
  equity("Gingham Semiconductor Ltd", "GNGM", 412.9075, "Electronic Technology", "Semiconductors"),
  kind(["etf", "etf"], "Tartan Total Market Index ETF", "TTMX", 96.18, { market: "ARCX", cfi: "CEOGES" }),
  kind(["mutual fund", "mutual fund"], "Tattersall Pacific Growth Fund", "TPGFX", 27, {
    market: "XNAS",
    sector: "Miscellaneous",
    industry: "Investment Trusts or Mutual Funds",
    cfi: "CIOGES",
  }),
  kind(["mutual fund", "fund of funds"], "Retirement Portfolio 2055", null, 13.73, { house: "RP2055" }),
  kind(["fixed income", "bond"], "Herringbone Water District 4.25% 2041", null, 0.98437, {
    sector: "Government",
    bond: {
      face: 1000,
      issued: "2021-06-15",
      matures: "2041-06-15",
      yield: { percentage: 4.25, type: "coupon" },
    },
  }),
  kind(["fixed income", "treasury inflation protected securities"], "US TIPS 2033", null, 94.808, {
    ...bill,
    bond: { face: 100, issued: null, matures: "2033-01-15", yield: null },
  }),
  kind(["derivative", "option"], "HNDS Jan 2028 200 Call", "HNDS280121C00200000", 21.35, {
    unit: 100 * MILLION,
    market: "XNAS",
    cfi: "OCASPS",
    option: { type: "call", expires: "2028-01-21", strike: 200, underlying: "HNDS" },
  }),
  coin("Bitcoin", "BTC", 64_210.55),
  coin("Dogecoin", "DOGE", 0.177_494),
  coin("USD Coin", "USDC", 1, { currency: null, unofficial: "USDC", cash: true }),
  kind(["equity", "common stock"], "Caisse Écossaise SA", "CEC", 71.02, {
    currency: "CAD",
    market: "XTSE",
    sector: "Finance",
    industry: "Major Banks",
    cfi: "ESVUFR",
  }),
  kind(["etf", "etf"], "Maple Tartan Bond ETF", "MTB", 18.4, { currency: "CAD", market: "XTSE" }),
  // Banks send holdings without a name; code that requires a name or a type fails here first.
  kind([null, null], null, null, 10, { unit: MILLION }),
];

const UNDERLYING = ["PLTY", "HNDS", "GNGM"] as const;

/** The security of an index: a named one, or for higher indexes an option or a bill. */
export function securityKind(security: number): SecurityKind {
  const named = NAMED[security] ?? registered.get(security);
  if (named) return named;
  if (security < 0) throw new RangeError("nobody has registered this security");
  const number = security - NAMED.length;
  return number % 3 === 2 ? billNumber(number) : optionNumber(number);
}

function optionNumber(number: number): SecurityKind {
  const underlying = UNDERLYING[number % UNDERLYING.length] as string;
  const type = number % 2 === 0 ? "call" : "put";
  const strike = 5 * (1 + (number % 97));
  const month = String(1 + (number % 12)).padStart(2, "0");
  const expires = `${2028 + (Math.floor(number / 12) % 8)}-${month}-15`;
  return kind(["derivative", "option"], `${underlying} ${expires} ${strike} ${type}`, `${underlying}${number}`, 0.35, {
    unit: 100 * MILLION,
    cfi: type === "call" ? "OCASPS" : "OPASPS",
    option: { type, expires, strike, underlying },
  });
}

const billNumber = (number: number): SecurityKind =>
  kind(["fixed income", "bill"], `US Treasury Bill ${number}`, null, 97.25, {
    ...bill,
    bond: {
      face: 100,
      issued: "2026-01-08",
      matures: `${2027 + (number % 5)}-01-07`,
      yield: { percentage: 3 + (number % 200) / 100, type: "coupon_equivalent" },
    },
  });

export const cashIn = (currency: string): number =>
  NAMED.findIndex((one) => one.type === "cash" && one.currency === currency);

const all = [...NAMED.keys()];

/** The named securities, without money, that an account of this kind and currency may hold. */
export function securitiesFor(subtype: string, currency: string): number[] {
  if (subtype === "crypto exchange") return all.filter((one) => NAMED[one]?.type === "cryptocurrency");
  if (subtype === "stock plan")
    return all.filter((one) => NAMED[one]?.type === "equity" && NAMED[one].currency === "USD");
  return all.filter(
    (one) => NAMED[one]?.currency === currency && !["cash", "cryptocurrency"].includes(NAMED[one].type ?? ""),
  );
}

/** One that is not held yet: a named one while there is one, then the next option or bill. */
export function unheld(random: Random, candidates: readonly number[], held: ReadonlySet<number>): number {
  const left = candidates.filter((one) => !held.has(one));
  if (left.length > 0) return random.pick(left);
  // All named ones are held, and this many others: the first free one is near this index.
  let next = NAMED.length + held.size - candidates.length;
  while (held.has(next)) next += 1;
  return next;
}
