/**
 * Ends what a bench has started when the bench is interrupted (Ctrl-C, SIGTERM, a closed terminal): `await using` does so only where a
 * bench returns or throws.
 *
 *   running ──signal──▶ ending: closers in the opposite order of their opening (Tartans, Postgres, data directories), then children
 *                       that are left ──▶ exit
 *
 * It ends after ENDING_MS in any case.
 */
import { childrenOf } from "../test/support/children.ts";
import { tell } from "./report.ts";

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const ENDING_MS = 60_000;

const opened: AsyncDisposable[] = [];
const controller = new AbortController();

/** Aborts when the bench is interrupted. */
export const interrupted: AbortSignal = controller.signal;

/** Registers what is to be closed on an interrupt. It may be closed before, and is closed a second time then. */
export function closeOnInterrupt<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

/** Called once, before the first bench. */
export function listenForInterrupts(): void {
  for (const [signal, code] of Object.entries(CODES)) process.on(signal, () => void end(code));
}

async function end(code: number): Promise<void> {
  // The terminal, npm and npx may each send the signal.
  if (interrupted.aborted) return;
  controller.abort(new Error("the bench was interrupted"));
  // What the bench is doing fails now, for that reason only.
  for (const failure of ["uncaughtException", "unhandledRejection"]) process.on(failure, () => undefined);
  const late = setTimeout(() => process.exit(code), ENDING_MS);
  tell("ending what was started");
  for (const resource of opened.toReversed()) {
    try {
      await resource[Symbol.asyncDispose]();
    } catch (error) {
      tell(`not closed: ${String(error)}`);
    }
  }
  for (const pid of childrenOf(process.pid)) kill(pid);
  clearTimeout(late);
  process.exit(code);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
