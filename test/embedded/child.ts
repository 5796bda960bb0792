/**
 * A Tartan of its own process, for tests that kill it: starts the embedded server of the given data directory (waiting the
 * given milliseconds for a Tartan in another container), says how it went in one line of JSON, and stops it on SIGTERM, or on SIGINT after a moment of draining.
 */
import { setTimeout as delay } from "node:timers/promises";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { TartanError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";

const say = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [dataDir = "", waitMs = "60000"] = process.argv.slice(2);

try {
  const embedded = await startEmbedded({
    dataDir,
    logger: silentLogger,
    waitMs: Number(waitMs),
    settings: { shared_buffers: "16MB", fsync: "off" },
  });
  let stopping = false;
  const stop = async (drainMs: number) => {
    if (stopping) return;
    stopping = true;
    say({ draining: true });
    await delay(drainMs);
    await embedded[Symbol.asyncDispose]();
    say({ stopped: true });
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop(0));
  process.on("SIGINT", () => void stop(1_000));
  say({ url: embedded.url, port: embedded.port });
} catch (error) {
  say({ code: error instanceof TartanError ? error.code : "unknown", message: String(error) });
  process.exit(1);
}
