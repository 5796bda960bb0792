/**
 * The table of verification keys with a copy on disk: the same three statements, which also work while Postgres is away. A key that
 * was fetched meanwhile is stored in the table later, and no answer of Postgres is awaited for longer than the sender can wait.
 */
import type { JsonWebKey } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Queryable, Result, Statement } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { FailureLog } from "../failure-log.ts";
import type { Logger } from "../logger.ts";
import type { Kept } from "../model/kept.ts";
import { DROP_KEY, LOAD_KEYS, SAVE_KEY } from "./queries.ts";

/** Plaid waits 10 s for the answer to its webhook, and the key may still have to be fetched from Plaid. */
const PATIENCE_MS = 1_500;

const KeptKey = z.object({
  plaid_url: z.string(),
  kid: z.string(),
  jwk: z.record(z.string(), z.unknown()),
  expired_at: z.number().nullable(),
  fetched_at: z.number(),
  /** whether the table has it */
  stored: z.boolean(),
});

export type KeptKey = z.infer<typeof KeptKey>;

export const KeptKeys = z.array(KeptKey);

interface StoredKey {
  kid: string;
  jwk: JsonWebKey;
  expired_at: Date | null;
  fetched_at: Date;
}

interface KeptKeysOptions {
  database: Queryable;
  kept: Kept<KeptKey[]>;
  logger: Logger;
}

/** Reads the copy, and returns what `openVerificationKeys` takes as its database. */
export async function openKeptKeys(options: KeptKeysOptions): Promise<Queryable> {
  const table = new KeyTable(options);
  await table.open();
  return {
    query: async <Row>(statement: string | Statement, values: readonly unknown[] = []) => {
      const rows = await table.run(statement as Statement, values);
      return { rows: rows as Row[], rowCount: rows.length } satisfies Result<Row>;
    },
  };
}

const nameOf = ({ plaid_url, kid }: Pick<KeptKey, "plaid_url" | "kid">): string => `${plaid_url} ${kid}`;

class KeyTable {
  readonly #options: KeptKeysOptions;
  readonly #keys = new Map<string, KeptKey>();
  readonly #log: FailureLog;

  constructor(options: KeptKeysOptions) {
    this.#options = options;
    this.#log = new FailureLog(options.logger);
  }

  async open(): Promise<void> {
    for (const key of (await this.#options.kept.read()) ?? []) this.#keys.set(nameOf(key), key);
  }

  async run(statement: Statement, values: readonly unknown[]): Promise<StoredKey[]> {
    if (statement === LOAD_KEYS) return await this.#load(String(values[0]));
    if (statement === SAVE_KEY) await this.#save(values);
    else if (statement === DROP_KEY) await this.#drop(values);
    else throw new TartanError("internal", "only the statements of verification keys are known here");
    return [];
  }

  async #load(plaidUrl: string): Promise<StoredKey[]> {
    const stored = await this.#ask<StoredKey>(LOAD_KEYS, [plaidUrl]);
    if (stored !== null) this.#merge(plaidUrl, stored);
    return [...this.#keys.values()].filter(({ plaid_url }) => plaid_url === plaidUrl).map(toStored);
  }

  /** What the table does not have was dropped by another process, unless it never came there. */
  #merge(plaidUrl: string, stored: readonly StoredKey[]): void {
    for (const [name, key] of this.#keys) if (key.plaid_url === plaidUrl && key.stored) this.#keys.delete(name);
    for (const row of stored) {
      const key = toKept(plaidUrl, row);
      const newer = this.#keys.get(nameOf(key));
      if (newer === undefined || newer.fetched_at <= key.fetched_at) this.#keys.set(nameOf(key), key);
    }
    this.#remember();
    for (const key of this.#keys.values()) if (!key.stored) void this.#store(key);
  }

  async #save([plaidUrl, kid, jwk, expired, fetched]: readonly unknown[]): Promise<void> {
    const key: KeptKey = {
      plaid_url: String(plaidUrl),
      kid: String(kid),
      jwk: JSON.parse(String(jwk)) as Record<string, unknown>,
      expired_at: expired instanceof Date ? expired.getTime() : null,
      fetched_at: (fetched as Date).getTime(),
      stored: false,
    };
    this.#keys.set(nameOf(key), key);
    await this.#store(key);
    this.#remember();
  }

  async #store(key: KeptKey): Promise<void> {
    const { plaid_url, kid, jwk, expired_at, fetched_at } = key;
    const expired = expired_at === null ? null : new Date(expired_at);
    const values = [plaid_url, kid, JSON.stringify(jwk), expired, new Date(fetched_at)];
    if ((await this.#ask(SAVE_KEY, values)) === null || this.#keys.get(nameOf(key)) !== key) return;
    this.#keys.set(nameOf(key), { ...key, stored: true });
    this.#remember();
  }

  async #drop(values: readonly unknown[]): Promise<void> {
    this.#keys.delete(`${String(values[0])} ${String(values[1])}`);
    this.#remember();
    await this.#ask(DROP_KEY, values);
  }

  /** @returns null where Postgres does not answer in time */
  async #ask<Row>(statement: Statement, values: readonly unknown[]): Promise<Row[] | null> {
    const over = new AbortController();
    const late = delay(PATIENCE_MS, null, { signal: over.signal, ref: false }).catch(() => null);
    const answer = this.#options.database.query<Row>(statement, values).then(
      ({ rows }) => {
        this.#log.worked("the stored verification keys can be reached again");
        return rows;
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
  stored: true,
});
