/** The processes that a process has started. */
import { readdirSync, readFileSync } from "node:fs";

/** By /proc/<pid>/stat, where the parent stands behind the name and the state. */
export function childrenOf(parent: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1]) === parent;
    } catch {
      return false;
    }
  });
}
