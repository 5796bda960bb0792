/**
 * Ctrl-C and SIGTERM: the first asks to finish in order, a second within the same stop ends at once.
 */
import { dim, tell } from "./print.ts";

/** Resolves at the first SIGINT or SIGTERM. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) process.exit(130);
      asked = true;
      tell(dim("\nstopping; once more to end at once"));
      resolve(signal);
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
