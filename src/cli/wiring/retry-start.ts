/**
 * Repeats a step of a server's start that needs Postgres, until it succeeds. It runs between the opening of the base and the start of the
 * last role, and never after that: what runs then waits for Postgres by itself.
 *
 * A server whose door is closed gives up after a minute, so that its supervisor sees it. One whose door is open accepts webhooks, and ending
 * would refuse them: it waits for ever, also for what an operator must fix. It ends only where no waiting helps: the data directory is
 * another process's, or the database is of another version or under another master key.
 */
import { systemClock } from "../../clock.ts";
import { sqlStateOf } from "../../database/failures.ts";
import { describeError, TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";

/** How long a server without a cache waits at its start for a Postgres that is starting too, or is just recovering. */
const GIVE_UP_AFTER_MS = 60_000;
/** Each try on an embedded Postgres starts its programs, so the pause grows. */
const FIRST_PAUSE_MS = 500;
const PAUSE_MAX_MS = 5_000;
/** An outage may last for hours; nobody reads more lines than this. */
const SAY_EVERY_MS = 60_000;

interface Waiting {
  logger: Logger;
  /** aborts the wait */
  signal: AbortSignal;
  /** the door is open: webhooks are accepted meanwhile */
  open: boolean;
}

/**
 * Repeats `work` until it succeeds.
 * @throws what `work` throws, when waiting cannot fix it; behind a closed door also when it has lasted a minute
 */
export async function retryStart<T>(work: () => Promise<T>, { logger, signal, open }: Waiting): Promise<T> {
  const start = Date.now();
  let said = Number.NEGATIVE_INFINITY;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, open ? PAUSE_MAX_MS : FIRST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (open ? isFinal(error) : !mayReturn(error) || Date.now() > start + GIVE_UP_AFTER_MS) throw error;
      if (Date.now() - said >= SAY_EVERY_MS) {
        said = Date.now();
        say(logger, error, open ? Math.round((said - start) / 1000) : null);
      }
      await systemClock.sleep(pause, signal);
    }
  }
}

function say(logger: Logger, error: unknown, seconds: number | null): void {
  if (seconds === null) return logger.warn({ error }, "waiting for Postgres");
  const sentence = "Postgres cannot be used; webhooks are accepted meanwhile, everything else waits for it";
  const fields = { waited_s: seconds, reason: describeError(error).message };
  if (mayReturn(error)) logger.warn(fields, sentence);
  else logger.error(fields, `${sentence}: somebody must fix what the reason says`);
}

/** An unexpected error is waited out too: it costs a line a minute, and an end would cost webhooks. */
const isFinal = (error: unknown): boolean =>
  error instanceof TartanError && error.code !== "internal" && !error.mayPass;

/** Postgres may come back without an operator. A refused login and a missing database do not: SQLSTATE 28… and 3D000. */
const mayReturn = (error: unknown): boolean =>
  error instanceof TartanError &&
  error.code === "database_unavailable" &&
  !/^(28...|3D000)$/.test(sqlStateOf(error) ?? "");
