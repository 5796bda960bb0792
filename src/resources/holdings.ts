/**
 * What the investment accounts of an Item hold, and the securities that it names
 * (https://plaid.com/docs/api/products/investments/#investmentsholdingsget). Plaid's securities belong to no Item, but an
 * institution may have ids and names of its own for them, and what is kept of an Item goes with it: so each Item has its own rows.
 * A holding has no id: account and security tell it apart, and its lots are inside its row (`tax_lots`).
 */
import { ITEM } from "./subjects.ts";
import { boolean, date, jsonb, numeric, text, timestamptz, type Resource } from "./types.ts";

export const holdings: Resource = {
  name: "holdings",
  touchedBy: [
    { type: "HOLDINGS" },
    { type: "ITEM", codes: ["CREATED", "UPDATED", "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED", "LOGIN_REPAIRED"] },
  ],
  subject: ITEM,
  products: ["investments"],
  fetch: { kind: "snapshot", endpoint: "/investments/holdings/get", none: ["NO_INVESTMENT_ACCOUNTS"] },
  updatedWith: ["investments"],
  tables: [
    {
      name: "holdings",
      row: "how much of a security an account holds",
      rows: [{ at: "holdings" }],
      key: ["account_id", "security_id"],
      columns: [
        numeric("quantity"),
        numeric("institution_price"),
        date("institution_price_as_of"),
        timestamptz("institution_price_datetime"),
        numeric("institution_value"),
        numeric("cost_basis"),
        numeric("vested_quantity"),
        numeric("vested_value"),
        text("iso_currency_code"),
        text("unofficial_currency_code"),
        jsonb("tax_lots"),
      ],
      event: {
        rows: "holdings",
        example: {
          account_id: "k67E4xKvMlhmleEa4pg9hlwGGNnnEeixPolGm",
          security_id: "KDwjlXj1Rqt58dVvmzRguxJybmyQL8FgeWWAy",
          quantity: 13,
          institution_price: 10.42,
          institution_price_as_of: "2026-11-19",
          institution_value: 135.46,
          cost_basis: 103.2,
          iso_currency_code: "USD",
          unofficial_currency_code: null,
        },
      },
    },
    {
      name: "securities",
      row: "a security that an item's holdings name",
      rows: [{ at: "securities" }],
      key: ["security_id"],
      columns: [
        text("isin"),
        text("cusip"),
        text("sedol"),
        text("institution_security_id"),
        text("institution_id"),
        text("proxy_security_id"),
        text("name"),
        text("ticker_symbol"),
        boolean("is_cash_equivalent"),
        text("type"),
        text("subtype"),
        numeric("close_price"),
        date("close_price_as_of"),
        timestamptz("update_datetime"),
        text("iso_currency_code"),
        text("unofficial_currency_code"),
        text("market_identifier_code"),
        text("sector"),
        text("industry"),
        text("cfi_code"),
        text("figi"),
        text("option_contract_contract_type", "option_contract.contract_type"),
        date("option_contract_expiration_date", "option_contract.expiration_date"),
        numeric("option_contract_strike_price", "option_contract.strike_price"),
        text("option_contract_underlying_security_ticker", "option_contract.underlying_security_ticker"),
        numeric("fixed_income_face_value", "fixed_income.face_value"),
        date("fixed_income_issue_date", "fixed_income.issue_date"),
        date("fixed_income_maturity_date", "fixed_income.maturity_date"),
        numeric("fixed_income_yield_rate_percentage", "fixed_income.yield_rate.percentage"),
        text("fixed_income_yield_rate_type", "fixed_income.yield_rate.type"),
      ],
      event: {
        rows: "securities",
        example: {
          security_id: "KDwjlXj1Rqt58dVvmzRguxJybmyQL8FgeWWAy",
          name: "DoubleLine Total Return Bond Fund",
          ticker_symbol: "DBLTX",
          type: "mutual fund",
          is_cash_equivalent: false,
          close_price: 10.42,
          close_price_as_of: "2026-11-19",
          iso_currency_code: "USD",
          unofficial_currency_code: null,
          option_contract: null,
          fixed_income: null,
        },
      },
    },
  ],
};
