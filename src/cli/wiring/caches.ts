/**
 * The caches on disk of a process that receives webhooks: its integrations and Plaid's verification keys, in the folder `cache` of the
 * data directory. With them a receiver starts while Postgres is away.
 *
 * A receiver opens them once, before it reaches Postgres. They are read then, and written whenever what they hold changes.
 */
import { join } from "node:path";
import { KeptIntegrations, type KeptIntegration } from "../../integrations/kept-integrations.ts";
import { openSealedFile, type SealedFile } from "../../integrations/sealed-file.ts";
import { checkSealingKey } from "../../integrations/vault.ts";
import { KeptKeys, type KeptKey } from "../../plaid/kept-keys.ts";
import type { IntakeParts } from "./engines.ts";

export interface Caches {
  integrations: SealedFile<KeptIntegration[]>;
  keys: SealedFile<KeptKey[]>;
}

/** Opens the caches; they are closed with the core. */
export function openCaches({ closer, config, vault, database, logger }: IntakeParts): Caches {
  const folder = join(config.dataDir, "cache");
  const common = { folder, vault, logger, agreeOnKey: () => checkSealingKey(database, vault) };
  return {
    integrations: closer.use(openSealedFile({ ...common, name: "integrations", shape: KeptIntegrations })),
    keys: closer.use(openSealedFile({ ...common, name: "verification-keys", shape: KeptKeys })),
  };
}
