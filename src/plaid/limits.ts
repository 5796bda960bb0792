/**
 * Plaid's published rate limits, requests per minute, by endpoint and environment, for one item and for one client.
 * Plaid calls them defaults, not exhaustive, and subject to change; a 429 (`RATE_LIMIT_EXCEEDED`) carries no Retry-After. So the
 * rate limiter starts with these figures, and 429s slow it further. Where Plaid's pages disagree, this table has the
 * smaller figure.
 */

export interface Limit {
  /** requests a minute for one item */
  perItem?: number;
  /** requests a minute for one client id */
  perClient?: number;
}

type Limits = Record<"production" | "sandbox", Limit>;

const both = (limit: Limit): Limits => ({ production: limit, sandbox: limit });

export const LIMITS: Readonly<Record<string, Limits>> = {
  "/transactions/sync": {
    production: { perItem: 50, perClient: 2500 },
    sandbox: { perItem: 50, perClient: 1000 },
  },
  "/transactions/get": {
    production: { perItem: 30, perClient: 20_000 },
    sandbox: { perItem: 80, perClient: 1000 },
  },
  "/transactions/refresh": both({ perItem: 2, perClient: 100 }),
  "/transactions/recurring/get": both({ perItem: 20, perClient: 1000 }),
  "/accounts/get": {
    production: { perItem: 15, perClient: 15_000 },
    sandbox: { perItem: 100, perClient: 5000 },
  },
  "/accounts/balance/get": {
    production: { perItem: 5, perClient: 1200 },
    sandbox: { perItem: 25, perClient: 100 },
  },
  "/auth/get": {
    production: { perItem: 15, perClient: 12_000 },
    sandbox: { perItem: 100, perClient: 500 },
  },
  "/identity/get": {
    production: { perItem: 15, perClient: 2000 },
    sandbox: { perItem: 100, perClient: 1000 },
  },
  "/investments/holdings/get": {
    production: { perItem: 15, perClient: 2000 },
    sandbox: { perItem: 100, perClient: 1000 },
  },
  "/investments/transactions/get": {
    production: { perItem: 30, perClient: 20_000 },
    sandbox: { perItem: 100, perClient: 1000 },
  },
  "/investments/refresh": both({ perItem: 1, perClient: 100 }),
  "/liabilities/get": {
    production: { perItem: 15, perClient: 1000 },
    sandbox: { perItem: 10, perClient: 1000 },
  },
  "/item/get": {
    production: { perItem: 15, perClient: 5000 },
    sandbox: { perItem: 40, perClient: 5000 },
  },
  "/item/remove": {
    production: { perItem: 30, perClient: 2000 },
    sandbox: { perItem: 100, perClient: 500 },
  },
  "/institutions/get": { production: { perClient: 50 }, sandbox: { perClient: 10 } },
  "/institutions/get_by_id": both({ perClient: 400 }),
  "/statements/list": both({ perClient: 100 }),
  "/statements/download": both({ perClient: 50 }),
  "/sandbox/transactions/create": { production: {}, sandbox: { perItem: 2, perClient: 50 } },
};

/** The published limits of an endpoint (its path); empty where Plaid publishes none. */
export function limitOf(endpoint: string, environment: "production" | "sandbox"): Limit {
  return LIMITS[endpoint]?.[environment] ?? {};
}
