/** Read-only logins to the mirror, of integrations that exist. */
import { audit } from "../audit/audit.ts";
import type { Database } from "../database/types.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { TartanError } from "../errors.ts";
import { getIntegration } from "../integrations/integrations.ts";
import * as mirror from "../mirror/reader.ts";

/**
 * The connection string of a reader, of one integration's where `scope` says so; makes the reader if there is none.
 * @throws TartanError `not_found` (integration); else as `readerUrl` of mirror/
 */
export async function readerUrl(
  database: Database,
  url: string,
  scope: mirror.ReaderScope = {},
  by: Change = BY_TARTAN,
): Promise<string> {
  const { integrationId: id } = scope;
  if (id !== undefined && (await getIntegration(database, id)) === null) {
    const fields = { integration: "names no integration" };
    throw new TartanError("not_found", `There is no integration ${id}.`, { fields });
  }
  return await mirror.readerUrl(database, url, scope, (tx, role, change) =>
    audit(tx, by, { action: `reader.${change}`, integrationId: id, target: role }),
  );
}
