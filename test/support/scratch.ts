/** Where the Postgres of a test run keeps its files. */
import { accessSync, constants, readFileSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";

const MEMORY = "/dev/shm";
const TMPFS_MAGIC = 0x01021994;
/** More than a run has ever held at once: its databases, and the log that Postgres keeps between two checkpoints. */
const ROOM_BYTES = 6 * 2 ** 30;

/** All folders that `scratchDir` may choose; one may not exist. */
export const SCRATCH_DIRS: readonly string[] = [MEMORY, tmpdir()];

/**
 * In memory where there is room, else in the folder for temporary files. A run makes and drops more than a thousand databases of
 * hundreds of files each. On ext4 a third of its CPU time then went into finding inodes for them; these files are never synced, so
 * memory loses nothing that a disk would keep.
 */
export function scratchDir(): string {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { type, bavail, bsize } = statfsSync(MEMORY);
    // A copy of the Postgres programs may be among the files.
    const mayExecute = !/^\S+ \/dev\/shm \S+ \S*\bnoexec\b/m.test(readFileSync("/proc/mounts", "utf8"));
    return type === TMPFS_MAGIC && bavail * bsize > ROOM_BYTES && mayExecute ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}
