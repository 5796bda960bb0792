#!/usr/bin/env node
/**
 * The `tartan` command: one file a noun in commands/, each of which adds its verbs here. This folder is the only place
 * that constructs things and the only one that reads the environment.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { TartanError } from "../errors.ts";
import { bold, dim, red, tell } from "./print.ts";

/** Loaded when they are asked for: a command that looks something up need not wait for the server's libraries. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  up: async () => (await import("./commands/up.ts")).upCommand(),
  demo: async () => (await import("./commands/demo.ts")).demoCommand(),
  simulate: async () => (await import("./commands/simulate.ts")).simulateCommand(),
  integrations: async () => (await import("./commands/integrations.ts")).integrationsCommand(),
  items: async () => (await import("./commands/items.ts")).itemsCommand(),
  webhooks: async () => (await import("./commands/webhooks.ts")).webhooksCommand(),
  status: async () => (await import("./commands/status.ts")).statusCommand(),
  db: async () => (await import("./commands/db.ts")).dbCommand(),
  migrate: async () => (await import("./commands/migrate.ts")).migrateCommand(),
  vault: async () => (await import("./commands/vault.ts")).vaultCommand(),
  keys: async () => (await import("./commands/keys.ts")).keysCommand(),
  config: async () => (await import("./commands/config.ts")).configCommand(),
};

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** The whole command, or only the part that `asked` names. */
async function program(asked: string | undefined): Promise<Command> {
  const tartan = new Command("tartan")
    .description("A verified, complete and queryable copy of your Plaid data in your own Postgres.")
    .version(version)
    .showHelpAfterError(dim("(add --help to see how the command is used)"))
    .exitOverride();
  const one = asked === undefined ? undefined : COMMANDS[asked];
  for (const load of one ? [one] : Object.values(COMMANDS)) tartan.addCommand(await load());
  return tartan;
}

/** Tells what went wrong in one place and one style; the exit code says whether anything did. */
function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof TartanError) {
    tell(`${red("✗")} ${error.message} ${dim(`[${error.code}]`)}`);
    if (error.code !== "config_invalid") {
      for (const [field, fault] of Object.entries(error.fields ?? {})) tell(`  ${bold(field)}: ${fault}`);
    }
    return 1;
  }
  tell(`${red("✗")} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}

try {
  await (await program(process.argv[2])).parseAsync(process.argv);
} catch (error) {
  process.exitCode = fail(error);
}
