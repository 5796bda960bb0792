/** `tartan destinations test`: sends one signed test event and prints the receiver's answer. */
import { Command } from "commander";
import { createGuard } from "../../../relay/senders/http/guard.ts";
import { sendTest } from "../../../relay/ledger/test-deliveries.ts";
import { withCore, type Core } from "../../wiring/core.ts";
import { sayDelivery } from "../../output/deliveries.ts";
import { sayJson } from "../../output/print.ts";

export function testCommand(): Command {
  return new Command("test")
    .argument("<id>")
    .description("send a test event now and show the answer; a failure is not retried")
    .option("--json", "print JSON")
    .action(withCore(test));
}

/** Exits with status 1 unless the receiver answered 2xx. */
async function test({ database, vault, config }: Core, id: string, { json }: { json?: true }): Promise<void> {
  const guard = createGuard({ allow: config.relayAllowedAddresses });
  const delivery = await sendTest({ database, vault, guard }, id);
  if (delivery.status !== "delivered") process.exitCode = 1;
  if (json) return sayJson(delivery);
  sayDelivery(delivery);
}
