/** Who runs a command and why, for the audit log. */
import { userInfo } from "node:os";
import type { Change } from "../../model/change.ts";

export const REASON = "--reason <text>";
export const REASON_HELP = "why, for the audit log";

/** The user of this process makes the change. */
export const byUser = (reason?: string): Change => ({ actor: `cli:${userName()}`, reason });

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
