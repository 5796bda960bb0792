/**
 * NOTIFY `tartan_due`, given often without costing much. Postgres lets notifying transactions commit only one after the
 * other, so batches do not notify; a statement of its own does, at once for the first and then every few milliseconds.
 */
import type { Queryable } from "../database/types.ts";
import { HINT_DUE } from "./queries.ts";

const EVERY_MS = 10;

export interface Hint extends AsyncDisposable {
  /** Something became due. Never throws: whoever listens also polls. */
  give(): void;
}

/** Opens the hint; disposing it gives the last one. */
export function openHint(q: Queryable): Hint {
  let underWay: Promise<void> | null = null;
  let owed = false;
  const send = async (): Promise<void> => {
    do {
      owed = false;
      await q.query(HINT_DUE).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    } while (owed);
    underWay = null;
  };
  return {
    give() {
      owed = true;
      underWay ??= send();
    },
    [Symbol.asyncDispose]: async () => {
      await underWay;
    },
  };
}
