/**
 * What accepting webhooks needs.
 *
 * A receiver with caches opens it before it reaches Postgres, over the late database of its base, whose calls fail until that is
 * attached; any other server when it serves. It is opened once, and stays when roles are started again.
 */
import { openDoor, type Door } from "../../api/http/door.ts";
import { systemClock } from "../../clock.ts";
import { watchEventLoop } from "../../event-loop.ts";
import { openDirectory, type PostgresDirectory } from "../../integrations/directory.ts";
import { openRefusals, type Refusals } from "../../journal/refusals.ts";
import { openLogins } from "../../listeners/logins.ts";
import type { Intake } from "../../model/intake.ts";
import type { KnownIntegration } from "../../model/integration.ts";
import type { SpoolStatus } from "../../model/spool.ts";
import type { Logins } from "../../model/listener.ts";
import type { PlaidClient } from "../../plaid/client.ts";
import { openKeptKeys } from "../../plaid/kept-keys.ts";
import { keyTable } from "../../plaid/key-table.ts";
import { openVerificationKeys, type VerificationKeys } from "../../plaid/keys.ts";
import type { Caches } from "./caches.ts";
import { openSpoolOf, type IntakeParts } from "./engines.ts";
import { plaidClients } from "./plaid-clients.ts";

export interface Receiving {
  door: Door;
  directory: PostgresDirectory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  intake: Intake & SpoolStatus;
  keys: VerificationKeys;
  refusals: Refusals;
  logins: Logins;
}

/**
 * Opens it; it is closed with the core.
 * @param caches null for a process that receives no webhooks, which needs no data directory
 * @throws TartanError `database_unavailable` when Postgres is away and the caches hold no integrations
 */
export async function openReceiving(core: IntakeParts, caches: Caches | null): Promise<Receiving> {
  const { closer, database, vault, config, logger } = core;
  const clock = systemClock;
  const eventLoop = watchEventLoop();
  closer.defer(() => eventLoop[Symbol.dispose]());
  const kept = caches === null ? {} : { kept: caches.integrations };
  const directory = closer.use(await openDirectory({ database, vault, logger, clock, ...kept }));
  const clientFor = plaidClients(core);
  const refusals = closer.use(openRefusals({ database, logger, clock }));
  const intake = await openSpoolOf(core, refusals);
  const { keyFetchesPerMinute: fetchesPerMinute } = config;
  const stored = keyTable(database);
  const table = caches === null ? stored : closer.use(await openKeptKeys({ table: stored, kept: caches.keys, logger }));
  const keys = closer.use(openVerificationKeys({ table, clientFor, clock, logger, fetchesPerMinute }));
  const door = closer.use(openDoor());
  return { door, directory, clientFor, intake, keys, refusals, logins: openLogins({ database, intake }) };
}
