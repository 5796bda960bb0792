/**
 * A real PgBouncer in transaction mode before a database: `await using pooler = await startPgBouncer(url)`. It is an
 * ordinary package (`apt-get install pgbouncer`); where it is not installed, tests skip.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { freePort } from "./ports.ts";

function find(): string | null {
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]) {
    try {
      accessSync(join(folder, "pgbouncer"), constants.X_OK);
      return join(folder, "pgbouncer");
    } catch {
      // elsewhere
    }
  }
  return null;
}

const BINARY = find();
export const hasPgBouncer = BINARY !== null;
/** The end of a suite's title, so that a run says why it was skipped. */
export const orSkipped = hasPgBouncer ? "" : " (skipped: pgbouncer is not installed)";

export interface PgBouncer extends AsyncDisposable {
  /** the database that was named, through the pooler */
  url: string;
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** @param settings of its [pgbouncer] section, over those of the test */
export async function startPgBouncer(url: string, settings: Record<string, string> = {}): Promise<PgBouncer> {
  const target = new URL(url);
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "tartan-pgbouncer-"));
  const file = (name: string) => join(folder, name);
  const section = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: file("users.txt"),
    pool_mode: "transaction",
    default_pool_size: "6",
    ...settings,
  };
  const lines = Object.entries(section).map(([name, value]) => `${name} = ${value}`);
  const server = `* = host=${target.hostname} port=${target.port === "" ? 5432 : target.port}`;
  await writeFile(file("pgbouncer.ini"), `[databases]\n${server}\n[pgbouncer]\n${lines.join("\n")}\n`);
  const [user, password] = [target.username, target.password].map(decodeURIComponent);
  await writeFile(file("users.txt"), `${quoted(user ?? "")} ${quoted(password ?? "")}\n`);
  await chmod(folder, 0o755);
  // It refuses to be root.
  const account = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn(BINARY ?? "pgbouncer", [...account, file("pgbouncer.ini")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const through = new URL(url);
  through.hostname = "127.0.0.1";
  through.port = String(port);
  await answering(through.href, () => log);
  return {
    url: through.href,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

async function answering(url: string, log: () => string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const client = new Client(url);
    client.on("error", () => undefined);
    try {
      await client.connect();
      return;
    } catch (error) {
      if (attempt === 100) throw new Error(`pgbouncer does not answer: ${log()}`, { cause: error });
      await delay(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
