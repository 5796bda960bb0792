/**
 * The integrations in memory, secrets opened, for the hot path: a webhook must not cost a look into Postgres, and must
 * not fail because Postgres is away. An entry is
 *
 *   unknown → fresh (10 s) → stale → fresh …
 *
 * A stale entry is looked up again; while that takes too long or fails, the stale value is served. NOTIFY makes entries
 * stale at once, so the 10 s matter only when a notification was missed. Ids that name nothing are remembered too, a
 * bounded number of them, and all lookups of a moment share one statement, so garbage cannot flood Postgres.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { isIntegrationId } from "../model/ids.ts";
import type { Directory as FindsIntegrations, Environment, KnownIntegration } from "../model/integration.ts";
import type { Logger } from "../logger.ts";
import { LOAD_INTEGRATIONS } from "./queries.ts";
import { clientSecret, webhookSecret } from "./sealed.ts";
import type { Vault } from "./vault.ts";

export type { KnownIntegration } from "../model/integration.ts";

export interface Directory extends FindsIntegrations, AsyncDisposable {}

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
  /** ms of the clock until which it is served without a look */
  freshUntil: number;
}

interface Lookup {
  promise: Promise<void>;
  settle: (error?: unknown) => void;
}

const FRESH_MS = 10_000;
/** After a look that failed the next one waits this long. */
const RETRY_MS = 1_000;
/** A request waits this long for a look when there is a stale value to serve. */
const PATIENCE_MS = 500;
const UNKNOWN_MAX = 10_000;
const LOOK_MAX = 200;

class CachingDirectory implements Directory {
  readonly #options: DirectoryOptions;
  readonly #known = new Map<string, Entry>();
  /** id → fresh until, oldest first */
  readonly #unknown = new Map<string, number>();
  #waiting = new Map<string, Lookup>();
  #looking: Map<string, Lookup> | undefined;
  /** ids that changed while they were being looked up: what comes back may be from before */
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
      logger.warn({ err: error, integration: id }, "serving what was known of an integration: it cannot be looked up");
    });
    await Promise.race([look, clock.sleep(PATIENCE_MS, patience.signal)]);
    patience.abort();
    const entry = this.#known.get(id);
    if (entry) return served(entry.value);
    return this.#unknown.has(id) ? null : served(stale.value);
  }

  /** Resolves when `id` has been looked up: at once, or with the next statement when one is under way. */
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
    // What was overtaken is kept as stale: better than nothing, and looked up again at the next request.
    const freshUntil = this.#overtaken.has(id) ? 0 : this.#options.clock.now() + FRESH_MS;
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

  /** Which one changed is not told (see queries.ts), so everything is looked up again when it is asked for. */
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
  // Whoever waits hears of the failure; where nobody waits any more it is not unhandled.
  promise.catch(() => undefined);
  return { promise, settle };
}

function served(value: Value): KnownIntegration | null {
  if (value instanceof TartanError) throw value;
  return value;
}

/** Loads all integrations, so that Postgres may go away right after, and listens for changes. */
export async function openDirectory(options: DirectoryOptions): Promise<Directory> {
  const directory = new CachingDirectory(options);
  await directory.open();
  return directory;
}
