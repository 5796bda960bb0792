/**
 * How long until the next try, in milliseconds. Waits double with each failure and have a random spread, so that
 * subjects that failed together are not retried together.
 */
export interface Delays {
  /** first wait after a passing failure */
  retryMs: number;
  retryMaxMs: number;
  /** first wait while Plaid prepares the data; a webhook ends it */
  notReadyMs: number;
  /** first wait while our keys or requests are wrong */
  configurationMs: number;
  configurationMaxMs: number;
  /** how soon a mark may try again although our keys were wrong: they may have been fixed */
  configurationHoldMs: number;
  /** the interval of checks of items that wait for their user, since no webhook says that update mode repaired them */
  checkMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const DELAYS: Delays = {
  retryMs: 2000,
  retryMaxMs: HOUR,
  notReadyMs: 5000,
  configurationMs: 5 * MINUTE,
  configurationMaxMs: 6 * HOUR,
  configurationHoldMs: MINUTE,
  checkMs: 24 * HOUR,
};

/** `first` doubled for each attempt after the first, at most `most`, between half and all of that. */
export function growing(first: number, most: number, attempts: number, chance: () => number = Math.random): number {
  const whole = Math.min(most, first * 2 ** Math.min(attempts - 1, 40));
  return Math.round(whole * (0.5 + chance() / 2));
}
