/**
 * Revokes the privileges with which other logins of a database could disturb Tartan; Postgres grants them to every login by
 * default. Only for the embedded server, which belongs to Tartan; docs/operations.md has the same for a database of your own.
 */
import { RESTRICTED_FUNCTIONS, RESTRICT } from "./queries.ts";
import type { Database } from "../database/types.ts";

/** May be repeated; does nothing where nothing is left to revoke. */
export async function restrictLogins(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    const { rows } = await tx.query<{ signature: string }>(RESTRICTED_FUNCTIONS);
    for (const { signature } of rows) await tx.query(`revoke execute on function ${signature} from public`);
    await tx.query(RESTRICT);
  });
}
