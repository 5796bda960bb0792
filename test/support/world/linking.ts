/** The worker of linking in this process: it looks into webhooks about sessions of Link and adopts their items. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/clock.ts";
import { openDirectory } from "../../../src/integrations/directory.ts";
import { startLinking, type LinkingOptions } from "../../../src/linking/adopt.ts";
import { createLogger, silentLogger } from "../../../src/logger.ts";
import { createPlaidClient } from "../../../src/plaid/client.ts";
import type { Base } from "./base.ts";

export interface LinkingPart {
  /** what a worker here has, for calls without one */
  deps: LinkingOptions;
  /** a worker, stopped with the world at the latest */
  start(options?: Partial<LinkingOptions>): Promise<AsyncDisposable>;
}

export const linking = {
  needs: ["simulator"],
  /** @param options of every worker */
  start: async (world: Base, options: Partial<LinkingOptions>): Promise<LinkingPart> => {
    const { database, vault } = world;
    const logger = process.env["TEST_LOG"] ? createLogger("debug") : silentLogger;
    const clock = systemClock;
    const directory = world.use(await openDirectory({ database, vault, logger: silentLogger, clock }));
    const clientFor: LinkingOptions["clientFor"] = ({ plaidUrl: baseUrl, clientId, secret }) =>
      createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock });
    const dataDir = join(tmpdir(), "tartan-linking", randomUUID());
    world.use({ [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }) });
    const deps = { dataDir, database, vault, directory, clientFor, clock, logger, limitFactor: 10_000, pollMs: 50 };
    return { deps, start: async (more = {}) => world.use(await startLinking({ ...deps, ...options, ...more })) };
  },
} as const;
