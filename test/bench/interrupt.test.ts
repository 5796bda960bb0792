import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { childrenOf } from "../support/children.ts";
import { cleanEnv } from "../support/process.ts";
import { scratchDir } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const BENCH = join(import.meta.dirname, "interrupted.ts");

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const descendantsOf = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);

it("a bench that is interrupted ends its Postgres and every process that it started, and leaves no file behind", async () => {
  const folder = mkdtempSync(join(scratchDir(), "tartan-interrupted-"));
  // Postgres may run as another account.
  chmodSync(folder, 0o755);
  const bench = spawn(process.execPath, ["--import", "tsx", BENCH], {
    env: cleanEnv({ TMPDIR: folder }),
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(bench, "exit");
  try {
    await Promise.race([once(bench.stdout, "data"), ended]);
    const started = descendantsOf(bench.pid ?? 0);
    expect(started.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("postgres"))).not.toEqual(
      [],
    );
    bench.kill("SIGINT");
    expect((await ended)[0]).toBe(130);
    // A killed process is there until its new parent has taken notice.
    await until("all that it started has ended", () => !started.some(isAlive), 10);
    expect(readdirSync(folder).filter((name) => name.startsWith("tartan-"))).toEqual([]);
  } finally {
    bench.kill("SIGINT");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
