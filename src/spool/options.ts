/** What a spool is opened with. */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Intake, LinkedItem, Restoring } from "../model/intake.ts";
import type { Pressure } from "../model/pressure.ts";
import type { RefusalSink } from "../model/refusal.ts";
import type { SpoolVault } from "./record.ts";
import type { CreateFile } from "./segment.ts";

export interface SpoolOptions {
  inner: Intake & Restoring;
  /** `<data directory>/spool`; made where it is missing */
  root: string;
  /** that the files may take; 0: nothing is spooled, and what is there is drained */
  maxBytes: number;
  /** arrivals that may wait for the disk; when more come, they are refused */
  queueMax?: number;
  vault: SpoolVault;
  /** throws `invalid_request` for a linked item without what it needs; another engine checks that as it stores it */
  check?: (item: LinkedItem) => void;
  /** false: unproven webhooks are refused with `not_enabled`, as by an engine without a quarantine; those in the files are drained */
  keepsUnproven?: boolean;
  refusals: RefusalSink;
  clock: Clock;
  logger: Logger;
  /** learns of each write to the file; the drain gives way to it */
  pressure?: Pressure;
  /** ms after which an arrival that the inner engine has not answered goes to the file */
  deadlineMs?: number;
  /** ms after which a write to the file counts as stuck */
  stuckMs?: number;
  /** ms between looks for what dead processes have left */
  leftOverEveryMs?: number;
  /** for tests that let the disk fail */
  create?: CreateFile;
}
