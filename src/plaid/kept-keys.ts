/**
 * The table of verification keys with a copy on disk, which also works while Postgres is away. No answer of Postgres is awaited for longer than the sender can wait. The copy says of each key what the table knows of it:
 *
 *   (fetched from Plaid) → fetched → (written to the table) → stored → (Plaid withdrew it) dropped → (deleted from the table) forgotten
 *
 * What the table does not know yet is written every ten seconds until it is. It is in the copy meanwhile, so a restart forgets neither a
 * new key nor that Plaid withdrew one.
 */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { FailureLog } from "../failure-log.ts";
import type { Logger } from "../logger.ts";
import type { Kept } from "../model/kept.ts";
import type { KeyTable, StoredKey } from "./key-table.ts";

/** Plaid waits 10 s for the answer to its webhook, and the key may still have to be fetched from Plaid. */
const PATIENCE_MS = 1_500;
const WRITE_AGAIN_MS = 10_000;

const KeptKey = z.object({
  plaid_url: z.string(),
  kid: z.string(),
  jwk: z.record(z.string(), z.unknown()),
  expired_at: z.number().nullable(),
  fetched_at: z.number(),
  /** stored: in the table; fetched: not there yet; dropped: Plaid withdrew it, and the table may still have it */
  state: z.enum(["stored", "fetched", "dropped"]),
});

export type KeptKey = z.infer<typeof KeptKey>;

export const KeptKeys = z.array(KeptKey);

interface KeptKeysOptions {
  table: KeyTable;
  kept: Kept<KeptKey[]>;
  logger: Logger;
  /** the pause until what the table does not know is written again, ms (10,000) */
  writeAgainMs?: number;
}

/** Reads the copy, and returns a table that never throws. Disposing it stops its writes. */
export async function openKeptKeys(options: KeptKeysOptions): Promise<KeyTable & AsyncDisposable> {
  const table = new KeptTable(options);
  await table.open();
  return table;
}

const nameOf = ({ plaid_url, kid }: Pick<KeptKey, "plaid_url" | "kid">): string => `${plaid_url} ${kid}`;

class KeptTable implements KeyTable, AsyncDisposable {
  readonly #options: KeptKeysOptions;
  readonly #keys = new Map<string, KeptKey>();
  readonly #log: FailureLog;
  #writing: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KeptKeysOptions) {
    this.#options = options;
    this.#log = new FailureLog(options.logger);
  }

  async open(): Promise<void> {
    for (const key of (await this.#options.kept.read()) ?? []) this.#keys.set(nameOf(key), key);
    if ([...this.#keys.values()].some(isUnwritten)) this.#writeLater();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#writing);
  }

  async load(plaidUrl: string): Promise<StoredKey[]> {
    const stored = await this.#ask((table) => table.load(plaidUrl));
    if (stored !== null) this.#merge(plaidUrl, stored);
    const usable = [...this.#keys.values()].filter(({ state }) => state !== "dropped");
    return usable.filter(({ plaid_url }) => plaid_url === plaidUrl).map(toStored);
  }

  /** What the table does not have was dropped by another process, unless it never came there. */
  #merge(plaidUrl: string, stored: readonly StoredKey[]): void {
    for (const [name, key] of this.#keys)
      if (key.plaid_url === plaidUrl && key.state === "stored") this.#keys.delete(name);
    for (const row of stored) {
      const key = toKept(plaidUrl, row);
      const here = this.#keys.get(nameOf(key));
      if (here?.state === "dropped" || (here && here.fetched_at > key.fetched_at)) continue;
      this.#keys.set(nameOf(key), key);
    }
    this.#remember();
    void this.#writeAll();
  }

  async save(plaidUrl: string, key: StoredKey): Promise<void> {
    await this.#keep({ ...toKept(plaidUrl, key), state: "fetched" });
  }

  async drop(plaid_url: string, kid: string): Promise<void> {
    await this.#keep({ plaid_url, kid, jwk: {}, expired_at: null, fetched_at: 0, state: "dropped" });
  }

  async #keep(key: KeptKey): Promise<void> {
    this.#keys.set(nameOf(key), key);
    this.#remember();
    await this.#write(key);
  }

  /** @returns false where the table did not answer, and is asked again later */
  async #write(key: KeptKey): Promise<boolean> {
    const { plaid_url, kid, state } = key;
    const isWritten = await this.#ask(async (table) => {
      await (state === "dropped" ? table.drop(plaid_url, kid) : table.save(plaid_url, toStored(key)));
      return true;
    });
    if (isWritten === null) {
      this.#writeLater();
      return false;
    }
    // Another value that came meanwhile is written by itself.
    if (this.#keys.get(nameOf(key)) !== key) return true;
    if (state === "dropped") this.#keys.delete(nameOf(key));
    else this.#keys.set(nameOf(key), { ...key, state: "stored" });
    this.#remember();
    return true;
  }

  #writeLater(): void {
    if (this.#isClosed) return;
    const { writeAgainMs = WRITE_AGAIN_MS } = this.#options;
    this.#writing ??= setTimeout(() => {
      this.#writing = undefined;
      void this.#writeAll();
    }, writeAgainMs).unref();
  }

  async #writeAll(): Promise<void> {
    for (const key of [...this.#keys.values()].filter(isUnwritten)) if (!(await this.#write(key))) return;
  }

  /** @returns null where Postgres does not answer in time */
  async #ask<T>(question: (table: KeyTable) => Promise<T>): Promise<T | null> {
    const over = new AbortController();
    const late = delay(PATIENCE_MS, null, { signal: over.signal, ref: false }).catch(() => null);
    const answer = question(this.#options.table).then(
      (answered) => {
        this.#log.worked("the stored verification keys can be reached again");
        return answered;
      },
      (error: unknown) => {
        this.#log.failed(
          error,
          "the stored verification keys cannot be reached; those that this process kept are used",
        );
        return null;
      },
    );
    try {
      return await Promise.race([answer, late]);
    } finally {
      over.abort();
    }
  }

  #remember(): void {
    const keys = [...this.#keys.values()];
    this.#options.kept.keep(keys.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1)));
  }
}

const isUnwritten = ({ state }: KeptKey): boolean => state !== "stored";

const toStored = ({ kid, jwk, expired_at, fetched_at }: KeptKey): StoredKey => ({
  kid,
  jwk,
  expired_at: expired_at === null ? null : new Date(expired_at),
  fetched_at: new Date(fetched_at),
});

const toKept = (plaidUrl: string, { kid, jwk, expired_at, fetched_at }: StoredKey): KeptKey => ({
  plaid_url: plaidUrl,
  kid,
  jwk,
  expired_at: expired_at?.getTime() ?? null,
  fetched_at: fetched_at.getTime(),
  state: "stored",
});
