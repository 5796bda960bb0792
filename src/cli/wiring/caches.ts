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
import { currentIntegrations } from "../../integrations/directory.ts";
import { Closer } from "./closer.ts";
import type { Core } from "./core.ts";

export type CacheParts = Pick<Core, "database" | "vault" | "logger"> & { config: Pick<Core["config"], "dataDir"> };

export interface Caches {
  integrations: SealedFile<KeptIntegration[]>;
  keys: SealedFile<KeptKey[]>;
}

/** Opens the caches; they are closed with the core. */
export function openCaches({ closer, config, vault, database, logger }: CacheParts & Pick<Core, "closer">): Caches {
  const folder = join(config.dataDir, "cache");
  const common = { folder, vault, logger, agreeOnKey: () => checkSealingKey(database, vault) };
  return {
    integrations: closer.use(openSealedFile({ ...common, name: "integrations", shape: KeptIntegrations })),
    keys: closer.use(openSealedFile({ ...common, name: "verification-keys", shape: KeptKeys })),
  };
}

/**
 * Seals the caches that are there anew, under the key that seals now: a receiver may end in the minute in which it would do so itself, and
 * could not start while Postgres is away. The secrets of integrations are those of the database, which are sealed anew there.
 */
export async function resealCaches(parts: CacheParts): Promise<void> {
  await using closer = new Closer();
  const { integrations, keys } = openCaches({ ...parts, closer });
  if ((await integrations.read()) !== null) integrations.keep(await currentIntegrations(parts.database));
  const known = await keys.read();
  if (known !== null) keys.keep(known);
}
