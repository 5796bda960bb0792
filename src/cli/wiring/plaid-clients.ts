/** Plaid clients, for servers and for commands that call Plaid themselves. */
import { systemClock } from "../../clock.ts";
import { openDirectory } from "../../integrations/directory.ts";
import { createPlaidClient, type PlaidClient } from "../../plaid/client.ts";
import type { KnownIntegration } from "../../model/integration.ts";
import type { LinkDeps } from "../../sync/linking.ts";
import type { Core } from "./core.ts";
import { openIntakeOf } from "./engines.ts";

/** One client for each integration, replaced when its credentials change. */
export function plaidClients(timeoutMs: number): (integration: KnownIntegration) => PlaidClient {
  const clients = new Map<string, { credentials: string; client: PlaidClient }>();
  return ({ id, plaidUrl, clientId, secret }) => {
    const credentials = JSON.stringify([plaidUrl, clientId, secret]);
    const known = clients.get(id);
    if (known?.credentials === credentials) return known.client;
    const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs, clock: systemClock });
    clients.set(id, { credentials, client });
    return client;
  };
}

/** What linking an item needs; closed with the core. */
export async function openLinking(core: Core): Promise<LinkDeps> {
  const { database, vault, logger, config, closer } = core;
  const clock = systemClock;
  const directory = closer.use(await openDirectory({ database, vault, logger, clock }));
  const clientFor = plaidClients(config.plaidTimeoutSeconds * 1000);
  return { database, intake: openIntakeOf(core), directory, clientFor, clock, limitFactor: config.plaidLimitFactor };
}
