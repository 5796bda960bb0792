/**
 * Identifies a worker's process, so that another worker on the same host can prove that it has ended. The end of its session
 * with Postgres proves nothing, since a proxy can cut the session of a process that still runs and sends.
 *
 * Only Linux reports enough: the boot id and the PID namespace show whether two workers see the same processes, and a process's
 * start time shows whether its id was given to another process. Elsewhere nothing is proven, and the lease decides.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  /** the same for processes that see one another */
  host: string;
  pid: number;
  /** clock ticks since the host's boot, as in proc(5) */
  started: string;
}

/** Identifies this process; null where the system does not tell. */
export function identifyProcess(): ProcessIdentity | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const host = `${boot} ${readlinkSync("/proc/self/ns/pid")} ${hostname()}`;
    const started = startOf(process.pid);
    return started === null ? null : { host, pid: process.pid, started };
  } catch {
    return null;
  }
}

/** True when that process of this host has certainly ended; false when it runs or nothing can tell. */
export function hasEnded({ pid, started }: Omit<ProcessIdentity, "host">): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process runs as another user.
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
  const now = startOf(pid);
  return now !== null && now !== started;
}

/** Field 22 of /proc/<pid>/stat; the name in field 2 may contain spaces and parentheses. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
