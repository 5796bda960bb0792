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
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { isIntegrationId } from "../model/ids.ts";
import type { Kept } from "../model/kept.ts";
import { SEEN_WITHIN_MS, type Directory, type KnownIntegration } from "../model/integration.ts";
import type { Logger } from "../logger.ts";
import { fromKept, toKept, type IntegrationRow as Row, type KeptIntegration } from "./kept-integrations.ts";
import { INTEGRATIONS_MAX, LOAD_INTEGRATIONS } from "./queries.ts";
import { clientSecret, webhookSecret } from "./sealed.ts";
import type { Vault } from "./vault.ts";

interface DirectoryOptions {
  database: Database;
  vault: Vault;
  logger: Logger;
  clock: Clock;
  /** where the integrations survive a restart while Postgres is away; absent: nowhere */
  kept?: Kept<KeptIntegration[]>;
}

/** The directory over Postgres. */
export interface PostgresDirectory extends Directory, AsyncDisposable {
  /**
   * Reads every integration again: those that were deleted are not found any more.
   * @throws TartanError `database_unavailable`
   */
  reload(): Promise<void>;
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
/** Made-up ids that may wait for a Postgres that does not answer; a statement looks up 200 of them. */
const WAITING_MAX = 10_000;
/** Plaid waits 10 s for its answer. */
const WAIT_MAX_MS = 5_000;
/** Changes come together; each costs a read of all integrations. */
const RELOAD_AFTER_MS = 2_000;
const RELOAD_EVERY_MS = 60_000;

class CachingDirectory implements PostgresDirectory {
  readonly #options: DirectoryOptions;
  readonly #known = new Map<string, Entry>();
  /** id → fresh until, oldest first */
  readonly #unknown = new Map<string, number>();
  #waiting = new Map<string, Lookup>();
  #looking: Map<string, Lookup> | undefined;
  /** ids that changed during their lookup: its result may be from before the change */
  readonly #overtaken = new Set<string>();
  readonly #rows = new Map<string, Row>();
  /** counts the changes: a row that was read before the last one is kept as stale */
  #changes = 0;
  #reloading: NodeJS.Timeout | undefined;
  #listening: AsyncDisposable | undefined;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { database, kept, logger } = this.#options;
    this.#listening = await database.listen("tartan_integrations", () => this.#changed());
    const remembered = (await kept?.read()) ?? null;
    for (const row of fromKept(remembered ?? [])) this.#keep(row.id, row, false);
    try {
      await this.reload();
    } catch (error) {
      if (remembered === null || !isAway(error)) throw error;
      logger.debug({ integrations: remembered.length }, "the integrations are those that were kept on disk");
    }
    this.#reloadIn(RELOAD_EVERY_MS);
  }

  async reload(): Promise<void> {
    const before = this.#changes;
    const { rows } = await this.#options.database.query<Row>(LOAD_INTEGRATIONS, [null]);
    const isCurrent = this.#changes === before;
    for (const row of rows) this.#keep(row.id, row, isCurrent);
    const found = new Set(rows.map(({ id }) => id));
    // A read of so many rows is not all of them.
    const gone = rows.length >= INTEGRATIONS_MAX ? [] : [...this.#known.keys()].filter((id) => !found.has(id));
    for (const id of gone) this.#keep(id, null, isCurrent);
    this.#remember();
  }

  /** Only where it keeps them: without that, an integration is read when a webhook for it comes. */
  #reloadIn(ms: number): void {
    if (!this.#options.kept) return;
    clearTimeout(this.#reloading);
    this.#reloading = setTimeout(() => {
      // While Postgres is away, lookups say so in the log.
      void this.reload()
        .catch(() => undefined)
        .finally(() => this.#listening && this.#reloadIn(RELOAD_EVERY_MS));
    }, ms).unref();
  }

  #remember(): void {
    this.#options.kept?.keep(toKept(this.#rows.values()));
  }

  async find(id: string): Promise<KnownIntegration | null> {
    if (!isIntegrationId(id)) return null;
    const now = this.#options.clock.now();
    const entry = this.#known.get(id);
    if (entry && entry.freshUntil > now) return served(entry.value);
    if ((this.#unknown.get(id) ?? 0) > now) return null;
    if (entry) return await this.#refreshed(id, entry);
    await this.#inTime(this.#lookUp(id));
    return served(this.#known.get(id)?.value ?? null);
  }

  /** @throws TartanError `database_unavailable` when it takes too long for the sender */
  async #inTime(look: Promise<void>): Promise<void> {
    const over = new AbortController();
    const late = this.#late(over.signal);
    late.catch(() => undefined);
    try {
      await Promise.race([look, late]);
    } finally {
      over.abort();
    }
  }

  async #late(signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(WAIT_MAX_MS, signal);
    if (!signal.aborted) throw away();
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
    // A Postgres that does not answer delays one request in a second, not each.
    stale.freshUntil = Math.max(stale.freshUntil, clock.now() + RETRY_MS);
    const entry = this.#known.get(id);
    if (entry) return served(entry.value);
    return this.#unknown.has(id) ? null : served(stale.value);
  }

  /** Resolves when `id` has been looked up: at once, or by the next statement when one is running. */
  async #lookUp(id: string): Promise<void> {
    const underWay = this.#overtaken.has(id) ? undefined : this.#looking?.get(id);
    const waiting = underWay ?? this.#waiting.get(id);
    if (!waiting && this.#waiting.size >= WAITING_MAX) throw away();
    const lookup = waiting ?? newLookup();
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
          this.#keep(id, found.get(id) ?? null, !this.#overtaken.has(id));
        }
        this.#remember();
        for (const lookup of batch.values()) lookup.settle();
      } catch (error) {
        for (const lookup of batch.values()) lookup.settle(error);
      } finally {
        this.#overtaken.clear();
        this.#looking = undefined;
      }
    }
  }

  /** @param isCurrent false for what may be outdated: it is usable, and the next request looks it up again */
  #keep(id: string, row: Row | null, isCurrent: boolean): void {
    const freshUntil = isCurrent ? this.#options.clock.now() + SEEN_WITHIN_MS : 0;
    this.#unknown.delete(id);
    if (row !== null) {
      this.#rows.set(id, row);
      this.#known.set(id, { value: this.#open(row), freshUntil });
      return;
    }
    this.#rows.delete(id);
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
    this.#changes += 1;
    this.#reloadIn(RELOAD_AFTER_MS);
    for (const entry of this.#known.values()) entry.freshUntil = 0;
    this.#unknown.clear();
    for (const id of this.#looking?.keys() ?? []) this.#overtaken.add(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    clearTimeout(this.#reloading);
    await listening?.[Symbol.asyncDispose]();
  }
}

const away = (): TartanError =>
  new TartanError("database_unavailable", "The integration cannot be looked up just now. Send the webhook again.", {
    retryAfterSeconds: 5,
  });

const isAway = (error: unknown): boolean => error instanceof TartanError && error.code === "database_unavailable";

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

/** The integrations as Postgres has them now, in the form of the cache. */
export const currentIntegrations = async (q: Queryable): Promise<KeptIntegration[]> =>
  toKept((await q.query<Row>(LOAD_INTEGRATIONS, [null])).rows);

/**
 * Loads all integrations, so that Postgres may fail right afterwards, and listens for changes. While Postgres is away it begins
 * with those that were kept.
 * @throws TartanError `database_unavailable` when Postgres is away and nothing was kept
 */
export async function openDirectory(options: DirectoryOptions): Promise<PostgresDirectory> {
  const directory = new CachingDirectory(options);
  await directory.open();
  return directory;
}
