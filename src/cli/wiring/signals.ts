/**
 * Handles requests to stop: Ctrl-C, SIGTERM, a closed terminal (SIGHUP), or a closed pipe on its output
 * (`tartan demo | head`). At the first request a command finishes in order, or ends at once if it has nothing to finish. At a
 * second Ctrl-C or SIGTERM any command ends at once.
 */
import { dim, tell } from "../output/print.ts";

/** Thrown when a start was abandoned because the process was asked to stop. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
type StopSignal = keyof typeof EXIT_CODES;

/** npx passes Ctrl-C on to the command, which also gets it from the terminal; these two count as one. */
const ECHO_MS = 500;

const stop = new AbortController();
let inOrder = false;
let askedAt: number | undefined;

/**
 * Aborts when the process is asked to stop. A caller of this function must then finish in order: only a second request
 * ends the process otherwise.
 */
export function stopSignal(): AbortSignal {
  inOrder = true;
  return stop.signal;
}

/** Resolves when the process is asked to stop. */
export async function untilStopped(): Promise<void> {
  const signal = stopSignal();
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function onSignal(signal: StopSignal): void {
  const again = askedAt !== undefined && Date.now() - askedAt > ECHO_MS;
  // The kernel and the shell may both send SIGHUP for one closed terminal.
  if (again && signal !== "SIGHUP") process.exit(EXIT_CODES[signal]);
  ask(EXIT_CODES[signal], "stopping; press Ctrl-C again to end at once");
}

function ask(exitCode: number, sentence?: string): void {
  if (askedAt !== undefined) return;
  askedAt = Date.now();
  if (!inOrder) process.exit(exitCode);
  if (sentence !== undefined) tell(dim(`\n${sentence}`));
  stop.abort(new Stopped("the process was asked to stop"));
}

/** EPIPE: the reader of the pipe is gone. EIO: the terminal is gone. */
const UNREAD = new Set(["EPIPE", "EIO", "ERR_STREAM_DESTROYED"]);

/** Called once, before anything else happens. */
export function listenForStops(): void {
  for (const signal of Object.keys(EXIT_CODES) as StopSignal[]) process.on(signal, onSignal);
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (!UNREAD.has(String(error.code))) throw error;
      ask(0);
    });
  }
}
