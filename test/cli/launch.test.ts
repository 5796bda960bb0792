/** How the command starts itself: as a shell script that runs itself with Node. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { cleanEnv, MAIN } from "../support/process.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "tartan launch "));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Prints, before Tartan starts, its process id and what Node was given. */
const TELL = `--import data:text/javascript,console.log(JSON.stringify({pid:process.pid,options:process.execArgv,args:process.argv.slice(2)}))`;

async function launch(file: string, args: string[], options = "") {
  const PATH = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const running = run(file, args, { env: cleanEnv({ PATH, NODE_OPTIONS: `${options} ${TELL}` }) });
  const { stdout } = await running;
  const printed = JSON.parse(stdout.split("\n")[0] ?? "") as { pid: number; options: string[]; args: string[] };
  return { ...printed, started: running.child.pid };
}

it("the command runs Node with a larger young generation, in the process that was started, with its arguments as they are", async () => {
  const link = join(folder, "tartan");
  symlinkSync(MAIN, link);
  const { pid, started, options, args } = await launch(link, ["--version", "a b", "$HOME", ""]);
  expect(options).toEqual(["--max-semi-space-size=64"]);
  expect(pid).toBe(started);
  expect(args).toEqual(["--version", "a b", "$HOME", ""]);
});

it("a young generation that NODE_OPTIONS sets stays", async () => {
  expect((await launch(MAIN, ["--version"], "--max-semi-space-size=8")).options).toEqual([]);
});

it("the command runs without a shell too, as Yarn runs it", async () => {
  const { stdout } = await run(process.execPath, [MAIN, "--version"], { env: cleanEnv({}) });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
