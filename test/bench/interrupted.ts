/** A bench that has started Postgres and another process, says so, and then waits. */
import { listenForInterrupts } from "../../bench/interrupt.ts";
import { startReceiverProcess } from "../../bench/receiver.ts";
import { openWorld } from "../../bench/world.ts";

listenForInterrupts();
await using world = await openWorld({ fsync: "off" });
await using receiver = await startReceiverProcess();
process.stdout.write(`started ${receiver.url}\n`);
// It waits for Postgres, so it fails when that is stopped.
await world.database.query("select pg_sleep(600)");
