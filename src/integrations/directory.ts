/**
 * The directory over Postgres: the integrations in memory with their secrets opened, for the hot path. A webhook must not cost a
 * query, and must not fail because Postgres is down. An entry is
 *
 *   unknown → fresh (10 s) → stale → fresh …
 *
 * The directory looks a stale entry up again; while that takes too long or fails, it returns the stale value. NOTIFY makes entries
 * stale at once, so the 10 s matter only when a notification was missed. The directory also remembers a bounded number of unknown ids,
 * and simultaneous lookups share one statement, so garbage cannot flood Postgres.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { isIntegrationId } from "../model/ids.ts";
import { SEEN_WITHIN_MS, type Directory, type Environment, type KnownIntegration } from "../model/integration.ts";
import type { Logger } from "../logger.ts";
import { LOAD_INTEGRATIONS } from "./queries.ts";
import { clientSecret, webhookSecret } from "./sealed.ts";
import type { Vault } from "./vault.ts";

interface DirectoryOptions {
  database: Database;
  vault: Vault;
  logger: Logger;
  clock: Clock;
}

interface Row {
  id: string;
  environment: Environment;
  plaid_url: string;
  client_id: string;
  client_secret_sealed: Buffer;
  webhook_secret_sealed: Buffer;
  country_codes: string[];
  days_requested: number | null;
  include_original_description: boolean;
}

type Value = KnownIntegration | TartanError | null;

interface Entry {
  value: Value;
  /** ms of the clock until which it is served without a lookup */
  freshUntil: number;
}

interface Lookup {
  promise: Promise<void>;
  settle: (error?: unknown) => void;
}

/** The pause after a failed lookup. */
const RETRY_MS = 1_000;
/** How long a request waits for a lookup when there is a stale value. */
const PATIENCE_MS = 500;
const UNKNOWN_MAX = 10_000;
const LOOK_MAX = 200;

class CachingDirectory implements Directory, AsyncDisposable {
  readonly #options: DirectoryOptions;
  readonly #known = new Map<string, Entry>();
  /** id → fresh until, oldest first */
  readonly #unknown = new Map<string, number>();
  #waiting = new Map<string, Lookup>();
  #looking: Map<string, Lookup> | undefined;
  /** ids that changed during their lookup: its result may be from before the change */
  readonly #overtaken = new Set<string>();
  #listening: AsyncDisposable | undefined;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { database } = this.#options;
    this.#listening = await database.listen("tartan_integrations", () => this.#changed());
    const { rows } = await database.query<Row>(LOAD_INTEGRATIONS, [null]);
    for (const row of rows) this.#keep(row.id, this.#open(row));
  }

  async find(id: string): Promise<KnownIntegration | null> {
    if (!isIntegrationId(id)) return null;
    const now = this.#options.clock.now();
    const entry = this.#known.get(id);
    if (entry && entry.freshUntil > now) return served(entry.value);
    if ((this.#unknown.get(id) ?? 0) > now) return null;
    if (!entry) {
      await this.#lookUp(id);
      return served(this.#known.get(id)?.value ?? null);
    }
    return await this.#refreshed(id, entry);
  }

  async #refreshed(id: string, stale: Entry): Promise<KnownIntegration | null> {
    const { clock, logger } = this.#options;
    const patience = new AbortController();
    const look = this.#lookUp(id).catch((error: unknown) => {
      stale.freshUntil = clock.now() + RETRY_MS;
      logger.warn({ err: error, integration: id }, "an integration cannot be looked up; its last known state is used");
    });
    await Promise.race([look, clock.sleep(PATIENCE_MS, patience.signal)]);
    patience.abort();
    const entry = this.#known.get(id);
    if (entry) return served(entry.value);
    return this.#unknown.has(id) ? null : served(stale.value);
  }

  /** Resolves when `id` has been looked up: at once, or by the next statement when one is running. */
  async #lookUp(id: string): Promise<void> {
    const underWay = this.#overtaken.has(id) ? undefined : this.#looking?.get(id);
    const lookup = underWay ?? this.#waiting.get(id) ?? newLookup();
    if (!underWay) this.#waiting.set(id, lookup);
    if (!this.#looking) void this.#lookUpWaiting();
    await lookup.promise;
  }

  async #lookUpWaiting(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = new Map([...this.#waiting].slice(0, LOOK_MAX));
      for (const id of batch.keys()) this.#waiting.delete(id);
      this.#looking = batch;
      try {
        const { rows } = await this.#options.database.query<Row>(LOAD_INTEGRATIONS, [[...batch.keys()]]);
        const found = new Map(rows.map((row) => [row.id, row]));
        for (const id of batch.keys()) {
          const row = found.get(id);
          this.#keep(id, row ? this.#open(row) : null);
        }
        for (const lookup of batch.values()) lookup.settle();
      } catch (error) {
        for (const lookup of batch.values()) lookup.settle(error);
      } finally {
        this.#overtaken.clear();
        this.#looking = undefined;
      }
    }
  }

  #keep(id: string, value: Value): void {
    // An outdated result is kept as stale: it is usable, and the next request looks it up again.
    const freshUntil = this.#overtaken.has(id) ? 0 : this.#options.clock.now() + SEEN_WITHIN_MS;
    this.#unknown.delete(id);
    if (value !== null) {
      this.#known.set(id, { value, freshUntil });
      return;
    }
    this.#known.delete(id);
    this.#unknown.set(id, freshUntil);
    const oldest = this.#unknown.keys().next();
    if (this.#unknown.size > UNKNOWN_MAX && !oldest.done) this.#unknown.delete(oldest.value);
  }

  #open(row: Row): Value {
    const { vault, logger } = this.#options;
    try {
      return {
        id: row.id,
        environment: row.environment,
        plaidUrl: row.plaid_url,
        clientId: row.client_id,
        secret: vault.open(row.client_secret_sealed, clientSecret(row.id)),
        webhookSecret: vault.open(row.webhook_secret_sealed, webhookSecret(row.id)),
        countryCodes: row.country_codes,
        daysRequested: row.days_requested,
        includeOriginalDescription: row.include_original_description,
      };
    } catch (error) {
      if (!(error instanceof TartanError)) throw error;
      logger.error({ err: error, integration: row.id }, "the secrets of an integration cannot be opened");
      return error;
    }
  }

  /** A notification does not name the integration (see queries.ts), so every entry becomes stale. */
  #changed(): void {
    for (const entry of this.#known.values()) entry.freshUntil = 0;
    this.#unknown.clear();
    for (const id of this.#looking?.keys() ?? []) this.#overtaken.add(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
    this.#listening = undefined;
  }
}

function newLookup(): Lookup {
  let settle: Lookup["settle"] = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  // Callers that wait get the failure; if none waits any more it must not count as unhandled.
  promise.catch(() => undefined);
  return { promise, settle };
}

function served(value: Value): KnownIntegration | null {
  if (value instanceof TartanError) throw value;
  return value;
}

/** Loads all integrations, so that Postgres may fail right afterwards, and listens for changes. */
export async function openDirectory(options: DirectoryOptions): Promise<Directory & AsyncDisposable> {
  const directory = new CachingDirectory(options);
  await directory.open();
  return directory;
}
