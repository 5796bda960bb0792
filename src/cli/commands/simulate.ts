/** `tartan simulate`: runs the simulator on a port of its own until Ctrl-C. */
import { Command } from "commander";
import { describeOptions, loadConfig } from "../../config.ts";
import { startSimulator } from "../../simulator/index.ts";
import { Closer } from "../wiring/closer.ts";
import { wholeNumber } from "../input/flags.ts";
import { bold, cyan, dim, say, sayFacts } from "../output/print.ts";
import { untilStopped } from "../wiring/signals.ts";

interface Flags {
  port?: string;
  host?: string;
  seed?: string;
  state?: string;
  limits: boolean;
  activity?: string;
}

const PORT = describeOptions().find(({ env }) => env === "TARTAN_SIMULATOR_PORT")?.defaultText;

export function simulateCommand(): Command {
  return new Command("simulate")
    .description("run the simulator: an offline Plaid Sandbox with signed webhooks")
    .option(
      "--port <port>",
      `the port to listen on; 0 picks a free one (TARTAN_SIMULATOR_PORT, ${PORT})`,
      wholeNumber(0, 65_535),
    )
    .option("--host <host>", "the address to listen on (127.0.0.1)")
    .option("--seed <seed>", "the same seed makes the same world")
    .option("--state <file>", "keep the world in this file, and load it at the start")
    .option("--no-limits", "do not apply Plaid's rate limits")
    .option(
      "--activity <ms>",
      "change something by itself, at this interval in milliseconds",
      wholeNumber(10, 86_400_000),
    )
    .action(async (flags: Flags) => {
      const config = loadConfig(process.env);
      await using closer = new Closer();
      const simulator = closer.use(
        await startSimulator({
          port: flags.port === undefined ? config.simulatorPort : Number(flags.port),
          host: flags.host ?? "127.0.0.1",
          rateLimits: flags.limits,
          ...(flags.seed === undefined ? {} : { seed: flags.seed }),
          ...(flags.state === undefined ? {} : { stateFile: flags.state }),
        }),
      );
      if (flags.activity !== undefined) simulator.control.startActivity({ everyMs: Number(flags.activity) });
      say(`${bold("Simulator")} ${dim("plays Plaid at")} ${cyan(simulator.url)}`);
      sayFacts({
        client_id: simulator.clientId,
        secret: simulator.secret,
        control: `${simulator.url}/_simulator`,
        "make items": `curl -X POST ${simulator.url}/_simulator/items -H 'content-type: application/json' -d '{"count":1}'`,
      });
      const kept = flags.state === undefined ? "its world is lost then" : `its world stays in ${flags.state}`;
      say(dim(`Ctrl-C stops it; ${kept}.`));
      await untilStopped();
    });
}
