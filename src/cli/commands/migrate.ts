/** `tartan migrate`: applies pending migrations and prints the versions before and after. */
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { startEmbedded, attachEmbedded } from "../../embedded/embedded.ts";
import { migrate } from "../../database/migrate.ts";
import { describeTables } from "../../mirror/comments.ts";
import { openDatabase } from "../../database/pool.ts";
import { forgetLibpq } from "../../environment.ts";
import { createLogger, openLogOutput } from "../../logger.ts";
import { Closer } from "../wiring/closer.ts";
import { green, say, sayJson } from "../output/print.ts";

export function migrateCommand(): Command {
  return new Command("migrate")
    .description("bring the database's tables up to date (every server does so when it starts)")
    .option("--json", "print JSON")
    .action(async ({ json }: { json?: true }) => {
      const config = loadConfig(process.env);
      const logger = createLogger("warn", await openLogOutput(config.logFormat));
      await using closer = new Closer();
      if (config.databaseUrl === undefined) forgetLibpq(process.env);
      const url =
        config.databaseUrl ??
        (await attachEmbedded(config.dataDir))?.url ??
        closer.use(await startEmbedded({ dataDir: config.dataDir, logger, brief: true })).url;
      const database = closer.use(
        await openDatabase({
          url,
          directUrl: config.databaseDirectUrl,
          poolSize: 2,
          applicationName: "tartan migrate",
          logger,
        }),
      );
      const done = await migrate(database, { logger });
      await describeTables(database);
      if (json) return sayJson(done);
      const what = done.applied.length === 0 ? "nothing to do" : `applied ${done.applied.join(", ")}`;
      return say(`${green("✓")} schema ${done.from} → ${done.to}: ${what}`);
    });
}
