/**
 * Keeps the world in a file: reads it at the start, writes it while the world changes, and once more at the end. It replaces the
 * file as a whole, so a kill or a crash of the machine leaves the previous file.
 */
import { existsSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { systemClock } from "../clock.ts";
import { TartanError } from "../errors.ts";
import type { Simulation } from "./simulation.ts";
import { takeSnapshot } from "./snapshot.ts";

const LEAST_PAUSE_MS = 1000;
/** Saving a large world takes long; saving may use a twentieth of the time. */
const PAUSE_FACTOR = 20;

/** The snapshot in `file`, or null where there is no such file. */
export function readState(file: string): Buffer | null {
  if (!existsSync(file)) return null;
  try {
    return readFileSync(file);
  } catch (error) {
    const fields = { stateFile: "cannot be read" };
    throw new TartanError("simulator_invalid_request", `The file ${file} cannot be read.`, { fields, cause: error });
  }
}

/** Saves the world into `file` from now on. Disposing saves it a last time; the world must not change after that. */
export async function keepState(sim: Simulation, file: string): Promise<AsyncDisposable> {
  const stop = new AbortController();
  let last = await save(sim, file, false, null);
  const saving = (async () => {
    let pauseMs = LEAST_PAUSE_MS;
    for (;;) {
      await systemClock.sleep(pauseMs, stop.signal);
      if (stop.signal.aborted) return;
      const began = performance.now();
      // A full disk may have room a second later; only the last save throws.
      last = await save(sim, file, false, last).catch(() => last);
      pauseMs = Math.max(LEAST_PAUSE_MS, PAUSE_FACTOR * (performance.now() - began));
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await saving;
      await save(sim, file, true, null);
    },
  };
}

async function save(sim: Simulation, file: string, atTheEnd: boolean, last: Buffer | null): Promise<Buffer> {
  const snapshot = takeSnapshot(sim, atTheEnd);
  if (last?.equals(snapshot)) return last;
  // The file holds access tokens. They are valid in this world only, but others may take them for real ones.
  const written = await open(`${file}.new`, "w", 0o600);
  try {
    await written.writeFile(snapshot);
    // A rename may reach the disk before the content of the file.
    await written.sync();
  } finally {
    await written.close();
  }
  await rename(`${file}.new`, file);
  return snapshot;
}
