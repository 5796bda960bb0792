/** Chooses the engines of the ports Intake and Records: another engine is wired here, and nowhere else. */
import { openIntake } from "../../journal/intake.ts";
import { openRecords } from "../../journal/records.ts";
import type { Intake } from "../../model/intake.ts";
import type { Records } from "../../model/records.ts";
import type { Core } from "./core.ts";

/** What an intake is opened with; a server has it before it reaches Postgres. */
export type IntakeParts = Pick<Core, "closer" | "database" | "vault" | "config" | "logger" | "pressure">;

/** Opens what makes arrivals durable; it is closed with the core. */
export const openIntakeOf = ({ closer, database, vault, config, logger, pressure }: IntakeParts): Intake =>
  closer.use(openIntake({ database, vault, queueMax: config.acceptQueueMax, logger, pressure }));

/** Where stored webhooks are read. */
export const recordsOf = ({ database }: Pick<Core, "database">): Records => openRecords(database);
