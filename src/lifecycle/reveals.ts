/**
 * Carries a change of what an integration reveals or enables through to its rows: masks the stored rows of resources that are hidden,
 * and asks for those that are revealed or enabled to be read. Each part is a transaction of its own that first holds the integration
 * and looks whether the change is still the last one; what is noted as work is left for a repeated call or the janitor of any
 * process when this one ends. See integrations/reveals.ts for why no revealed row stays behind.
 */
import { systemClock } from "../clock.ts";
import { cancellable, cancellableTransaction } from "../database/cancellable.ts";
import type { Database } from "../database/types.ts";
import {
  listRevealsUnderWay,
  noteRevealsDone,
  revealsUnderWay,
  type RevealsUnderWay,
} from "../integrations/reveals.ts";
import { maskSome, type MaskPosition } from "../mirror/mask-stored.ts";
import { requestEverywhere } from "../sync/request-everywhere.ts";

/** How long rows are waited for that a run holds. */
const HELD_MS = 20;

/** Finishes the work that other calls left. A failure of one integration does not stop the others; it is thrown at the end. */
export async function finishAllReveals(database: Database, signal?: AbortSignal): Promise<void> {
  const failures: unknown[] = [];
  for (const id of await listRevealsUnderWay(database)) {
    await finishReveals(database, id, signal).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

/** Does the noted work of an integration. Several processes may do it at once, and repeat it. */
export async function finishReveals(database: Database, id: string, signal?: AbortSignal): Promise<void> {
  const q = cancellable(database, signal);
  for (;;) {
    const work = await database.transaction((tx) => revealsUnderWay(tx, id));
    if (work === null || work.toMask.length + work.toRead.length === 0) return;
    const { version } = work;
    for (const masked of work.toMask) {
      if (await mask(database, id, masked, work, signal)) await noteRevealsDone(q, id, { masked, version });
    }
    for (const read of work.toRead) {
      await requestEverywhere(q, id, read);
      await noteRevealsDone(q, id, { read, version });
    }
  }
}

/** Masks the rows of a resource. @returns false where another change came meanwhile */
async function mask(
  database: Database,
  id: string,
  resource: string,
  { version }: RevealsUnderWay,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let position: MaskPosition | null = { table: 0, after: null };
  while (position) {
    const from: MaskPosition = position;
    const step = await cancellableTransaction(database, signal, async (tx) => {
      const now = await revealsUnderWay(tx, id);
      return now?.version === version ? { to: await maskSome(tx, id, resource, from) } : null;
    });
    if (step === null) return false;
    if (step.to === from) await systemClock.sleep(HELD_MS, signal);
    position = step.to;
  }
  return true;
}
