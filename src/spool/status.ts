/** What a spool says of itself. */
import { metrics } from "../metrics.ts";
import type { SpoolFacts } from "../model/spool.ts";
import type { Backlog } from "./backlog.ts";
import type { Writer } from "./writer.ts";

export type Mode = "straight" | "spooling" | "handing over";

interface State {
  backlog: Backlog;
  writer: Writer;
  mode: Mode;
  /** why there is no spool; null: there is one */
  off: string | null;
  /** why it cannot be drained just now; null: it can */
  trouble: string | null;
  /** when it took over */
  since: Date | null;
}

export function spoolFacts(state: State): SpoolFacts {
  const { backlog, writer, mode, off, trouble, since } = state;
  const { waiting, bytes, oldestAt, damaged } = backlog;
  return {
    state: nameOf(state),
    waiting: waiting + writer.queued,
    bytes,
    since,
    oldest: oldestAt === null ? null : new Date(oldestAt),
    damaged,
    problem: off ?? writer.problem ?? (mode === "straight" ? null : trouble),
  };
}

function nameOf({ writer, mode, off, trouble }: State): SpoolFacts["state"] {
  if (off !== null) return "off";
  if (mode === "straight") return "straight";
  if (writer.problem !== null) return "full";
  return trouble === null ? "draining" : "spooling";
}

/** @param now ms */
export function showMetrics({ waiting, bytes, oldest }: SpoolFacts, now: number): void {
  metrics.spoolWaiting.set(waiting);
  metrics.spoolBytes.set(bytes);
  metrics.spoolOldestSeconds.set(oldest === null ? 0 : (now - oldest.getTime()) / 1000);
}
