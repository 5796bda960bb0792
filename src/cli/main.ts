#!/usr/bin/env node
/**
 * The `tartan` command: one file a noun in commands/, listed in commands/index.ts. This folder is the only place
 * that constructs things and the only one that reads the environment.
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { TartanError } from "../errors.ts";
import { avoidClosedFolder } from "./closed-folder.ts";
import { COMMANDS } from "./commands/index.ts";
import { bold, dim, red, tell } from "./print.ts";
import { listenForStops, Stopped } from "./signals.ts";

/** The whole command, or only the part that `asked` names. */
async function program(asked: string | undefined): Promise<Command> {
  const tartan = new Command("tartan")
    .description("Receives Plaid's webhooks, keeps your copy of the data true, and tells your systems.")
    .version(VERSION)
    .option("--env-file <file>", "read options from a file of NAME=value lines; variables that are set win over it")
    .on("option:env-file", readEnvFile)
    .hook("preAction", () => avoidClosedFolder(process.env))
    // Options behind a command are that command's.
    .enablePositionalOptions()
    .showHelpAfterError(dim("(add --help to see how the command is used)"))
    .exitOverride();
  const one = asked === undefined ? undefined : COMMANDS[asked];
  for (const load of one ? [one] : Object.values(COMMANDS)) tartan.addCommand(await load());
  return tartan;
}

function readEnvFile(file: string): void {
  try {
    process.loadEnvFile(file);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "is not there" : "cannot be read";
    throw new TartanError("config_invalid", `The file ${file} of --env-file ${why}.`, { cause });
  }
}

/** Tells what went wrong in one place and one style; the exit code says whether anything did. */
function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof Stopped) return 0;
  if (error instanceof TartanError) {
    tell(`${red("✗")} ${error.message} ${dim(`[${error.code}]`)}`);
    for (const [field, fault] of Object.entries(error.fields ?? {})) {
      // Most messages hold the sentences of their fields already.
      if (!error.message.includes(fault)) tell(`  ${bold(field)}: ${fault}`);
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
