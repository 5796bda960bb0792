/** `tartan db url`: a connection string for the mirror, of a role that can read it and nothing else. */
import { Command } from "commander";
import { readerUrl } from "../../lifecycle/reader.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { withCore } from "../wiring/core.ts";
import { dim, say, sayJson, tell } from "../output/print.ts";

interface Flags {
  integration?: string;
  rotate?: true;
  reason?: string;
  json?: true;
}

export function dbCommand(): Command {
  const db = new Command("db").description("the mirror's database");
  db.command("url")
    .description("print a read-only connection string for the mirror (schema plaid)")
    .option("--integration <id>", "the role sees this integration's rows only")
    .option("--rotate", "give the role a new password; the old one stops working")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(
      withCore(async (core, { integration, rotate, reason, json }: Flags) => {
        const scope = { rotate: rotate === true, ...(integration !== undefined && { integrationId: integration }) };
        const url = await readerUrl(core.database, core.databaseUrl, scope, byUser(reason));
        if (json) return sayJson({ url });
        say(url);
        if (process.stdout.isTTY) tell(dim(`psql '${url}' -c 'select * from plaid.current_accounts'`));
      }),
    );
  return db;
}
