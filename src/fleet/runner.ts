/**
 * Works on fleet jobs until it is disposed. A process claims running jobs that no other holds, and works on each in a loop of its own
 * (held-job.ts), so that a job of hours delays no other.
 *
 *   free ──claim: the fence is raised──▶ held ──it ends, pauses or is cancelled; the process stops──▶ free
 *     ▲                                   │ renewed every 8 s
 *     └──── 30 s without a renewal: the process died, or cannot reach Postgres; it has stopped asking Plaid before
 */
import { openTogether } from "../database/together.ts";
import type { Database } from "../database/types.ts";
import { startWorkerLoop } from "../database/worker-loop.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { Pressure } from "../model/pressure.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { createLimiter } from "../sync/limiter.ts";
import { HeldJob, LEASE_SECONDS, type Claimed } from "./held-job.ts";
import { kindOf, KINDS } from "./kinds/index.ts";
import type { FleetKind } from "../model/statuses.ts";
import { CLAIM_JOBS, UNFINISHED_MAX } from "./queries.ts";

export interface FleetOptions {
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  /** multiplies Plaid's published rate limits */
  limitFactor: number;
  /** sync runs at once in one process */
  syncConcurrency: number;
  pollMs: number;
  /** jobs give way to webhooks that wait for a commit in this process */
  pressure?: Pressure;
}

/** Jobs that one process works on at once: as many as can be unfinished, so that none waits for the end of another. */
const HELD_MAX = UNFINISHED_MAX;

type ClaimedRow = Omit<Claimed, "kind"> & { kind: FleetKind };

/** Starts to work on jobs. Disposing it lets requests that are under way end, for five seconds, and gives the jobs back. */
export async function startFleet(options: FleetOptions): Promise<AsyncDisposable> {
  const { database, clock, logger, limitFactor, pollMs } = options;
  const held = new Map<string, HeldJob>();
  const limiter = createLimiter(database, clock, limitFactor);
  const together = openTogether(database);
  const work = async (): Promise<boolean> => {
    for (const job of held.values()) job.lookAgain();
    if (held.size >= HELD_MAX) return false;
    const values = [HELD_MAX - held.size, [...held.keys()], LEASE_SECONDS, Object.keys(KINDS)];
    const { rows } = await database.query<ClaimedRow>(CLAIM_JOBS, values);
    for (const row of rows) {
      const job = new HeldJob({ ...options, limiter, together }, { ...row, kind: kindOf(row.kind) });
      held.set(row.id, job);
      void job.done.finally(() => held.delete(row.id));
    }
    return false;
  };
  const trouble = "cannot claim jobs about items; trying again";
  const loop = await startWorkerLoop({ database, clock, logger, channels: ["tartan_jobs"], pollMs, trouble, work });
  return {
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await Promise.all([...held.values()].map((job) => job.stop()));
    },
  };
}
