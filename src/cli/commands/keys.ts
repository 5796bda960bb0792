/** `tartan keys …`: the administrator's API key. */
import { Command } from "commander";
import { resetAdminKey } from "../../integrations/api-keys.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { withCore } from "../wiring/core.ts";
import { green, say, sayFacts, sayJson, yellow } from "../output/print.ts";

export function keysCommand(): Command {
  const keys = new Command("keys").description("API keys");
  keys
    .command("reset")
    .description("make a new administrator's key; the old key stops working")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(
      withCore(async (core, { reason, json }: { reason?: string; json?: true }) => {
        const { key } = await resetAdminKey(core.database, byUser(reason));
        if (json) return sayJson({ key });
        say(`${green("✓")} the old key no longer works; the new one is not shown again`);
        sayFacts({ "API key": yellow(key) });
      }),
    );
  return keys;
}
