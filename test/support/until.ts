/** Waiting for what a test has to wait for. */
import { setTimeout as delay } from "node:timers/promises";
import { TestRunner } from "vitest";

/** What is met soon is seen soon; what takes long is not asked for too often. */
const FIRST_PAUSE_MS = 5;
const LAST_PAUSE_MS = 50;
const MOST_SECONDS = 60;

/** Less than the running test has, so that the failure says what was waited for. */
function patience(): number {
  const { timeout = 0 } = TestRunner.getCurrentTest() ?? {};
  return timeout === 0 ? MOST_SECONDS : Math.min(MOST_SECONDS, (timeout / 1000) * 0.8);
}

/** Waits until `met` holds; throws what was waited for after `seconds` (60, or 80 % of what the test may take). */
export async function until(
  what: string,
  met: () => boolean | Promise<boolean>,
  seconds: number = patience(),
): Promise<void> {
  const last = Date.now() + seconds * 1000;
  for (let pause = FIRST_PAUSE_MS; !(await met()); pause = Math.min(pause * 1.2, LAST_PAUSE_MS)) {
    if (Date.now() > last) throw new Error(`${what} did not happen within ${seconds} s`);
    await delay(pause);
  }
}
