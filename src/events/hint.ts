/**
 * Sends NOTIFY often at little cost. Postgres lets notifying transactions commit only one after the
 * other, so batches do not notify. A statement of its own does: at once for the first, then every few milliseconds.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { HINT_ARRIVED, HINT_OUTBOX } from "./queries.ts";

const EVERY_MS = 10;

export interface Hint extends AsyncDisposable {
  /** Notifies that there is something new. Never throws: listeners also poll. */
  give(): void;
}

/** Opens the hint about webhooks, for sync and the relay; disposing it sends the last one. */
export const openHint = (q: Queryable): Hint => open(q, HINT_ARRIVED);

/** Opens the hint about events. */
export const openOutboxHint = (q: Queryable): Hint => open(q, HINT_OUTBOX);

/** Opens a hint that another statement sends. */
export const openHintBy = (q: Queryable, statement: Statement): Hint => open(q, statement);

function open(q: Queryable, statement: Statement): Hint {
  let underWay: Promise<void> | null = null;
  let owed = false;
  const send = async (): Promise<void> => {
    do {
      owed = false;
      await q.query(statement).catch(() => undefined);
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
