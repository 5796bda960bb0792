/**
 * Plaid's published Sandbox rate limits (https://plaid.com/docs/errors/rate-limit-exceeded, per minute), counted in
 * windows that begin with the first request. Each endpoint's file has its limits; an endpoint may have none.
 */
export interface Limit {
  perItem?: number;
  perClient?: number;
  code: string;
}

const WINDOW_MS = 60_000;
/** Windows of inactive Items are removed when there are this many. */
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

  /** Counts a request. @returns whose limit it exceeds, or null; a refused request is not counted */
  exceeded(
    limit: Limit | undefined,
    path: string,
    clientId: string,
    itemId: string | null,
    now: number,
  ): { code: string; scope: "item" | "client" } | null {
    if (!limit || this.scale === 0) return null;
    const item = itemId !== null && limit.perItem ? this.#window(`${path}|${itemId}`, now) : null;
    const client = limit.perClient ? this.#window(`${path}|${clientId}`, now) : null;
    if (item && item.used >= (limit.perItem ?? 0) * this.scale) return { code: limit.code, scope: "item" };
    if (client && client.used >= (limit.perClient ?? 0) * this.scale) return { code: limit.code, scope: "client" };
    if (item) item.used += 1;
    if (client) client.used += 1;
    return null;
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
