/**
 * Remembers fetches of verification keys that failed, so that the webhooks behind them do not wait for another failure. A failure is
 * about the endpoint as a whole (Plaid does not answer, the credentials are refused) or about one key (an answer that is not usable).
 * Each has a back-off of its own:
 *
 *   answers → failed: nobody asks until the back-off is over → one asks, the others do not wait for it → answers
 *                                                                                                     → failed: twice the back-off
 *
 * The endpoint is that of a client with its secret, so new credentials are tried at once.
 */
import { PlaidError } from "./errors.ts";

const FIRST_MS = 1_000;
/** Plaid's webhooks wait no longer than this once its keys can be fetched again. */
const LONGEST_MS = 30_000;
const KEYS_KEPT = 10_000;

/** `endpoint`: a request for any key would fail now; `key`: only one for this key. */
export type FailureOf = "endpoint" | "key";

export interface Blocked {
  of: FailureOf;
  /** Plaid's code, or what became of the request */
  cause: string;
}

interface Outage {
  cause: string;
  /** ms of the clock; nobody asks before */
  until: number;
  backoffMs: number;
  /** since when somebody asks again; 0: nobody */
  askedAt: number;
}

/** The clock may stand still between a question and its answer; a question that is never answered blocks no longer than this. */
const QUESTION_MS = 15_000;

export class KeyOutages {
  readonly #endpoints = new Map<string, Outage>();
  /** keys that somebody wanted while they could not be fetched, the oldest first; null: the failure was the endpoint's */
  readonly #keys = new Map<string, Outage | null>();

  /** Why it is no use to ask for the key now, since the last answers failed or another asks; null: the caller may ask. */
  blocked(endpoint: string, name: string, now: number): Blocked | null {
    const key = this.#keys.get(name);
    if (key && !mayAsk(key, now)) return { of: "key", cause: key.cause };
    const outage = this.#endpoints.get(endpoint);
    return outage && !mayAsk(outage, now) ? { of: "endpoint", cause: outage.cause } : null;
  }

  /** The caller asks now, and reports the result. */
  asking(endpoint: string, name: string, now: number): void {
    for (const outage of [this.#endpoints.get(endpoint), this.#keys.get(name)]) if (outage) outage.askedAt = now;
  }

  /** Whether the key is one of those that could not be fetched: it was within the budget then. */
  isAwaited(name: string): boolean {
    return this.#keys.has(name);
  }

  /** Notes a key that nobody asks for while its endpoint is blocked. */
  await(name: string): void {
    if (this.#keys.has(name)) return;
    this.#keys.set(name, null);
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= KEYS_KEPT) break;
      this.#keys.delete(oldest);
    }
  }

  /** Plaid answered about the key. @returns whether the endpoint had failed before */
  answered(endpoint: string, name: string): boolean {
    this.#keys.delete(name);
    return this.#endpoints.delete(endpoint);
  }

  /** A fetch failed. */
  failed(endpoint: string, name: string, { of, cause }: Blocked, now: number): void {
    this.await(name);
    if (of === "endpoint") this.#endpoints.set(endpoint, next(this.#endpoints.get(endpoint), cause, now));
    else {
      this.#keys.set(name, next(this.#keys.get(name) ?? undefined, cause, now));
      this.#endpoints.delete(endpoint);
    }
  }
}

const mayAsk = ({ until, askedAt }: Outage, now: number): boolean =>
  now >= until && (askedAt < until || now - askedAt > QUESTION_MS);

/** Many fetches may fail together; together they are one failure. */
function next(before: Outage | undefined, cause: string, now: number): Outage {
  if (before && now < before.until) return before;
  const backoffMs = before ? Math.min(LONGEST_MS, before.backoffMs * 2) : FIRST_MS;
  return { cause, until: now + backoffMs, backoffMs, askedAt: 0 };
}

/** Codes that are about the credentials, although their type says that the request is wrong. */
const OF_THE_CLIENT = new Set(["INVALID_API_KEYS", "UNAUTHORIZED_ENVIRONMENT", "UNAUTHORIZED_ROUTE_ACCESS"]);
const OF_THE_REQUEST = new Set(["INVALID_INPUT", "INVALID_REQUEST"]);

/** What a failed fetch says. Anyone can send a kid, so an answer about one kid must not block the others. */
export function failureOf(error: unknown): Blocked {
  if (error instanceof PlaidError) {
    const { errorType, errorCode } = error;
    const isOfKey = OF_THE_REQUEST.has(errorType) && !OF_THE_CLIENT.has(errorCode);
    return { of: isOfKey ? "key" : "endpoint", cause: errorCode };
  }
  if (error instanceof Error && error.name === "TimeoutError") return { of: "endpoint", cause: "TIMEOUT" };
  return { of: error instanceof UnusableKey ? "key" : "endpoint", cause: "UNUSABLE_ANSWER" };
}

/** Plaid's answer holds no key that Tartan can use. */
export class UnusableKey extends Error {
  override readonly name = "UnusableKey";
}
