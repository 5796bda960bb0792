/** Real `tartan` processes on the world's database, and commands that run to their end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTartan, startTartan, type Finished, type TartanProcess } from "../process.ts";
import type { Base } from "./base.ts";

export const ADMIN_KEY = "admin-key-of-the-world";

type Env = Record<string, string>;

export interface ProcessesPart {
  /** what a Tartan process or command needs to work in this world */
  env: Env;
  /** starts a Tartan process; it is killed with the world at the latest */
  start(args?: string[], env?: Env, ready?: (line: string) => string | null): Promise<TartanProcess>;
  /** runs one command to its end */
  run(args: readonly string[], env?: Env): Promise<Finished>;
}

export const processes = {
  needs: [],
  /** @param options environment variables of every process and command */
  start: async (world: Base, options: { env?: Env }): Promise<ProcessesPart> => {
    // What one world leaves in its spool is not another's.
    const dataDir = await mkdtemp(join(tmpdir(), "tartan-world-"));
    world.use({ [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }) });
    const env = {
      TARTAN_DATA_DIR: dataDir,
      TARTAN_DATABASE_URL: world.databaseUrl,
      TARTAN_MASTER_KEY: world.masterKey,
      TARTAN_ADMIN_KEY: ADMIN_KEY,
      TARTAN_PLAID_LIMIT_FACTOR: "10000",
      TARTAN_SYNC_POLL_MS: "200",
      // A test that does not ask for reconciliation is not healed by it.
      TARTAN_RECONCILE_H: "0",
      ...options.env,
    };
    return {
      env,
      start: async (args = ["up"], more = {}, ready) => world.use(await startTartan({ ...env, ...more }, args, ready)),
      run: (args, more = {}) => runTartan({ ...env, ...more }, args),
    };
  },
} as const;
