#!/usr/bin/env node
/**
 * The `tartan` command: one file a noun in commands/, each of which adds its verbs here. This folder is the only place
 * that constructs things and the only one that reads the environment.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { describeOptions } from "../config.ts";
import { TartanError } from "../errors.ts";
import { configCommand } from "./commands/config.ts";
import { dbCommand } from "./commands/db.ts";
import { demoCommand } from "./commands/demo.ts";
import { integrationsCommand } from "./commands/integrations.ts";
import { itemsCommand } from "./commands/items.ts";
import { keysCommand } from "./commands/keys.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { simulateCommand } from "./commands/simulate.ts";
import { statusCommand } from "./commands/status.ts";
import { upCommand } from "./commands/up.ts";
import { vaultCommand } from "./commands/vault.ts";
import { webhooksCommand } from "./commands/webhooks.ts";
import { bold, dim, red, tell } from "./print.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

function optionsHelp(): string {
  const options = describeOptions();
  const width = Math.max(...options.map(({ env }) => env.length));
  const lines = options.map(({ env, about, defaultText }) => `  ${env.padEnd(width)}  ${about} (${defaultText})`);
  return `\nOptions come from the environment:\n${lines.join("\n")}`;
}

export function program(): Command {
  const tartan = new Command("tartan")
    .description("A verified, complete and queryable copy of your Plaid data in your own Postgres.")
    .version(version)
    .showHelpAfterError(dim("(add --help to see how the command is used)"))
    .exitOverride();
  const commands = [
    upCommand().addHelpText("after", optionsHelp()),
    demoCommand(),
    simulateCommand(),
    integrationsCommand(),
    itemsCommand(),
    webhooksCommand(),
    statusCommand(),
    dbCommand(),
    migrateCommand(),
    vaultCommand(),
    keysCommand(),
    configCommand(),
  ];
  for (const command of commands) tartan.addCommand(command);
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
  await program().parseAsync(process.argv);
} catch (error) {
  process.exitCode = fail(error);
}
