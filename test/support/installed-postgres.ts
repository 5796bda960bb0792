/**
 * A server of a PostgreSQL that is installed on this machine, such as the distribution's, with a cluster of its own that goes
 * with it. It shares nothing with the embedded server's code.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { freePort } from "./ports.ts";
import { scratchDir } from "./scratch.ts";

export interface InstalledPostgres extends AsyncDisposable {
  /** of a superuser, to a database for creating others */
  url: string;
}

const PASSWORD = "test";

/** Postgres refuses to run as root; the package brings the user. */
function account(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** @param bin the folder with its initdb and postgres */
export async function startInstalled(bin: string, settings: Record<string, string>): Promise<InstalledPostgres> {
  const folder = await mkdtemp(join(scratchDir(), "tartan-installed-"));
  const as = account();
  const [data, password] = [join(folder, "data"), join(folder, "password")];
  await writeFile(password, PASSWORD);
  if (as) for (const path of [folder, password]) await chown(path, as.uid, as.gid);
  const login = ["--username=tartan", `--pwfile=${password}`, "--auth=scram-sha-256"];
  const options = { ...as, cwd: folder };
  await promisify(execFile)(
    join(bin, "initdb"),
    [`--pgdata=${data}`, ...login, "--encoding=UTF8", "--locale=C", "--no-sync"],
    options,
  );
  const port = await freePort();
  const all = { listen_addresses: "127.0.0.1", unix_socket_directories: "", port: String(port), ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn(join(bin, "postgres"), ["-D", data, ...flags], {
    ...options,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => (log = `${log}${chunk.toString()}`.slice(-10_000)));
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const url = `postgresql://tartan:${PASSWORD}@127.0.0.1:${port}/postgres`;
  await answering(url, () => (server.exitCode === null ? null : log));
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGINT");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answering(url: string, failure: () => string | null): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const client = new Client(url);
    client.on("error", () => undefined);
    try {
      await client.connect();
      return;
    } catch (error) {
      const log = failure();
      if (log !== null || attempt === 300)
        throw new Error(`the installed Postgres does not start: ${log}`, { cause: error });
      await delay(100);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
