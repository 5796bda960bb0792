/** A database whose statements give way to webhooks that wait for a commit in this process: for work that nobody waits for. */
import type { Pressure } from "../model/pressure.ts";
import type { Database } from "./types.ts";

/** Each statement, and each transaction before it begins, waits so long at most. */
const GIVE_WAY_MS = 250;

/** @param worker a label of the metric */
export const givingWay = (database: Database, pressure: Pressure, worker: string): Database => ({
  query: async (statement, values) => {
    await pressure.giveWay(worker, GIVE_WAY_MS);
    return await database.query(statement, values);
  },
  transaction: async (work, kind) => {
    await pressure.giveWay(worker, GIVE_WAY_MS);
    return await database.transaction(work, kind);
  },
  listen: (channel, onNotify) => database.listen(channel, onNotify),
  [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
});
