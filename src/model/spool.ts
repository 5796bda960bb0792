/** The state of a spool, as readyz, metrics, the API and the CLI show it. */

/**
 * - `off`: switched off, or its folder cannot be used; arrivals are refused while the database is away
 * - `straight`: it is empty, and arrivals go to the database
 * - `spooling`: arrivals go to its file, and none can be drained at present
 * - `draining`: arrivals go to its file, and those before them are moved to the database
 * - `full`: it takes no more, since its bound or the disk is reached, or the disk fails
 */
export const SPOOL_STATES = ["off", "straight", "spooling", "draining", "full"] as const;
export type SpoolState = (typeof SPOOL_STATES)[number];

export interface SpoolFacts {
  state: SpoolState;
  /** arrivals that wait to be drained */
  waiting: number;
  /** that its files take */
  bytes: number;
  /** when the first arrival went to the file instead of to the database; null while it is straight */
  since: Date | null;
  /** when the oldest arrival that waits came; null when none waits */
  oldest: Date | null;
  /** damaged places that were stepped over; what is left of them is in the folder `damaged` */
  damaged: number;
  /** why it is off or full, or why it does not drain; one sentence */
  problem: string | null;
}

export interface SpoolStatus {
  status(): SpoolFacts;
}

/** The state of the spool of an engine; null where it has none. */
export function spoolOf(engine: object): SpoolFacts | null {
  return "status" in engine ? (engine as SpoolStatus).status() : null;
}

/** True while arrivals can be acknowledged without the database. */
export const takesArrivals = ({ state }: SpoolFacts): boolean => state !== "off" && state !== "full";
