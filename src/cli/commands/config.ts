/** `tartan config`: every option, its default and its sentence; and whether the environment's values are usable. */
import { Command } from "commander";
import { describeOptions, loadConfig } from "../../config.ts";
import { dim, green, say, sayJson, sayTable } from "../print.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("show every option, and check the environment's")
    .option("--json", "print JSON")
    .action(({ json }: { json?: true }) => {
      const options = describeOptions();
      if (json) sayJson(options);
      else {
        sayTable(
          options,
          { option: ({ env }) => env, default: ({ defaultText }) => dim(defaultText), about: ({ about }) => about },
          "",
        );
      }
      loadConfig(process.env);
      if (!json) say(green("\n✓ the environment's options are usable"));
    });
}
