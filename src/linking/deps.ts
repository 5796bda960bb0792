/** What every function of linking needs that asks Plaid. */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Logger } from "../logger.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";

export interface LinkingDeps {
  database: Database;
  vault: Vault;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  /** where an access token is kept, sealed, until it has committed */
  dataDir: string;
  /** multiplies Plaid's published rate limits; 1 when absent */
  limitFactor?: number;
}
