/**
 * Plaid's published Sandbox rate limits (https://plaid.com/docs/errors/rate-limit-exceeded, per minute), counted in
 * windows that begin with the first request. An endpoint that is not in the table has no published limit and none here.
 */
export interface Limit {
  perItem?: number;
  perClient?: number;
  code: string;
}

export const SANDBOX_LIMITS: Readonly<Record<string, Limit>> = {
  "/transactions/sync": { perItem: 50, perClient: 1000, code: "TRANSACTIONS_SYNC_LIMIT" },
  "/transactions/get": { perItem: 80, perClient: 1000, code: "TRANSACTIONS_LIMIT" },
  "/transactions/refresh": { perItem: 2, perClient: 100, code: "TRANSACTIONS_REFRESH_LIMIT" },
  "/accounts/get": { perItem: 100, perClient: 5000, code: "ACCOUNTS_LIMIT" },
  "/item/get": { perItem: 40, perClient: 5000, code: "ITEM_GET_LIMIT" },
  "/item/remove": { perItem: 100, perClient: 500, code: "RATE_LIMIT" },
  "/institutions/get": { perClient: 10, code: "INSTITUTIONS_GET_LIMIT" },
  "/institutions/get_by_id": { perClient: 400, code: "INSTITUTIONS_GET_BY_ID_LIMIT" },
  "/sandbox/transactions/create": { perItem: 2, perClient: 50, code: "RATE_LIMIT" },
};

const WINDOW_MS = 60_000;
/** Windows of Items that fell silent are swept when this many have gathered. */
const SWEEP_AT = 50_000;

interface Window {
  since: number;
  used: number;
}

export class RateLimits {
  /** 0: off; 1: Plaid's; 10: ten times as much */
  readonly scale: number;
  #windows = new Map<string, Window>();

  constructor(scale: number) {
    this.scale = scale;
  }

  /** Counts a request; says whose limit it exceeds, or null. A refused request is not counted. */
  exceeded(
    path: string,
    clientId: string,
    itemId: string | null,
    now: number,
  ): { code: string; scope: "item" | "client" } | null {
    const limit = SANDBOX_LIMITS[path];
    if (!limit || this.scale === 0) return null;
    const item = itemId !== null && limit.perItem ? this.#window(`${path}|${itemId}`, now) : null;
    const client = limit.perClient ? this.#window(`${path}|${clientId}`, now) : null;
    if (item && item.used >= (limit.perItem ?? 0) * this.scale) return { code: limit.code, scope: "item" };
    if (client && client.used >= (limit.perClient ?? 0) * this.scale) return { code: limit.code, scope: "client" };
    if (item) item.used += 1;
    if (client) client.used += 1;
    return null;
  }

  codeOf(path: string): string {
    return SANDBOX_LIMITS[path]?.code ?? "RATE_LIMIT";
  }

  #window(key: string, now: number): Window {
    const known = this.#windows.get(key);
    if (known && now - known.since < WINDOW_MS) return known;
    if (this.#windows.size >= SWEEP_AT) this.#sweep(now);
    const fresh = { since: now, used: 0 };
    this.#windows.set(key, fresh);
    return fresh;
  }

  #sweep(now: number): void {
    for (const [key, window] of this.#windows) if (now - window.since >= WINDOW_MS) this.#windows.delete(key);
  }
}
