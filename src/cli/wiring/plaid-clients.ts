/** Plaid clients, for servers and for commands that call Plaid themselves. Made with what uses them; they need no database to work. */
import { systemClock } from "../../clock.ts";
import { openDirectory } from "../../integrations/directory.ts";
import { openCallCounts } from "../../plaid/calls.ts";
import { createPlaidClient, type PlaidClient } from "../../plaid/client.ts";
import type { KnownIntegration } from "../../model/integration.ts";
import { isBilledEndpoint } from "../../resources/index.ts";
import type { LinkDeps } from "../../sync/linking.ts";
import type { Core } from "./core.ts";
import { openIntakeOf } from "./engines.ts";

/** One client for each integration, replaced when its credentials change. Its requests are counted until the core is closed. */
export function plaidClients({
  closer,
  database,
  logger,
  config,
}: Pick<Core, "closer" | "database" | "logger" | "config">): (integration: KnownIntegration) => PlaidClient {
  const timeoutMs = config.plaidTimeoutSeconds * 1000;
  const counts = closer.use(openCallCounts({ database, logger, isBilled: isBilledEndpoint }));
  const clients = new Map<string, { credentials: string; client: PlaidClient }>();
  return ({ id, plaidUrl, clientId, secret }) => {
    const credentials = JSON.stringify([plaidUrl, clientId, secret]);
    const known = clients.get(id);
    if (known?.credentials === credentials) return known.client;
    const bare = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs, clock: systemClock });
    const client = counts.counted(id, bare);
    clients.set(id, { credentials, client });
    return client;
  };
}

/** What linking an item needs; closed with the core. */
export async function openLinking(core: Core): Promise<LinkDeps> {
  const { database, vault, logger, config, closer } = core;
  const clock = systemClock;
  const directory = closer.use(await openDirectory({ database, vault, logger, clock }));
  const clientFor = plaidClients(core);
  return { database, intake: openIntakeOf(core), directory, clientFor, clock, limitFactor: config.plaidLimitFactor };
}
