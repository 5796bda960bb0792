/**
 * Chooses root's data directory when nothing names one. Postgres refuses to run as root, so it runs as another user, who cannot
 * enter a folder such as /root. A first start there would fail. So Tartan uses a data directory below /var/lib/tartan,
 * named after the folder; every later command run in that folder finds it.
 *
 * Tartan never replaces a data directory that exists or is named: the data stays where the user or an earlier start
 * put it, even when the folder has been opened since.
 */
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const SYSTEM_FOLDER = "/var/lib/tartan";
const OTHERS_MAY_ENTER = 0o001;

/** Sets TARTAN_DATA_DIR in `env` where the default folder cannot work. */
export function avoidClosedFolder(env: NodeJS.ProcessEnv, folder = process.cwd()): void {
  if (process.getuid?.() !== 0 || process.platform === "win32") return;
  if (env["TARTAN_DATA_DIR"] || env["TARTAN_DATABASE_URL"]) return;
  if (existsSync(join(folder, ".tartan"))) return;
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 8);
  const own = join(SYSTEM_FOLDER, `${basename(folder) || "root"}-${digest}`);
  if (existsSync(own) || isClosed(folder)) env["TARTAN_DATA_DIR"] = own;
}

/** Whether a folder on the way to `folder` may not be entered by everyone. */
function isClosed(folder: string): boolean {
  if ((statSync(folder).mode & OTHERS_MAY_ENTER) === 0) return true;
  return dirname(folder) !== folder && isClosed(dirname(folder));
}
