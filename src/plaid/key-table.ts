/** The table of verification keys, `tartan.verification_keys`, so that a restart need not ask Plaid. */
import type { JsonWebKey } from "node:crypto";
import type { Queryable } from "../database/types.ts";
import { DROP_KEY, LOAD_KEYS, SAVE_KEY } from "./queries.ts";

/** A key as it is stored. */
export interface StoredKey {
  kid: string;
  jwk: JsonWebKey;
  expired_at: Date | null;
  fetched_at: Date;
}

/** The keys of all Plaid environments. Each call throws TartanError `database_unavailable` while its store is away. */
export interface KeyTable {
  load(plaidUrl: string): Promise<StoredKey[]>;
  save(plaidUrl: string, key: StoredKey): Promise<void>;
  drop(plaidUrl: string, kid: string): Promise<void>;
}

export const keyTable = (database: Queryable): KeyTable => ({
  load: async (plaidUrl) => (await database.query<StoredKey>(LOAD_KEYS, [plaidUrl])).rows,
  save: async (plaidUrl, { kid, jwk, expired_at, fetched_at }) => {
    await database.query(SAVE_KEY, [plaidUrl, kid, JSON.stringify(jwk), expired_at, fetched_at]);
  },
  drop: async (plaidUrl, kid) => {
    await database.query(DROP_KEY, [plaidUrl, kid]);
  },
});
