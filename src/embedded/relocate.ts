/**
 * Earlier versions kept root's cluster in /var/lib/tartan and left a link to it in the data directory. A container that was
 * recreated kept its volume with the link and lost the link's target. So Tartan moves such a cluster into the data directory;
 * a kill at any instant leaves either the link with its target, or the whole cluster under one of two names here.
 */
import { execFile } from "node:child_process";
import { lstat, mkdtemp, readlink, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";

const run = promisify(execFile);
const exists = async (path: string): Promise<boolean> => await lstat(path).then(Boolean, () => false);

/**
 * Moves the target of the link `home` into its place. The caller holds postgres.lock and knows that no server runs on it.
 * @throws TartanError `config_invalid` when the target is gone
 */
export async function bringHome(home: string, logger: Logger): Promise<void> {
  const moved = `${home}.moved`;
  const target = await readlink(home).then(
    (link) => resolve(dirname(home), link),
    () => null,
  );
  if (target === null) {
    if ((await exists(moved)) && !(await exists(home))) await rename(moved, home);
    return;
  }
  if (!(await exists(moved))) {
    if (!(await stat(target).catch(() => null))) throw gone(home, target);
    await moveAcross(target, moved, home);
  }
  await unlink(home);
  await rename(moved, home);
  logger.warn({ from: target, to: home }, "moved the embedded database into the data directory");
}

/** Moves, or copies where the two are on different disks; the original stays. */
async function moveAcross(from: string, to: string, home: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    const aside = await mkdtemp(`${home}.new-`);
    try {
      await run("cp", ["-a", `${from}/.`, aside]);
      await run("sync");
      await rename(aside, to);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  }
}

const gone = (home: string, target: string): TartanError =>
  new TartanError(
    "config_invalid",
    `The embedded database is missing: an earlier version kept it in ${target}, outside of the data directory, and that ` +
      `folder is gone. Put it back, or delete the link ${home} to begin with an empty database.`,
    { fields: { TARTAN_DATA_DIR: `its database was kept in ${target}, which is gone` } },
  );
