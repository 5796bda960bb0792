/** A fleet job as users see it: its progress by state, and its failures by cause. */
import { explain } from "../plaid/reasons.ts";
import type { FleetKind, JobStatus, MemberPhase } from "../model/statuses.ts";
import { KINDS } from "./kinds/index.ts";

export interface Failures {
  /** Plaid's error code, or one of the kind's */
  cause: string;
  items: number;
  message: string;
  next_step: string | null;
}

export interface FleetJob {
  /** `job_…` */
  id: string;
  kind: FleetKind;
  status: JobStatus;
  /** the request */
  asked: Record<string, unknown>;
  reason: string;
  /** its items */
  total: number;
  /** items that are finished, failed ones too */
  done: number;
  /** items that it changed something for */
  changed: number;
  failed: number;
  /** items that are begun and wait for something */
  outstanding: number;
  /** items by state; a state without any is left out */
  states: Record<string, number>;
  /** the most frequent first */
  failures: Failures[];
  per_minute: number;
  /** ISO 8601 */
  created_at: string;
  updated_at: string;
  finished_at: string | null;
}

interface Tally {
  state: string;
  phase: MemberPhase;
  cause: string;
  members: number;
}

export interface JobRow extends Pick<FleetJob, "id" | "kind" | "status" | "asked" | "reason" | "per_minute"> {
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
  tallies: Tally[];
}

export function recordOf({ id, kind, status, asked, reason, per_minute, tallies, ...at }: JobRow): FleetJob {
  // A job of a kind that only a newer version knows is shown too.
  const { states = statesIn(tallies), changes = [] } = KINDS[kind] ?? {};
  const sum = (matches: (tally: Tally) => boolean): number =>
    tallies.filter(matches).reduce((total, { members }) => total + members, 0);
  const inPhase = (...phases: MemberPhase[]): number => sum(({ phase }) => phases.includes(phase));
  const inState = Object.keys(states).map((name) => [name, sum(({ state }) => state === name)] as const);
  return {
    id,
    kind,
    status,
    asked,
    reason,
    total: sum(() => true),
    done: inPhase("done", "failed"),
    changed: sum(({ state, phase }) => phase === "done" && changes.includes(state)),
    failed: inPhase("failed"),
    outstanding: inPhase("outstanding"),
    states: Object.fromEntries(inState.filter(([, count]) => count > 0)),
    failures: failuresOf(kind, tallies),
    per_minute,
    created_at: at.created_at.toISOString(),
    updated_at: at.updated_at.toISOString(),
    finished_at: at.finished_at?.toISOString() ?? null,
  };
}

const statesIn = (tallies: readonly Tally[]): Readonly<Record<string, string>> =>
  Object.fromEntries(tallies.map(({ state }) => [state, ""]));

const failuresOf = (kind: FleetKind, tallies: readonly Tally[]): Failures[] =>
  tallies
    .filter(({ phase }) => phase === "failed")
    .map(({ cause, members }) => ({ cause, items: members, ...reasonOf(kind, cause) }))
    .toSorted((a, b) => b.items - a.items || a.cause.localeCompare(b.cause));

/** What is wrong and what to do next, by the cause of a failure. */
export const reasonOf = (kind: FleetKind, cause: string): { message: string; next_step: string | null } =>
  KINDS[kind]?.causes[cause] ?? explain(/^[a-z_]+$/.test(cause) ? "TARTAN" : "", cause);
