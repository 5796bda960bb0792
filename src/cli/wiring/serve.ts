/**
 * One Tartan process with its roles, started in the order of their dependencies and closed in the opposite
 * order: the process accepts nothing new, finishes or gives back its work, and then closes the database.
 *
 * It runs when Postgres is reached, and again when Postgres goes away in the middle of it (start.ts).
 */
import type { FastifyInstance } from "fastify";
import { createServer } from "../../api/server.ts";
import { VERSION } from "../../version.ts";
import { systemClock } from "../../clock.ts";
import { registerProcess, type ProcessFacts } from "../../database/processes.ts";
import { givingWay } from "../../database/giving-way.ts";
import { ensureAdminKey } from "../../integrations/api-keys.ts";
import { startErasing } from "../../lifecycle/revocations.ts";
import { startReveals } from "../../lifecycle/reveals.ts";
import { startJanitor } from "../../journal/janitor.ts";
import { startLinking } from "../../linking/adopt.ts";
import { takeInExchanges } from "../../linking/rescued-exchanges.ts";
import { noteArrivals } from "../../linking/sessions.ts";
import { startTakingIn } from "../../integrations/rescue-files.ts";
import { takeInTokens } from "../../integrations/rescued-tokens.ts";
import { checkSealingKey } from "../../integrations/vault.ts";
import { startFleet, type FleetOptions } from "../../fleet/runner.ts";
import type { Directory, KnownIntegration } from "../../model/integration.ts";
import type { PlaidClient } from "../../plaid/client.ts";
import { startProver } from "../../quarantine/prover.ts";
import { createGuard } from "../../relay/senders/http/guard.ts";
import { startRelay, type RelayOptions } from "../../relay/relay.ts";
import { openTransforms } from "../../relay/content/transform.ts";
import { startReconciliation } from "../../sync/reconcile.ts";
import { startSilence, type SilenceOptions } from "../../silence/silence.ts";
import { startSync } from "../../sync/sync.ts";
import { openCaches } from "./caches.ts";
import type { Core } from "./core.ts";
import { recordsOf } from "./engines.ts";
import { openReceiving, type Receiving } from "./receiving.ts";
import { announce } from "./server-addresses.ts";
import { janitorOptions } from "./upkeep.ts";

export const ROLES = ["receiver", "sync", "relay", "api"] as const;
export type Role = (typeof ROLES)[number];

export interface RunningProcess {
  /** where this process listens; a worker listens too, for its probes */
  url: string;
  /** the administrator's key, if this start made it */
  newAdminKey: string | null;
}

/**
 * Starts the roles; closing the core stops them.
 * @param opened what accepts webhooks already; absent: the door opens when the roles have started
 */
export async function serve(core: Core, roles: readonly Role[], opened?: Receiving): Promise<RunningProcess> {
  const { closer, database, vault, config, logger, pressure } = core;
  const clock = systemClock;
  const receiving = opened ?? (await openReceiving(core, roles.includes("receiver") ? openCaches(core) : null));
  // Before the first run reads with the token that Plaid has ended.
  const takeInAll = async (): Promise<void> => {
    await takeInTokens({ database, vault, logger }, config.dataDir);
    await takeInExchanges({ database, vault, logger, dataDir: config.dataDir });
  };
  await takeInAll();
  closer.use(await startTakingIn({ database, logger, clock }, takeInAll));
  closer.use(await startJanitor(janitorOptions({ ...core, database: givingWay(database, pressure, "janitor") })));
  closer.use(await startReveals({ database, logger, clock }));
  if (roles.includes("sync")) closer.use(await startErasing({ database, logger, clock }));
  const { key, generated } = await ensureAdminKey(database, config.adminKey);

  if (roles.includes("sync")) await startSyncing(core, receiving);
  if (roles.includes("relay")) closer.use(await startRelay(relayOptions(core)));
  const url = await answer(core, roles, receiving);
  return { url, newAdminKey: generated ? (key ?? null) : null };
}

/** Starts what keeps the mirror equal to Plaid. */
async function startSyncing(core: Core, { directory, clientFor }: Receiving): Promise<void> {
  const { closer, database, vault, config, logger, pressure } = core;
  const { plaidLimitFactor: limitFactor, syncPollMs: pollMs, dataDir } = config;
  const windowSeconds = config.reconcileHours * 3600;
  const deps = { database, directory, vault, clientFor, clock: systemClock, logger, limitFactor };
  closer.use(
    await startSync({
      ...deps,
      concurrency: config.syncConcurrency,
      leaseSeconds: config.syncLeaseSeconds,
      pollMs,
      onArrived: noteArrivals,
      pressure,
      // Items that need their user are checked as often as the others.
      ...(windowSeconds > 0 && { delays: { checkMs: windowSeconds * 1000 } }),
    }),
  );
  closer.use(await startLinking({ ...deps, dataDir, pollMs }));
  closer.use(await startFleet(fleetOptions(core, directory, clientFor)));
  if (windowSeconds > 0) closer.use(startReconciliation({ ...deps, windowSeconds }));
  closer.use(await startSilence(silenceOptions(core, directory, clientFor)));
}

const fleetOptions = (
  { database, vault, config, logger, pressure }: Core,
  directory: FleetOptions["directory"],
  clientFor: FleetOptions["clientFor"],
): FleetOptions => ({
  database,
  directory,
  vault,
  clientFor,
  clock: systemClock,
  logger,
  limitFactor: config.plaidLimitFactor,
  syncConcurrency: config.syncConcurrency,
  pollMs: config.syncPollMs,
  pressure,
});

const silenceOptions = (
  { database, config, logger, pressure }: Core,
  directory: Directory,
  clientFor: (integration: KnownIntegration) => PlaidClient,
): SilenceOptions => ({
  database,
  directory,
  clientFor,
  clock: systemClock,
  logger,
  everySeconds: config.sentWebhooksMinutes * 60,
  // Without reconciliation, a day.
  windowSeconds: (config.reconcileHours || 24) * 3600,
  limitFactor: config.plaidLimitFactor,
  journalRetentionDays: config.journalRetentionDays,
  pressure,
});

const relayOptions = ({ database, vault, config, logger, pressure }: Core): RelayOptions => ({
  database,
  vault,
  clock: systemClock,
  logger,
  concurrency: config.relayConcurrency,
  leaseSeconds: config.relayLeaseSeconds,
  stopSeconds: config.relayStopSeconds,
  pollMs: config.relayPollMs,
  allowedAddresses: config.relayAllowedAddresses,
  pressure,
});

/** From here on a rotation of the master key sees this process, or this process sees the rotation. */
async function register({ closer, database, vault, logger }: Core, facts: ProcessFacts): Promise<void> {
  closer.use(await registerProcess({ database, logger, clock: systemClock }, facts));
  await checkSealingKey(database, vault);
}

const factsOf = ({ config, vault }: Core, roles: readonly Role[], url: string): ProcessFacts => ({
  version: VERSION,
  roles: [...roles],
  url,
  public_url: config.publicUrl ?? null,
  settings: {
    relay_allow_http: config.relayAllowHttp,
    relay_allowed_addresses: config.relayAllowedAddresses,
  },
  master_key_ids: vault.reloads ? null : vault.keyIds,
});

/** Puts the whole server behind the door, and this process into the list of processes. */
async function answer(core: Core, roles: readonly Role[], receiving: Receiving): Promise<string> {
  const { closer, config, logger } = core;
  const { door } = receiving;
  const server = await compose(core, roles, receiving);
  const before = door.url;
  // What may fail comes before the exchange: a start that is repeated must find the handler of the outage in its place.
  if (before !== null) {
    await register(core, factsOf(core, roles, before)).catch(async (error: unknown) => {
      await server.close();
      throw error;
    });
  }
  // A handler before it finishes its answers meanwhile.
  const replaced = door.serve(server);
  replaced.catch((error: unknown) => logger.error({ error }, "the handler of an outage could not be closed"));
  const url = before ?? (await door.listen(config));
  if (before === null) {
    await register(core, factsOf(core, roles, url));
    await announce(core, { url, roles });
  }
  // It accepts nothing new before the roles stop, however early it was opened.
  closer.defer(() => door.close());
  return url;
}

async function compose(core: Core, roles: readonly Role[], receiving: Receiving): Promise<FastifyInstance> {
  const { closer, database, vault, config, logger } = core;
  const { directory, keys } = receiving;
  if (roles.includes("receiver"))
    closer.use(await startProver({ database, directory, keys, clock: systemClock, logger }));
  const guard = createGuard({ allow: config.relayAllowedAddresses });
  return await createServer({
    ...receiving,
    config,
    roles: rolesOf(roles),
    database,
    vault,
    records: recordsOf(core),
    limitFactor: config.plaidLimitFactor,
    dataDir: config.dataDir,
    urls: { allowHttp: config.relayAllowHttp, checkUrl: guard.check },
    guard,
    transforms: closer.use(openTransforms()),
    clock: systemClock,
    logger,
  });
}

/** The roles as the server composes its routes by them. */
export const rolesOf = (roles: readonly Role[]) => ({
  receiver: roles.includes("receiver"),
  sync: roles.includes("sync"),
  relay: roles.includes("relay"),
  api: roles.includes("api"),
});
