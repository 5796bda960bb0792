/** Runs a program of docs/examples as its reader would, on a free port. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

const EXAMPLES = join(import.meta.dirname, "../../docs/examples");

export interface Example extends AsyncDisposable {
  /** where it listens, without a path */
  url: string;
  /** every line it printed */
  lines: string[];
}

/** Resolves when it listens. */
export async function startExample(file: string, env: Record<string, string>): Promise<Example> {
  const port = await freePort();
  const child = spawn(process.execPath, ["--import", "tsx", join(EXAMPLES, file)], {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const url = `http://127.0.0.1:${port}`;
  await until(`${file} listens`, () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  return {
    url,
    lines,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await gone;
    },
  };
}
