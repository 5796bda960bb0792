/** `tartan config`: every option with its value here, and whether the values are usable. */
import { Command } from "commander";
import { describeOptions, loadConfig } from "../../config.ts";
import { bold, cyan, dim, green, say, sayJson, sayTable } from "../print.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("show every option with its value, and check the values")
    .option("--json", "print JSON")
    .action(({ json }: { json?: true }) => {
      const options = currentOptions(process.env);
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
      loadConfig(process.env);
      if (!json)
        say(`\n${green("✓")} the options are usable ${dim("(coloured values are set, the others are defaults)")}`);
    });
}

/** Each option with the value of this environment, or its default. The value of a secret is not shown. */
function currentOptions(env: NodeJS.ProcessEnv) {
  return describeOptions().map(({ env: name, about, defaultText, secret }) => {
    const set = Boolean(env[name]);
    const value = set ? (secret ? "(set, not shown)" : String(env[name])) : defaultText;
    return { env: name, value, set, default: defaultText, about };
  });
}
