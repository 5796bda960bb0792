/**
 * The stored verification keys as one process reads and changes them. A failure is a line in the log: what the table does not know, this
 * process remembers.
 */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { KeyTable, StoredKey } from "./key-table.ts";

/** How often the table is read again for keys that other processes have fetched. */
const RELOAD_AFTER_MS = 2_000;

interface Reading {
  done: Promise<void>;
  isDone: boolean;
  /** ms of the clock at which it began */
  at: number;
}

interface StoredKeysOptions {
  /** null: nothing is stored */
  table: KeyTable | null;
  clock: Clock;
  logger: Logger;
  /** is given each key that is read */
  onKey(plaidUrl: string, key: StoredKey): void;
}

export class StoredKeys {
  readonly #options: StoredKeysOptions;
  /** Plaid environment → the last reading of the table */
  readonly #readings = new Map<string, Reading>();

  constructor(options: StoredKeysOptions) {
    this.#options = options;
  }

  /** Whether the keys of a Plaid environment were read a moment ago. */
  isRead(plaidUrl: string): boolean {
    const reading = this.#readings.get(plaidUrl);
    return this.#options.table === null || (reading !== undefined && reading.isDone && this.#isRecent(reading));
  }

  #isRecent({ at }: Reading): boolean {
    return this.#options.clock.now() - at < RELOAD_AFTER_MS;
  }

  /** Reads the keys of a Plaid environment, unless they were read a moment ago. Never throws. */
  async read(plaidUrl: string): Promise<void> {
    const reading = this.#readings.get(plaidUrl);
    await (reading && this.#isRecent(reading) ? reading.done : this.#read(plaidUrl));
  }

  /** Reads them, unless they were read before, however long ago. Never throws. */
  async readOnce(plaidUrl: string): Promise<void> {
    await (this.#readings.get(plaidUrl)?.done ?? this.#read(plaidUrl));
  }

  #read(plaidUrl: string): Promise<void> {
    const { table, clock, logger, onKey } = this.#options;
    if (table === null) return Promise.resolve();
    const load = async (): Promise<void> => {
      for (const key of await table.load(plaidUrl)) onKey(plaidUrl, key);
    };
    const done = load().then(
      () => void (reading.isDone = true),
      (error: unknown) => {
        // The next webhook that needs a key tries again.
        this.#readings.delete(plaidUrl);
        logger.warn({ error }, "stored verification keys could not be read");
      },
    );
    const reading: Reading = { done, isDone: false, at: clock.now() };
    this.#readings.set(plaidUrl, reading);
    return done;
  }

  /** Changes the table. Never throws. */
  async change(how: (table: KeyTable) => Promise<void>): Promise<void> {
    const { table, logger } = this.#options;
    if (table === null) return;
    try {
      await how(table);
    } catch (error) {
      logger.warn({ error }, "the stored verification keys could not be changed; this process remembers");
    }
  }
}
