/**
 * Real Tartan processes for tests and benches: `dist/cli/main.js`, its own environment, killed by pid when disposed.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

export interface TartanProcess extends AsyncDisposable {
  /** where it listens */
  url: string;
  pid: number;
  child: ChildProcess;
  /** every line it wrote, stdout and stderr, in order */
  output: string[];
  /** ends it as a crash would; resolves when it is gone */
  kill9(): Promise<void>;
  /** asks it to stop, as Ctrl-C does; resolves with its exit code */
  stop(): Promise<number | null>;
}

type Env = Record<string, string>;

/** Variables of the surrounding shell that could change what a test means are left out; colours too, which CI turns on. */
export function cleanEnv(env: Env): Env {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("TARTAN_"));
  return { ...Object.fromEntries(inherited.map(([name, value]) => [name, value ?? ""])), NO_COLOR: "1", ...env };
}

/** The URL in the line with which `tartan up` says that it is up; null for any other line. */
function upLine(line: string): string | null {
  if (!line.startsWith("{")) return null;
  const said = JSON.parse(line) as { msg?: string; url?: string };
  return said.msg === "tartan is up" ? (said.url ?? null) : null;
}

/**
 * Runs `tartan up`, or another command that goes on, and resolves once `ready` finds its URL in a line of output.
 * Rejects with the output when the process exits before.
 */
export async function startTartan(
  env: Env,
  args: string[] = ["up"],
  ready: (line: string) => string | null = upLine,
): Promise<TartanProcess> {
  // As users run it: the file starts itself with the options of Node that it needs. PATH has the Node that runs the tests first.
  const PATH = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const child = spawn(MAIN, args, {
    env: cleanEnv({
      PATH,
      NODE_OPTIONS: "--enable-source-maps",
      TARTAN_PORT: "0",
      TARTAN_LOG_LEVEL: "info",
      ...env,
    }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const gone = once(child, "exit") as Promise<[number | null]>;
  const url = await new Promise<string>((resolve, reject) => {
    const onLine = (line: string) => {
      output.push(line);
      const url = ready(line);
      if (url !== null) resolve(url);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", onLine);
    child.once("error", reject);
    void gone.then(([code]) => reject(new Error(`tartan exited with ${code}:\n${output.join("\n")}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    return (await gone)[0];
  };
  return {
    url,
    pid: child.pid ?? 0,
    child,
    output,
    kill9: async () => void (await end("SIGKILL")),
    stop: () => end("SIGTERM"),
    [Symbol.asyncDispose]: async () => void (await end("SIGKILL")),
  };
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs one command to its end. */
export async function runTartan(env: Env, args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: cleanEnv(env), stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (part: Buffer) => (said.stdout += part.toString()));
  child.stderr.on("data", (part: Buffer) => (said.stderr += part.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...said };
}
