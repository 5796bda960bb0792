/** `tartan up`: the server. */
import { Command, Option } from "commander";
import { describeOptions } from "../../config.ts";
import { TartanError } from "../../errors.ts";
import { listIntegrations } from "../../integrations/integrations.ts";
import { LOG_FORMATS, type LogFormat } from "../../logger.ts";
import type { Core } from "../wiring/core.ts";
import { bold, cyan, dim, tell, yellow } from "../output/print.ts";
import { ROLES, type Role, type RunningProcess } from "../wiring/serve.ts";
import { untilStopped } from "../wiring/signals.ts";
import { start } from "../wiring/start.ts";

export function upCommand(): Command {
  return new Command("up")
    .description("run the server: receiver, sync, relay and API in one process, or some of them")
    .option("--only <roles>", `run only these, separated by commas: ${ROLES.join(", ")}`)
    .addOption(new Option("--log-format <format>", "the same as TARTAN_LOG_FORMAT").choices(LOG_FORMATS))
    .addHelpText("after", optionsHelp())
    .action(async ({ only, logFormat }: { only?: string; logFormat?: LogFormat }) => {
      const roles = readRoles(only);
      const env = { ...process.env, ...(logFormat && { TARTAN_LOG_FORMAT: logFormat }) };
      await using started = await start(env, roles);
      const { core, running } = started;
      await greet(core, roles, running);
      core.logger.info({ roles, url: running.url }, "tartan is up");
      await untilStopped();
    });
}

function optionsHelp(): string {
  const options = describeOptions();
  const width = Math.max(...options.map(({ env }) => env.length));
  const lines = options.map(({ env, about, defaultText }) => `  ${env.padEnd(width)}  ${about} (${defaultText})`);
  return `\nOptions come from the environment:\n${lines.join("\n")}`;
}

function readRoles(only: string | undefined): readonly Role[] {
  if (only === undefined) return ROLES;
  const asked = only.split(",").map((role) => role.trim());
  const unknown = asked.filter((role) => !ROLES.includes(role as Role));
  if (unknown.length > 0) {
    throw new TartanError("invalid_request", `--only takes ${ROLES.join(", ")}, not ${unknown.join(", ")}.`);
  }
  return asked as Role[];
}

async function greet(
  { config, database, embedded }: Core,
  roles: readonly Role[],
  { url, newAdminKey }: RunningProcess,
): Promise<void> {
  tell(`${bold("Tartan")} ${dim(`runs ${roles.join(", ")}`)}`);
  if (roles.includes("api")) tell(`  ${dim("API")}       ${cyan(`${url}/v1`)}  ${dim(`reference ${url}/docs`)}`);
  if (roles.includes("receiver")) {
    tell(`  ${dim("webhooks")}  ${cyan(`${config.publicUrl ?? url}/v1/integrations/<id>`)}`);
  }
  tell(`  ${dim("probes")}    ${cyan(`${url}/readyz`)}  ${dim("/livez /metrics")}`);
  tell(`  ${dim("database")}  ${embedded ? `embedded, in ${config.dataDir}` : "TARTAN_DATABASE_URL"}`);
  if (newAdminKey) tell(`  ${dim("API key")}   ${yellow(newAdminKey)}  ${dim("shown this once")}`);
  const connected = (await listIntegrations(database)).length > 0;
  const next = connected ? "npx tartan status" : "npx tartan integrations create plaid_item_v1";
  tell(`  ${dim("next")}      ${cyan(next)} ${dim("in another terminal")}\n`);
}
