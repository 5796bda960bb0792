/**
 * Plaid's webhook verification keys. They are looked up in memory, then in `tartan.verification_keys` (so that a restart need not
 * ask Plaid), then at Plaid. A rotation needs no action: Tartan fetches a new kid when it first sees it.
 *
 *   absent → fetching → known → (Plaid says so) expired
 *                     → unknown for five minutes → absent
 *                     → (Plaid did not answer) absent; nobody asks again until a back-off is over (key-outages.ts)
 *
 * Anyone can choose the kid of a request, so its cost is bounded: one fetch at a time for each kid, a budget of
 * fetches for each integration (key-budget.ts), and a bounded memory of kids that Plaid does not know. When the budget is used up,
 * Tartan reads the keys that other processes have fetched from the table. It fetches a key in use again every hour, to learn
 * whether the key has expired.
 */
import type { KeyObject } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { PlaidClient } from "./client.ts";
import { PlaidError } from "./errors.ts";
import { readKey, toKnown, toStored, type KeyAnswer, type KnownKey } from "./key-answer.ts";
import { KeyBudget } from "./key-budget.ts";
import { failureOf, KeyOutages, UnusableKey, type Blocked } from "./key-outages.ts";
import type { KeyTable, StoredKey } from "./key-table.ts";
import { StoredKeys } from "./stored-keys.ts";
import type { FoundKey, KeyRefusal, KeyScope, KeySource } from "./verify.ts";

const UNKNOWN_FOR_MS = 5 * 60_000;
const UNKNOWN_KEPT = 10_000;
const RECHECK_AFTER_MS = 60 * 60_000;
/** Kids that may wait for Postgres or Plaid at once; more are refused and not kept in memory. */
const UNDER_WAY_MAX = 1_000;
/** Plaid waits 10 s for the answer to its webhook; a fetch must leave time for that answer. */
const FETCH_TIMEOUT_MS = 5_000;

export interface VerificationKeysOptions {
  /** stores keys over restarts; null keeps them in memory only */
  table: KeyTable | null;
  /** the client that fetches an integration's keys */
  clientFor(scope: KeyScope): Pick<PlaidClient, "postJson">;
  clock: Clock;
  logger: Logger;
  /** fetches of unknown kids in a minute for an integration; three quarters as many again are reserved for kids that are likely real */
  fetchesPerMinute: number;
}

/** Disposing it waits for running fetches. */
export type VerificationKeys = KeySource & AsyncDisposable;

type Found = KeyObject | KeyRefusal;

interface Wanted {
  scope: KeyScope;
  keyId: string;
  /** identifies the key among those of all environments */
  name: string;
  at: Date;
  from: string | null;
}

const UNKNOWN: KeyRefusal = { reason: "key_unknown", detail: "Plaid does not know its kid in this environment" };
const EXPIRED: KeyRefusal = { reason: "key_expired", detail: "the key it names has expired" };
const BUDGET: KeyRefusal = {
  reason: "key_unavailable",
  detail: "too many unknown kids of this integration came in this minute",
};

/** Opens the cache of verification keys; it fetches a key when one is needed. */
export function openVerificationKeys(options: VerificationKeysOptions): VerificationKeys {
  return new CachedKeys(options);
}

/** Clients are separate, so that bad credentials of one do not fail the webhooks of another. */
const flightOf = ({ clientId }: KeyScope, name: string): string => `${name} ${clientId}`;

/** With its secret, so that new credentials are tried at once. It stays in memory. */
const endpointOf = ({ plaidUrl, clientId, secret }: KeyScope): string => `${plaidUrl} ${clientId} ${secret}`;

const payerOf = ({ id, plaidUrl, clientId }: KeyScope): string => id ?? `${plaidUrl} ${clientId}`;

const unavailable = ({ of, cause }: Blocked): KeyRefusal => ({
  reason: "key_unavailable",
  detail: `the key could not be fetched from Plaid (${cause})`,
  mayWait: of,
});

class CachedKeys implements VerificationKeys {
  readonly #options: VerificationKeysOptions;
  readonly #known = new Map<string, KnownKey>();
  /** kid → until when it counts as unknown; oldest first */
  readonly #unknown = new Map<string, number>();
  readonly #underWay = new Map<string, Promise<Found>>();
  readonly #stored: StoredKeys;
  readonly #budget: KeyBudget;
  readonly #outages = new KeyOutages();
  readonly #recovered: (() => void)[] = [];

  constructor(options: VerificationKeysOptions) {
    this.#options = options;
    const { table, clock, logger } = options;
    const onKey = (plaidUrl: string, key: StoredKey): void => this.#remember(`${plaidUrl} ${key.kid}`, key);
    this.#stored = new StoredKeys({ table, clock, logger, onKey });
    this.#budget = new KeyBudget(options.fetchesPerMinute);
  }

  find(scope: KeyScope, keyId: string, at: Date, from: string | null = null): Found | Promise<Found> {
    const name = `${scope.plaidUrl} ${keyId}`;
    const known = this.#known.get(name);
    if (known === undefined) return this.#findElsewhere({ scope, keyId, name, at, from });
    if (this.#options.clock.now() - known.checkedAt > RECHECK_AFTER_MS) this.#recheck(scope, keyId, name, known);
    return known.expiresAt <= at.getTime() ? EXPIRED : known.key;
  }

  proven(from: string): void {
    this.#budget.vouch(from, this.#options.clock.now());
  }

  isVouched(from: string): boolean {
    return this.#budget.isVouched(from, this.#options.clock.now());
  }

  onRecovered(listener: () => void): void {
    this.#recovered.push(listener);
  }

  async findWaiting(scope: KeyScope, keyId: string): Promise<FoundKey | KeyRefusal> {
    const { clock } = this.#options;
    const name = `${scope.plaidUrl} ${keyId}`;
    if (!this.#known.has(name)) await this.#stored.read(scope.plaidUrl);
    const known = this.#known.get(name);
    if (known) return known;
    if ((this.#unknown.get(name) ?? 0) > clock.now()) return UNKNOWN;
    const blocked = this.#outages.blocked(endpointOf(scope), name, clock.now());
    if (blocked) return unavailable(blocked);
    if (!this.#budget.takeWaiting(payerOf(scope), clock.now())) return BUDGET;
    const found = await this.#once(scope, name, () => this.#fetch(scope, keyId, name));
    return this.#known.get(name) ?? ("reason" in found ? found : UNKNOWN);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }

  #findElsewhere(wanted: Wanted): Found | Promise<Found> {
    const { clock } = this.#options;
    const { scope, keyId, name, at } = wanted;
    const unknownUntil = this.#unknown.get(name);
    if (unknownUntil !== undefined) {
      if (unknownUntil > clock.now()) return UNKNOWN;
      this.#unknown.delete(name);
    }
    const blocked = this.#outages.blocked(endpointOf(scope), name, clock.now());
    if (blocked) return this.#whileBlocked(wanted, blocked);
    const isAsked = this.#underWay.has(flightOf(scope, name));
    if (!isAsked && this.#underWay.size >= UNDER_WAY_MAX) return BUDGET;
    if (!isAsked && this.#stored.isRead(scope.plaidUrl)) return this.#fetchOrRefuse(wanted);
    return this.#once(scope, name, async () => {
      await this.#stored.readOnce(scope.plaidUrl);
      const stored = this.#usable(name, at);
      if (stored !== null) return stored;
      const blockedNow = this.#outages.blocked(endpointOf(scope), name, clock.now());
      if (blockedNow) return await this.#whileBlocked(wanted, blockedNow);
      if (this.#take(wanted)) return await this.#fetch(scope, keyId, name);
      return await this.#overBudget(wanted);
    });
  }

  /** The kid is not in the table. A flood of made-up kids ends here, without a promise for each. */
  #fetchOrRefuse(wanted: Wanted): Found | Promise<Found> {
    const { scope, keyId, name } = wanted;
    if (!this.#take(wanted)) return this.#overBudget(wanted);
    return this.#once(scope, name, () => this.#fetch(scope, keyId, name));
  }

  #take({ scope, name, from }: Wanted): boolean {
    return this.#budget.take({ integration: payerOf(scope), name, from }, this.#options.clock.now());
  }

  /** The webhook may wait if its kid is within the budget; a kid that was so once needs no other part of it. */
  #whileBlocked(wanted: Wanted, blocked: Blocked): Found | Promise<Found> {
    const { name } = wanted;
    if (!this.#outages.isAwaited(name)) {
      if (!this.#take(wanted)) return this.#overBudget(wanted);
      this.#outages.await(name);
    }
    return this.#inTable(wanted, unavailable(blocked));
  }

  #overBudget(wanted: Wanted): Found | Promise<Found> {
    metrics.keyFetches.inc({ outcome: "over_budget" });
    const waits = this.#outages.isAwaited(wanted.name) ? unavailable({ of: "key", cause: "BUDGET" }) : BUDGET;
    return this.#inTable(wanted, waits);
  }

  /** Another process may have fetched the key: it is then in the table, which is read again every two seconds. */
  #inTable({ scope, name, at }: Wanted, otherwise: KeyRefusal): Found | Promise<Found> {
    if (this.#stored.isRead(scope.plaidUrl)) return this.#usable(name, at) ?? otherwise;
    return this.#stored.read(scope.plaidUrl).then(() => this.#usable(name, at) ?? otherwise);
  }

  #usable(name: string, at: Date): Found | null {
    const known = this.#known.get(name);
    if (known === undefined) return null;
    return known.expiresAt <= at.getTime() ? EXPIRED : known.key;
  }

  /** One fetch at a time for each kid and client. */
  #once(scope: KeyScope, name: string, work: () => Promise<Found>): Promise<Found> {
    const flight = flightOf(scope, name);
    let promise = this.#underWay.get(flight);
    if (promise === undefined) {
      promise = work().finally(() => this.#underWay.delete(flight));
      this.#underWay.set(flight, promise);
    }
    return promise;
  }

  /** Fetches a key in use again and trusts it meanwhile; if Plaid does not answer, the key stays as it is. */
  #recheck(scope: KeyScope, keyId: string, name: string, known: KnownKey): void {
    known.checkedAt = this.#options.clock.now();
    void this.#once(scope, name, () => this.#fetch(scope, keyId, name));
  }

  async #fetch(scope: KeyScope, keyId: string, name: string): Promise<Found> {
    const { clock, logger, clientFor } = this.#options;
    const endpoint = endpointOf(scope);
    this.#outages.asking(endpoint, name, clock.now());
    try {
      const path = "/webhook_verification_key/get";
      const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
      const answer = await clientFor(scope).postJson<KeyAnswer>(path, { key_id: keyId }, signal);
      const known = readKey(answer, keyId, clock.now());
      if (known === null) throw new UnusableKey("Plaid's answer holds no usable P-256 key of this kid");
      this.#answered(endpoint, name);
      metrics.keyFetches.inc({ outcome: "ok" });
      this.#known.set(name, known);
      await this.#stored.change((table) => table.save(scope.plaidUrl, toStored(keyId, known)));
      return known.expiresAt <= clock.now() ? EXPIRED : known.key;
    } catch (error) {
      if (error instanceof PlaidError && error.errorCode === "INVALID_WEBHOOK_VERIFICATION_KEY_ID") {
        metrics.keyFetches.inc({ outcome: "unknown" });
        this.#answered(endpoint, name);
        // A key that Plaid withdrew must not come back with a restart.
        if (this.#known.delete(name)) await this.#stored.change((table) => table.drop(scope.plaidUrl, keyId));
        return this.#forget(name);
      }
      metrics.keyFetches.inc({ outcome: "failed" });
      logger.warn({ error, plaidUrl: scope.plaidUrl, keyId }, "a verification key could not be fetched from Plaid");
      const failure = failureOf(error);
      this.#outages.failed(endpoint, name, failure, clock.now());
      return unavailable(failure);
    }
  }

  #remember(name: string, stored: StoredKey): void {
    const known = this.#known.has(name) ? null : toKnown(stored);
    if (known !== null) this.#known.set(name, known);
  }

  #answered(endpoint: string, name: string): void {
    if (this.#outages.answered(endpoint, name)) for (const listener of this.#recovered) listener();
  }

  #forget(name: string): KeyRefusal {
    this.#unknown.delete(name);
    this.#unknown.set(name, this.#options.clock.now() + UNKNOWN_FOR_MS);
    for (const oldest of this.#unknown.keys()) {
      if (this.#unknown.size <= UNKNOWN_KEPT) break;
      this.#unknown.delete(oldest);
    }
    return UNKNOWN;
  }
}
