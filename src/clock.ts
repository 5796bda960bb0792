/**
 * Time, as something that is handed in: production code gets the system's, the simulator and tests one they control.
 */
import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** milliseconds since the Unix epoch */
  now(): number;
  /** Resolves after `ms`, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal ? { signal } : undefined);
    } catch {
      // aborted: whoever asked to sleep looks at its signal itself
    }
  },
};
