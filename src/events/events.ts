/**
 * Events: what happened, for whoever wants to be told. They are recorded in the transaction that makes them true, with
 * one row of the outbox that names them all in their order; so there is no instant at which one is there without the
 * other. Webhooks are events by themselves, and are put into the outbox as they are appended.
 *
 * An event is kept as the bytes that are sent. Where it holds rows of the mirror, Postgres makes it out of them: they
 * do not come here, and no number passes through a JavaScript float.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { insertParts, NOTIFY_OUTBOX, RECORD_EVENTS } from "./queries.ts";

interface Head {
  /** one of EVENT_TYPES */
  type: string;
  integrationId: string | null;
  itemId: string | null;
  /** null: that of the item, where one is known */
  userId: string | null;
  /** null: that of the integration */
  environment: string | null;
  /** part of a first reading: it was so before Tartan looked */
  history?: boolean;
}

export interface NewEvent extends Head {
  data: Record<string, unknown>;
}

/** Events of one type, made by Postgres out of rows that it has. */
export interface PartedEvent extends Head {
  /** yields `part`, from 1, and `data`, which is JSON text, in the order of the parts */
  select: Statement;
  values: readonly unknown[];
}

/**
 * Records the events, in their order, and hints at them with NOTIFY `tartan_outbox`.
 * @returns their UUIDs; of a parted event, one a part
 */
export async function recordEvents(tx: Queryable, events: readonly (NewEvent | PartedEvent)[]): Promise<string[]> {
  const ids = await recordQuietly(tx, events);
  if (ids.length > 0) await tx.query(NOTIFY_OUTBOX);
  return ids;
}

/** `recordEvents` without the NOTIFY, for a caller that hints less often than it records. */
export async function recordQuietly(tx: Queryable, events: readonly (NewEvent | PartedEvent)[]): Promise<string[]> {
  const given: { n: number; event: NewEvent }[] = [];
  const made: { n: number; id: string }[] = [];
  let n = 0;
  for (const event of events) {
    if ("data" in event) given.push({ n: n++, event });
    else for (const id of await recordParts(tx, event, n)) made.push({ n: n++, id });
  }
  if (n === 0) return [];
  const { rows } = await tx.query<{ id: string }>(RECORD_EVENTS, [
    given.map(({ n }) => n),
    given.map(({ event }) => event.type),
    given.map(({ event }) => event.integrationId),
    given.map(({ event }) => event.environment),
    given.map(({ event }) => event.itemId),
    given.map(({ event }) => event.userId),
    given.map(({ event }) => event.history ?? false),
    given.map(({ event }) => JSON.stringify(event.data)),
    made.map(({ n }) => n),
    made.map(({ id }) => id),
  ]);
  return rows.map(({ id }) => id);
}

async function recordParts(tx: Queryable, event: PartedEvent, first: number): Promise<string[]> {
  const { select, values, type, integrationId, environment, itemId, userId, history = false } = event;
  const head = [first, type, integrationId, environment, itemId, userId, history];
  const { rows } = await tx.query<{ id: string }>(insertParts(select, values.length), [...values, ...head]);
  return rows.map(({ id }) => id);
}
