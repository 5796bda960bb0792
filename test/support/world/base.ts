/**
 * What every world stands on: a database with Tartan's tables, and a vault. Without vitest, so that the benches, whose Postgres
 * is another, stand on the same.
 */
import { randomBytes } from "node:crypto";
import type { Closer } from "../../../src/cli/wiring/closer.ts";
import type { Database } from "../../../src/database/types.ts";
import { openVault, type Vault } from "../../../src/integrations/vault.ts";

export interface Base extends AsyncDisposable {
  database: Database;
  /** holds a password; for processes and connections of one's own */
  databaseUrl: string;
  /** opens what is sealed with `masterKey` */
  vault: Vault;
  masterKey: string;
  /** closes a resource with the world, before what was started earlier, and returns it */
  use<T extends AsyncDisposable>(resource: T): T;
}

/** A new master key, as TARTAN_MASTER_KEY has it. */
export const newMasterKey = (): string => randomBytes(32).toString("base64");

/** @param masterKey the key under which the database's secrets are sealed, where it has some */
export function openBase(
  closer: Closer,
  { database, url, masterKey = newMasterKey() }: { database: Database; url: string; masterKey?: string },
): Base {
  return {
    database,
    databaseUrl: url,
    vault: openVault([masterKey]),
    masterKey,
    use: (resource) => closer.use(resource),
    [Symbol.asyncDispose]: () => closer[Symbol.asyncDispose](),
  };
}
