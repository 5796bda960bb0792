/** The status of all destinations together: how many are in which state, and which of them receive nothing now, and why. */
import type { Queryable } from "../../database/types.ts";
import type { BreakerState, DestinationStatus } from "../../model/statuses.ts";
import { DESTINATIONS_STATUS } from "./status-queries.ts";

export interface UnhealthyDestination {
  id: string;
  name: string;
  status: DestinationStatus;
  disabled_reason: string | null;
  breaker: BreakerState;
  /** ISO 8601, as the others */
  hold_until: string | null;
  failing_since: string | null;
  /** when it was paused or disabled, or began to fail */
  since: string | null;
}

export interface DestinationsStatus {
  active: number;
  paused: number;
  disabled: number;
  /** active ones whose circuit is open or half open */
  open: number;
  /** at most a hundred, the longest first */
  unhealthy: UnhealthyDestination[];
}

const UNHEALTHY_MAX = 100;

const iso = (at: string | null): string | null => (at === null ? null : new Date(at).toISOString());

export async function destinationsStatus(q: Queryable): Promise<DestinationsStatus> {
  const { rows } = await q.query<DestinationsStatus>(DESTINATIONS_STATUS, [UNHEALTHY_MAX]);
  const { unhealthy = [], ...counts } = rows[0] ?? { active: 0, paused: 0, disabled: 0, open: 0 };
  const shown = unhealthy.map((each) => ({
    ...each,
    hold_until: iso(each.hold_until),
    failing_since: iso(each.failing_since),
    since: iso(each.since),
  }));
  return { ...counts, unhealthy: shown };
}
