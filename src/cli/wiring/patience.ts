/** Waits for a Postgres that is starting, recovering or away. */
import { systemClock } from "../../clock.ts";
import { sqlStateOf } from "../../database/failures.ts";
import { describeError, TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";

/** How long a server without a cache waits at its start for a Postgres that is starting too, or is just recovering. */
const PATIENCE_MS = 60_000;
const TRY_EVERY_MS = 500;
/** An outage may last for hours; nobody reads more lines than this. */
const SAY_EVERY_MS = 60_000;

interface Waiting {
  logger: Logger;
  /** aborts the wait */
  signal: AbortSignal;
  /** webhooks are accepted meanwhile: it waits until Postgres is back, and for what an operator must fix too */
  open: boolean;
}

/**
 * Repeats `work` until it succeeds.
 * @throws what `work` throws, when waiting cannot fix it or has lasted a minute; with `open` only what is no outage
 */
export async function patiently<T>(work: () => Promise<T>, { logger, signal, open }: Waiting): Promise<T> {
  const start = Date.now();
  for (let said = Number.NEGATIVE_INFINITY; ;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (open ? !isOutage(error) : !mayCome(error) || Date.now() > start + PATIENCE_MS) throw error;
      if (Date.now() - said >= SAY_EVERY_MS) {
        said = Date.now();
        say(logger, error, open ? Math.round((said - start) / 1000) : null);
      }
      await systemClock.sleep(TRY_EVERY_MS, signal);
    }
  }
}

function say(logger: Logger, error: unknown, seconds: number | null): void {
  if (seconds === null) return logger.warn({ error }, "waiting for Postgres");
  const sentence = "Postgres cannot be reached; webhooks are accepted meanwhile, everything else waits for it";
  const fields = { waited_s: seconds, reason: describeError(error).message };
  // Nothing but an operator ends a refused login or makes a database.
  if (mayCome(error)) logger.warn(fields, sentence);
  else logger.error(fields, `${sentence}: fix its login, password or database`);
}

const isOutage = (error: unknown): boolean => error instanceof TartanError && error.code === "database_unavailable";

/** Waiting does not fix a refused login or a missing database: SQLSTATE 28… and 3D000. */
const mayCome = (error: unknown): boolean => isOutage(error) && !/^(28...|3D000)$/.test(sqlStateOf(error) ?? "");
