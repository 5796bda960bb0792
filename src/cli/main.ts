#!/usr/bin/env node
/**
 * The `tartan` command. commands/ has one file for each noun, input/ reads what the user gives, output/ prints, and wiring/
 * constructs and stops things. Only this folder does so, and reads the environment.
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { TartanError } from "../errors.ts";
import { avoidClosedFolder } from "./wiring/closed-folder.ts";
import { COMMANDS } from "./commands/index.ts";
import { bold, dim, red, tell } from "./output/print.ts";
import { listenForStops, Stopped } from "./wiring/signals.ts";

/** The whole command, or only the command that `asked` names. */
async function program(asked: string | undefined): Promise<Command> {
  const tartan = new Command("tartan")
    .description("Receives Plaid's webhooks, mirrors Plaid's data in your Postgres, and notifies your systems.")
    .version(VERSION)
    .option("--env-file <file>", "read options from a file of NAME=value lines; variables that are set override it")
    .on("option:env-file", readEnvFile)
    .hook("preAction", () => avoidClosedFolder(process.env))
    // Options after a command belong to that command.
    .enablePositionalOptions()
    .showHelpAfterError(dim("(add --help for the usage)"))
    .exitOverride();
  const one = asked === undefined ? undefined : COMMANDS[asked];
  for (const load of one ? [one] : Object.values(COMMANDS)) tartan.addCommand(await load());
  return tartan;
}

function readEnvFile(file: string): void {
  try {
    process.loadEnvFile(file);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : "cannot be read";
    throw new TartanError("config_invalid", `The file ${file} of --env-file ${why}.`, { cause });
  }
}

/** Prints every error in one style, and returns the exit code. */
function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof Stopped) return 0;
  if (error instanceof TartanError) {
    tell(`${red("✗")} ${error.message} ${dim(`[${error.code}]`)}`);
    for (const [field, problem] of Object.entries(error.fields ?? {})) {
      // Most messages already hold the sentences of their fields.
      if (!error.message.includes(problem)) tell(`  ${bold(field)}: ${problem}`);
    }
    return 1;
  }
  tell(`${red("✗")} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}

listenForStops();
try {
  await (await program(process.argv[2])).parseAsync(process.argv);
} catch (error) {
  process.exitCode = fail(error);
}
