/** How the destinations stand: how many are in which state, and which of them are sent nothing just now, and why. */
import type { Queryable } from "../../database/types.ts";
import { STANDING } from "./status-queries.ts";

export interface Unwell {
  id: string;
  name: string;
  status: "active" | "paused" | "disabled";
  disabled_reason: string | null;
  breaker: "closed" | "open" | "half_open";
  /** ISO 8601, as the others */
  hold_until: string | null;
  failing_since: string | null;
  /** it was paused or disabled then, or has done nothing but fail since */
  since: string | null;
}

export interface Standing {
  active: number;
  paused: number;
  disabled: number;
  /** of those that are active */
  open: number;
  /** a hundred of them at most, the one that has been so the longest first */
  unwell: Unwell[];
}

const UNWELL_MAX = 100;

const iso = (at: string | null): string | null => (at === null ? null : new Date(at).toISOString());

export async function standing(q: Queryable): Promise<Standing> {
  const { rows } = await q.query<Standing>(STANDING, [UNWELL_MAX]);
  const { unwell = [], ...counts } = rows[0] ?? { active: 0, paused: 0, disabled: 0, open: 0 };
  const shown = unwell.map((each) => ({
    ...each,
    hold_until: iso(each.hold_until),
    failing_since: iso(each.failing_since),
    since: iso(each.since),
  }));
  return { ...counts, unwell: shown };
}
