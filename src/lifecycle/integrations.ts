/**
 * Changes of an integration that affect its items too. The change itself is one transaction, which notes the work that follows. The
 * caller does that work at once, in parts; the janitor finishes it where the process ends earlier.
 */
import type { Database } from "../database/types.ts";
import {
  changeIntegration,
  getIntegration,
  markDeleted,
  type Integration,
  type IntegrationChange,
} from "../integrations/integrations.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Change } from "../model/change.ts";
import { finishReveals, type Effort } from "./reveals.ts";
import { finish } from "./unfinished.ts";

/**
 * Changes the given settings and leaves the rest. After new credentials, subjects that failed with the old ones are tried again. What is
 * revealed or enabled is due to be read. Rows of resources that are hidden are masked when this resolves, unless `effort` ended first:
 * then the answer's `masking_resources` names them, and the loop of any process finishes them.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateIntegration(
  database: Database,
  vault: Vault,
  id: string,
  changes: IntegrationChange,
  by?: Change,
  effort?: Effort,
): Promise<Integration> {
  const { integration, unfinished } = await changeIntegration(database, vault, id, changes, by);
  if (unfinished !== null) await finish(database, id, unfinished);
  if (changes.revealed_resources === undefined && changes.enabled_resources === undefined) return integration;
  await finishReveals(database, id, effort);
  return (await getIntegration(database, id)) ?? integration;
}

/**
 * Deletes its secrets and notifies the processes. Then deletes all its items' tokens, takes its subjects out of the queue and records
 * that they are unlinked; with `purge` also deletes its mirrored and journaled rows and its events, and without it hides all that it
 * revealed. The work after the first transaction is done in parts. If it is interrupted, repeat the call, or `finishIntegrations` and
 * `startReveals` finish it.
 * @throws TartanError `not_found`
 */
export async function deleteIntegration(
  database: Database,
  id: string,
  { purge = false, ...effort }: { purge?: boolean } & Effort = {},
  by?: Change,
): Promise<void> {
  const unfinished = purge ? "purge" : "end";
  await markDeleted(database, id, unfinished, by);
  await finish(database, id, unfinished);
  await finishReveals(database, id, effort);
}
