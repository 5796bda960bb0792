/** `tartan items rotate-token`: replaces an item's access token at Plaid. */
import { Command } from "commander";
import { rotateToken } from "../../../integrations/token-rotation.ts";
import { byUser, REASON, REASON_HELP } from "../../input/change.ts";
import { confirm } from "../../input/confirm.ts";
import { green, say, sayJson } from "../../output/print.ts";
import { withCore, type Core } from "../../wiring/core.ts";
import { openLinking } from "../../wiring/plaid-clients.ts";
import { stopSignal } from "../../wiring/signals.ts";
import { knownItem } from "./known.ts";

export const rotateCommand = (): Command =>
  new Command("rotate-token")
    .argument("<item_id>")
    .description("replace its access token at Plaid; the old one stops working at once")
    .option("--integration <id>", "which integration is meant, if several link the item")
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(rotate));

interface Flags {
  integration?: string;
  reason?: string;
  yes?: true;
  json?: true;
}

async function rotate(core: Core, itemId: string, { integration, reason, yes, json }: Flags): Promise<void> {
  const { database, vault, logger, config } = core;
  const item = await knownItem(database, itemId, integration);
  await confirm(`This ends the access token of ${itemId} at Plaid, also where your backend uses it.`, {
    ...(yes && { yes }),
  });
  // The first Ctrl-C does not end the process: an answer of Plaid's that nobody waits for has the only copy of the new token.
  stopSignal();
  const deps = { ...(await openLinking(core)), vault, logger, dataDir: config.dataDir };
  const rotated = await rotateToken(deps, { integrationId: item.integration_id, itemId }, byUser(reason));
  if (json) return sayJson(rotated);
  say(`${green("✓")} ${itemId} has a new access token`);
}
