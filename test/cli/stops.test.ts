/** How a command ends: in order where it can, and without a stack trace or a Postgres that keeps running. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { cleanEnv, MAIN } from "../support/process.ts";
import { until } from "../support/until.ts";

let folder = "";
let children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-stops-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await until("no Postgres", async () => {
    const server = await postmaster();
    if (server) process.kill(server.pid, "SIGQUIT");
    return server === null;
  });
  rmSync(folder, { recursive: true, force: true });
});

const postmaster = async () => await findPostmaster(join(folder, "postgres/data"));

interface Run {
  child: ChildProcess;
  /** all of stdout and stderr */
  said: () => string;
  ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** `program` with pipes; its stdout stays open until a test closes it. */
function run(program: string, args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(program, args, {
    env: cleanEnv({ TARTAN_DATA_DIR: folder, TARTAN_PORT: "0", TARTAN_SIMULATOR_PORT: "0", ...env }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (said += part.toString()));
  return { child, said: () => said, ended: once(child, "exit") as Run["ended"] };
}

const tartan = (...args: string[]) => run(process.execPath, [MAIN, ...args]);

const demo = async (): Promise<Run> => {
  const running = tartan("demo");
  await until("the demo lives", async () => /●/.test(running.said()));
  return running;
};

const noStack = (said: string) => expect(said).not.toMatch(/^\s+at |Error:|✗/m);

describe("a running demo", () => {
  it("a running demo ends in order when the reader of its output goes away, as in `tartan demo | head`", async () => {
    const { child, said, ended } = run("sh", ["-c", '"$0" "$1" demo | head -n 3', process.execPath, MAIN]);
    expect(await ended).toEqual([0, null]);
    expect(child.exitCode).toBe(0);
    noStack(said());
    expect(await postmaster()).toBeNull();
  }, 90_000);

  it("a running demo ends in order with code 0 when its own pipes close", async () => {
    const { child, said, ended } = await demo();
    child.stdout?.destroy();
    child.stderr?.destroy();
    expect(await ended).toEqual([0, null]);
    noStack(said());
    expect(await postmaster()).toBeNull();
  }, 90_000);

  it("a running demo ends in order when its terminal closes (SIGHUP, which may come twice)", async () => {
    const { child, said, ended } = await demo();
    child.kill("SIGHUP");
    child.kill("SIGHUP");
    expect(await ended).toEqual([0, null]);
    noStack(said());
    expect(await postmaster()).toBeNull();
  }, 90_000);

  it("a running demo counts a Ctrl-C that npx repeats at once as one, and ends in order", async () => {
    const { child, ended } = await demo();
    child.kill("SIGINT");
    // Apart, or the kernel would make one signal of the two.
    await new Promise((resolve) => setTimeout(resolve, 100));
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    expect(await postmaster()).toBeNull();
  }, 90_000);
});

describe("a start", () => {
  for (const ms of [400, 900, 1_500, 2_500]) {
    it(`a start that is asked to stop after ${ms} ms ends in order, or at once if nothing was begun, and leaves no Postgres running`, async () => {
      const { child, said, ended } = tartan("up");
      await new Promise((resolve) => setTimeout(resolve, ms));
      child.kill("SIGTERM");
      const [code, signal] = await ended;
      expect(signal === "SIGTERM" || code === 143 || code === 0, `${code} ${signal} ${said()}`).toBe(true);
      noStack(said());
      expect(await postmaster()).toBeNull();
    }, 60_000);
  }
});

it("a server ends in order while a request is half sent", async () => {
  const { child, said, ended } = tartan("up");
  await until("it is up", async () => /tartan is up/.test(said()));
  const url = /"url":"([^"]+)"/.exec(said())?.[1] ?? "";
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("POST /v1/integrations/svi_x HTTP/1.1\r\nHost");
  await fetch(`${url}/livez`);
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  noStack(said());
  expect(await postmaster()).toBeNull();
  socket.destroy();
}, 90_000);

it("a second Ctrl-C ends a server at once, and its Postgres stops by itself", async () => {
  const { child, ended } = await demo();
  // A transaction that stays open is in nobody's way: the server is stopped fast. A frozen Postgres is.
  const server = await postmaster();
  process.kill(server?.pid ?? 0, "SIGSTOP");
  child.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  child.kill("SIGINT");
  expect(await ended).toEqual([130, null]);
  process.kill(server?.pid ?? 0, "SIGCONT");
  await until("Postgres has stopped", async () => (await postmaster()) === null);
}, 90_000);

it("the Postgres of a server that dies of an unexpected error stops", async () => {
  const failing = `data:text/javascript,setTimeout(() => { throw new Error("unexpected"); }, 15000).unref()`;
  const { ended, said } = run(process.execPath, ["--import", failing, MAIN, "up"]);
  await until("it is up", async () => /tartan is up/.test(said()), 14);
  expect((await ended)[0]).not.toBe(0);
  await until("Postgres has stopped", async () => (await postmaster()) === null);
}, 60_000);

it("a command whose output is closed ends without a message", async () => {
  const { ended, said } = run("sh", ["-c", '"$0" "$1" config | true', process.execPath, MAIN]);
  await ended;
  noStack(said());
});
