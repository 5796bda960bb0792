/**
 * Postgres refuses to run as root. Where Tartan is root, its server runs as an unprivileged system user: the owner of
 * the cluster if there is one already, else `postgres`, which is created where the system lacks it, else `nobody`.
 */
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import type { Logger } from "../logger.ts";

export interface SystemAccount {
  uid: number;
  gid: number;
}

const run = promisify(execFile);

async function lookUp(name: string): Promise<SystemAccount | null> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null;
  }
}

async function create(logger: Logger): Promise<SystemAccount | null> {
  const ways: [string, string[]][] = [
    ["useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"]],
    ["adduser", ["-S", "-D", "-H", "postgres"]], // BusyBox
  ];
  for (const [program, args] of ways) {
    try {
      await run(program, args);
      logger.info("created the system user postgres, since Postgres does not run as root");
      return await lookUp("postgres");
    } catch {
      // the next program; then the account nobody
    }
  }
  return await lookUp("nobody");
}

/** The account that the server runs as; null: that of this process. `cluster` is the data folder, which may not exist yet. */
export async function chooseAccount(cluster: string, logger: Logger): Promise<SystemAccount | null> {
  if (process.getuid?.() !== 0) return null;
  const owner = await stat(cluster).catch(() => null);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return (await lookUp("postgres")) ?? (await create(logger));
}

/** Whether `account` can enter `folder` (an absolute path), asked of the kernel so that access lists count too. */
export async function canEnter(account: SystemAccount | null, folder: string): Promise<boolean> {
  if (!account) return true;
  try {
    await run("/bin/sh", ["-c", 'test -x "$1"', "sh", folder], { ...account, cwd: "/" });
    return true;
  } catch {
    return false;
  }
}
