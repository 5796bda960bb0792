/** Pressure as tests need it: that never ends, or whose gates the test opens. */
import { MANY, NO_PRESSURE, openPressure, type Gate, type Pressure } from "../../src/model/pressure.ts";

/** As if many webhooks waited all the time. */
export function endlessPressure(): Pressure & Disposable {
  const pressure = openPressure();
  pressure.batch(MANY);
  const timer = setInterval(() => pressure.batch(MANY), 5);
  return Object.assign(pressure, { [Symbol.dispose]: () => clearInterval(timer) });
}

export interface ClosedGates extends Pressure {
  /** how many have come to the gates of a worker */
  came(worker: string): number;
  /** opens all gates for good */
  open(): void;
}

/** Nobody enters a gate before the test opens them. */
export function closedGates(): ClosedGates {
  const came = new Map<string, number>();
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const gateOf = (worker: string): Gate => {
    const enter = async (): Promise<() => void> => {
      came.set(worker, (came.get(worker) ?? 0) + 1);
      await opened;
      return () => undefined;
    };
    return { enter, pass: async (work) => (await enter(), await work()) };
  };
  return {
    ...NO_PRESSURE,
    gate: ({ worker }) => gateOf(worker),
    came: (worker) => came.get(worker) ?? 0,
    open: () => open(),
  };
}
