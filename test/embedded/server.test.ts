/** How long a start of the embedded server is waited for, with a program in the place of Postgres. */
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive } from "../../src/embedded/postmaster.ts";
import { ensureServer } from "../../src/embedded/server.ts";
import { silentLogger as logger } from "../../src/logger.ts";

let home = "";
let pids: number[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tartan-server-"));
  await mkdir(join(home, "data"));
});
afterEach(async () => {
  for (const pid of pids.splice(0)) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await rm(home, { recursive: true });
});

/** Runs `script` as the server, whose `status` writes postmaster.pid as Postgres does. */
async function ensure(script: string) {
  const postgres = join(home, "postgres");
  const status = `status() { printf '%s\\n' $$ "$PWD" 0 5999 '' 127.0.0.1 '' $1 > postmaster.pid; }`;
  await writeFile(postgres, `#!/bin/sh\n${status}\n${script}\nexec sleep 60\n`, { mode: 0o755 });
  await using lock = await open(join(home, "lock"), "w");
  return await ensureServer({
    cluster: { home, data: join(home, "data"), password: "" },
    postgres,
    account: null,
    logger,
    startMs: 500,
    takeLock: async () => lock.fd,
    signal: new AbortController().signal,
    onSpawn: (pid) => pids.push(pid),
  });
}

test("a server that reports that it is starting may take longer than one that reports nothing", async () => {
  const server = await ensure("status starting\nsleep 2\nstatus ready");
  expect(server).toEqual({ pid: pids[0], port: expect.any(Number), status: "ready" });
  expect(await readFile(join(home, "port"), "utf8")).toBe(String(server.port));
});

test("a server that reports nothing is ended at its limit", async () => {
  await expect(ensure("")).rejects.toThrow("it does not become ready");
  expect(pids).toHaveLength(1);
  await expect.poll(() => isAlive(pids[0] ?? 0)).toBe(false);
});
