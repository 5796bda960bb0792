/**
 * Makes a database fit for use before anything uses it: a server migrates it, a command checks that somebody has.
 *
 * It runs in each try of a server to reach Postgres (core.ts), and once in a command.
 */
import { migrate } from "../../database/migrate.ts";
import { openDatabase } from "../../database/pool.ts";
import { schemaState } from "../../database/schema.ts";
import type { Database } from "../../database/types.ts";
import { setDatabaseAside } from "../../embedded/embedded.ts";
import { restrictLogins } from "../../embedded/restrict.ts";
import { TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { describeTables } from "../../mirror/comments.ts";

export type Prepare = (database: Database, logger: Logger) => Promise<void>;

export const bringUp: Prepare = async (database, logger) => {
  await migrate(database, { logger });
  // Nothing depends on comments, so the start goes on without them.
  await describeTables(database).catch((error: unknown) =>
    logger.warn({ error }, "comments of the tables were not written"),
  );
};

/** The embedded server is Tartan's alone, so Tartan may restrict other logins. */
export const bringUpEmbedded: Prepare = async (database, logger) => {
  await bringUp(database, logger);
  await restrictLogins(database);
};

/** A command that only reads changes no table: older servers may still work on this database. */
export const checkSetUp: Prepare = async (database) => {
  const { version, fault } = await schemaState(database);
  if (fault === null) return;
  throw new TartanError(
    "not_set_up",
    version === 0
      ? "This database has no tables of Tartan yet. Start the server with `npx tartan up`, or make the tables with `npx tartan migrate`."
      : `This database does not fit this version of Tartan: ${fault}.`,
  );
};

/** Opens the database and prepares it; it is closed when that fails. */
export async function openPrepared(options: Parameters<typeof openDatabase>[0], prepare: Prepare): Promise<Database> {
  const database = await openDatabase(options);
  try {
    await prepare(database, options.logger);
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

/** The same; a database of an older version is set aside, and an empty one takes its place. */
export async function openAnew(options: Parameters<typeof openDatabase>[0], prepare: Prepare): Promise<Database> {
  try {
    return await openPrepared(options, prepare);
  } catch (error) {
    if (!(error instanceof TartanError) || error.code !== "schema_too_old") throw error;
    const aside = await setDatabaseAside(options.url);
    options.logger.warn({ aside }, "the database of an older version was set aside under another name");
    return await openPrepared(options, prepare);
  }
}
