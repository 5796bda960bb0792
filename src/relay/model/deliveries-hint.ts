/**
 * The payload of NOTIFY `tartan_deliveries`: who created or rescheduled deliveries, and for which destinations. It names the
 * sender so that a worker can ignore its own notifications, since it knows better what it created.
 */

/** NOTIFY carries less than 8000 bytes, so more destinations than these are not named. */
const NAMED_MAX = 100;

export interface DeliveriesHint {
  /** a worker's id, or `jobs` */
  by: string;
  /** null: any destination may have new deliveries */
  destinations: readonly string[] | null;
}

export function formatHint(by: string, destinations: Iterable<string>): string {
  const ids = [...destinations];
  return `${by} ${ids.length > NAMED_MAX ? "" : ids.join(",")}`;
}

/** Never throws: anybody may notify. */
export function parseHint(payload: string): DeliveriesHint {
  const [by = "", named = ""] = payload.split(" ");
  return { by, destinations: named === "" ? null : named.split(",") };
}
