/** Renews the lease of a run while it lasts, at a third of the lease's length. */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { isLeaseLost } from "./lease.ts";
import { renew } from "./queue.ts";
import type { Claim } from "./types.ts";

interface Deps {
  database: Database;
  clock: Clock;
  logger: Logger;
  leaseSeconds: number;
}

/** Renews the lease until the returned controller is aborted; a lost lease aborts the run by `stop`. */
export function keepLease(
  { database, clock, leaseSeconds, logger }: Deps,
  claimed: Claim,
  stop: AbortController,
): AbortController {
  const beating = new AbortController();
  void (async () => {
    for (;;) {
      await clock.sleep((leaseSeconds * 1000) / 3, beating.signal);
      if (beating.signal.aborted) return;
      try {
        await renew(database, claimed, leaseSeconds);
      } catch (error) {
        if (isLeaseLost(error)) return stop.abort(error);
        logger.warn({ error }, "cannot renew a lease; trying again");
      }
    }
  })();
  return beating;
}
