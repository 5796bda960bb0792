/** Settles what is kept for a key, and is killed when the last webhook of the batch is judged: before the transaction commits. */
import { openDatabase } from "../../src/database/pool.ts";
import { settleSome } from "../../src/journal/settle.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { INTEGRATION } from "../support/webhook.ts";

const [url = "", last = ""] = process.argv.slice(2);
const database = await openDatabase({ url, poolSize: 4, applicationName: "prover child", logger });
await settleSome(database, { integrationId: INTEGRATION, keyId: "kid-1" }, async ({ id }) => {
  if (id === last) process.kill(process.pid, "SIGKILL");
  return { refused: "signature_invalid", detail: "This was never committed." };
});
