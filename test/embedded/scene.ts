/**
 * What the tests of the embedded server share: a data directory of their own, Tartans in processes of their own that can
 * be killed, and a look at the server's process. Everything that a test started is gone after it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { findPostmaster, stopPostmaster } from "../../src/embedded/postmaster.ts";
import { silentLogger } from "../../src/logger.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));

/** What processes lose by kill -9 does not depend on fsync: only a machine that fails loses what is in its memory. */
export const QUICK = { shared_buffers: "16MB", fsync: "off" };

export interface Child {
  process: ChildProcess;
  lines: Interface;
  /** what it said first: where it listens, or why it does not */
  report: Record<string, unknown>;
}

export class EmbeddedScene {
  root = "";
  dataDir = "";
  readonly children: ChildProcess[] = [];

  start = (settings: Record<string, string> = QUICK) =>
    startEmbedded({ dataDir: this.dataDir, logger: silentLogger, settings });

  async open(): Promise<void> {
    this.root = await mkdtemp(join(tmpdir(), "tartan-embedded-"));
    await chmod(this.root, 0o755);
    this.dataDir = join(this.root, "data dir");
  }

  /** A data directory that no server was made in yet. */
  startAfresh(): void {
    this.dataDir = join(this.root, `fresh ${randomUUID()}`);
  }

  async stopAll(): Promise<void> {
    for (const child of this.children.splice(0)) await kill(child, "SIGKILL");
    await stopPostmaster(await this.cluster());
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  async cluster(): Promise<string> {
    const data = join(this.dataDir, "postgres", "data");
    return await realpath(data).catch(() => data);
  }

  postmaster = async () => await findPostmaster(await this.cluster());

  /** A Tartan in a process (and process group) of its own; `within` is a program that runs it, with its arguments. */
  spawnChild(within: readonly string[] = [], waitMs = 60_000): ChildProcess {
    const [program = "", ...args] = [...within, process.execPath, "--import", "tsx", CHILD, this.dataDir];
    const child = spawn(program, [...args, String(waitMs)], { stdio: ["ignore", "pipe", "inherit"], detached: true });
    this.children.push(child);
    return child;
  }

  /** The same, once it has said how its start went. */
  startChild = async (): Promise<Child> => await firstReport(this.spawnChild());

  /** How often the server had to repair itself because it was not shut down. */
  async recoveries(): Promise<number> {
    const log = await readFile(join(this.dataDir, "postgres", "server.log"), "utf8");
    return log.split("was not properly shut down").length - 1;
  }
}

/** A scene for the tests of a file. They find its cluster as the one before left it, stopped. */
export function embeddedScene(): EmbeddedScene {
  const scene = new EmbeddedScene();
  beforeAll(() => scene.open());
  beforeEach(() => {
    scene.dataDir = join(scene.root, "data dir");
  });
  afterEach(() => scene.stopAll());
  afterAll(() => scene.close());
  return scene;
}

export async function firstReport(child: ChildProcess): Promise<Child> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, "line")) as [string];
  return { process: child, lines, report: JSON.parse(line) as Record<string, unknown> };
}

export async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
