/**
 * A process with a spool, until it is killed. It writes the id of each webhook that is acknowledged on a line; with SPOOL_DRAIN it accepts
 * nothing and only drains into Postgres.
 */
import { writeSync } from "node:fs";
import { openDatabase } from "../../src/database/pool.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { openVault } from "../../src/integrations/vault.ts";
import type { Intake, Restoring } from "../../src/model/intake.ts";
import { arrived, MemoryIntake, open, type Root } from "./support.ts";

const { SPOOL_ROOT: path = "", SPOOL_DATABASE_URL: url, SPOOL_VAULT: key = "" } = process.env;

async function innerEngine(): Promise<Intake & Restoring> {
  if (url === undefined) return Object.assign(new MemoryIntake(), { mode: "away" });
  const database = await openDatabase({ url, poolSize: 4, applicationName: "spool child", logger });
  return openIntake({ database, vault: openVault([key]), queueMax: 1000, logger });
}

const root = { path } as Root;
const { spool } = await open(root, await innerEngine());
if (process.env["SPOOL_IDS_ONLY"] === undefined) writeSync(1, "open\n");

async function send(): Promise<never> {
  for (;;) writeSync(1, `${(await spool.accept(arrived())).id}\n`);
}

if (process.env["SPOOL_DRAIN"] === undefined) await Promise.all(Array.from({ length: 20 }, send));
else setInterval(() => undefined, 1000);
