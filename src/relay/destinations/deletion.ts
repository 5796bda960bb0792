/** What destinations/ does when a destination is deleted; delete-destination.ts calls it with what the other folders do. */
import type { Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { DELETE_DESTINATION, DELETE_KEYS, NOTIFY_RELAY } from "./queries.ts";

export const destinationNotFound = (id: string): TartanError =>
  new TartanError("not_found", `There is no destination ${id}.`, { fields: { id: "names no destination" } });

/** Marks it as deleted and wipes its secrets. @returns false when there is no such destination */
export async function markDeleted(tx: Queryable, id: string): Promise<boolean> {
  if ((await tx.query(DELETE_DESTINATION, [id])).rowCount === 0) return false;
  await tx.query(DELETE_KEYS, [id]);
  return true;
}

/** A hint to the workers that a destination or route changed. */
export async function notifyRelay(tx: Queryable): Promise<void> {
  await tx.query(NOTIFY_RELAY);
}
