/**
 * The log lines of work that is repeated, such as a loop or a lookup: while Postgres is away each try fails, and a line for each would
 * bury the line that says why.
 *
 *   working → (failed) said at once → failing, said once a minute with the number of failures → (worked) said once → working
 *
 * What fails and works in turn is said once in ten seconds. That it works again is a warning too, so that a log without lines of the level
 * info has the end of each trouble that it has the beginning of.
 */
import type { Logger } from "./logger.ts";

const SAY_EVERY_MS = 60_000;
const SAY_AGAIN_MS = 10_000;

export class FailureLog {
  readonly #logger: Pick<Logger, "warn" | "error">;
  readonly #level: "warn" | "error";
  #since: number | null = null;
  /** whether there is a line about this failure */
  #saidThis = false;
  /** when the last line was written, ms */
  #said: number | null = null;
  #unsaid = 0;

  constructor(logger: Pick<Logger, "warn" | "error">, level: "warn" | "error" = "warn") {
    this.#logger = logger;
    this.#level = level;
  }

  /** Whether the last try failed. */
  get failing(): boolean {
    return this.#since !== null;
  }

  /** A try failed. `fields` must hold no secret. */
  failed(error: unknown, message: string, fields: Record<string, unknown> = {}): void {
    const now = performance.now();
    this.#unsaid += 1;
    const pause = this.#saidThis ? SAY_EVERY_MS : SAY_AGAIN_MS;
    this.#since ??= now;
    if (this.#said !== null && now - this.#said < pause) return;
    this.#saidThis = true;
    this.#logger[this.#level]({ ...fields, error, failures: this.#unsaid }, message);
    this.#said = now;
    this.#unsaid = 0;
  }

  /** A try worked. Costs nothing while none has failed. */
  worked(message: string): void {
    if (this.#since === null) return;
    const seconds = Math.round((performance.now() - this.#since) / 1000);
    this.#since = null;
    this.#unsaid = 0;
    if (this.#saidThis) this.#logger.warn({ after_s: seconds }, message);
    this.#saidThis = false;
  }
}
