/** `tartan config`: every option with its current value, and whether the values are usable. */
import { Command } from "commander";
import { describeOptions, loadConfig, readTartanEnvironment } from "../../config.ts";
import type { EnvironmentVariables } from "../../environment.ts";
import { bold, cyan, dim, green, say, sayJson, sayTable, tell, yellow } from "../output/print.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("show every option with its value, and check the values")
    .option("--json", "print JSON")
    .action(({ json }: { json?: true }) => {
      const { env, notes } = readTartanEnvironment(process.env);
      const options = currentOptions(env);
      if (json) sayJson(options);
      else {
        sayTable(
          options,
          {
            option: ({ env, set }) => (set ? bold(env) : env),
            value: ({ value, set }) => (set ? cyan(value) : dim(value)),
            about: ({ about }) => about,
          },
          "",
        );
      }
      loadConfig(env);
      for (const note of notes) tell(yellow(note));
      if (!json)
        say(`\n${green("✓")} the options are usable ${dim("(coloured values are set, the others are defaults)")}`);
    });
}

/** Each option with the value of this environment, or its default. The value of a secret is not shown. */
function currentOptions(env: EnvironmentVariables) {
  return describeOptions().map(({ env: name, about, defaultText, secret }) => {
    const set = Boolean(env[name]);
    const value = set ? (secret ? "(set, not shown)" : String(env[name])) : defaultText;
    return { env: name, value, set, default: defaultText, about };
  });
}
