/**
 * Chooses the engines of the ports Intake and Records: another engine is wired here, and nowhere else.
 *
 * A receiver opens its intake before it reaches Postgres, over the database that comes later; a command over the one that it has.
 */
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { openIntake } from "../../journal/intake.ts";
import { checkLinked } from "../../journal/link.ts";
import type { QuarantineBounds } from "../../journal/quarantine-bounds.ts";
import { openRecords } from "../../journal/records.ts";
import type { Intake, Restoring } from "../../model/intake.ts";
import type { Records } from "../../model/records.ts";
import type { RefusalSink } from "../../model/refusal.ts";
import type { SpoolStatus } from "../../model/spool.ts";
import { openSpool } from "../../spool/spool.ts";
import type { Core } from "./core.ts";

/** What an intake is opened with; a server has it before it reaches Postgres. */
export type IntakeParts = Pick<Core, "closer" | "database" | "vault" | "config" | "logger" | "pressure">;

/** Opens what makes arrivals durable; it is closed with the core. */
export const openIntakeOf = (parts: IntakeParts): Intake & Restoring => {
  const { closer, database, vault, config, logger, pressure } = parts;
  const quarantine = boundsOf(config);
  return closer.use(openIntake({ database, vault, queueMax: config.acceptQueueMax, quarantine, logger, pressure }));
};

/** What each quarantine may hold; null where none is kept. */
const boundsOf = ({ quarantineDays, quarantineMax, quarantineMaxMb }: Core["config"]): QuarantineBounds | null =>
  quarantineDays === 0 ? null : { webhooks: quarantineMax, bytes: quarantineMaxMb * 1024 * 1024 };

/** The same for a server, which keeps arrivals in the data directory while Postgres cannot take them. */
export async function openSpoolOf(parts: IntakeParts, refusals: RefusalSink): Promise<Intake & SpoolStatus> {
  const { closer, vault, config, logger, pressure } = parts;
  const inner = openIntakeOf(parts);
  return closer.use(
    await openSpool({
      inner,
      root: spoolRoot(config.dataDir),
      maxBytes: config.spoolMaxMb * 1024 * 1024,
      // All that may wait for Postgres, and as many that come meanwhile.
      queueMax: 2 * config.acceptQueueMax,
      // A rotation puts the new key first and then looks into the spool for what the others have sealed.
      vault: {
        seal: (plain, context) => vault.sealNewest(plain, context),
        open: (sealed, context) => vault.open(sealed, context),
      },
      check: checkLinked,
      keepsUnproven: config.quarantineDays > 0,
      refusals,
      clock: systemClock,
      logger,
      pressure,
    }),
  );
}

/** Where the processes that share a data directory have their spools. */
export const spoolRoot = (dataDir: string): string => join(dataDir, "spool");

/** Where stored webhooks are read. */
export const recordsOf = ({ database }: Pick<Core, "database">): Records => openRecords(database);
