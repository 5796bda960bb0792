/**
 * Changes of an integration that concern its items too. The change itself is one transaction, which notes what follows; that is
 * done in parts at once, and by the janitor where this process ends before.
 */
import type { Database } from "../database/types.ts";
import {
  changeIntegration,
  markDeleted,
  type Integration,
  type IntegrationChanges,
} from "../integrations/integrations.ts";
import type { Vault } from "../integrations/vault.ts";
import { finish } from "./unfinished.ts";

/**
 * Changes what is given and leaves the rest. New credentials give subjects that failed for the old ones another try.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateIntegration(
  database: Database,
  vault: Vault,
  id: string,
  changes: IntegrationChanges,
): Promise<Integration> {
  const { integration, unfinished } = await changeIntegration(database, vault, id, changes);
  if (unfinished !== null) await finish(database, id, unfinished);
  return integration;
}

/**
 * Wipes its secrets and makes that known; then wipes all its items' tokens, takes its subjects out of the queue and records
 * that they are unlinked, and with `purge` deletes its mirrored and journaled rows, events among them. What follows the first
 * transaction is done in parts: one that was cut short is repeated, or finished by `finishIntegrations`.
 * @throws TartanError `not_found`
 */
export async function deleteIntegration(database: Database, id: string, { purge = false } = {}): Promise<void> {
  const unfinished = purge ? "purge" : "end";
  await markDeleted(database, id, unfinished);
  await finish(database, id, unfinished);
}
