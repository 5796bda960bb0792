/**
 * Records events. A caller records them in the transaction of their cause, with one row of the outbox that names them all in
 * their order, so no event exists without its cause or its row. Webhooks are events by themselves; the statement that appends
 * them also writes their row of the outbox.
 *
 * An event is stored as the bytes that are sent. Where it holds rows of the mirror, Postgres builds it from them, so
 * no number passes through a JavaScript float.
 */
import type { Queryable, Statement } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import { insertParts, NOTIFY_OUTBOX, recordEventsWith } from "./queries.ts";

interface Head {
  /** one of EVENT_TYPES */
  type: string;
  integrationId: string | null;
  itemId: string | null;
  /** what it is about that belongs to no item */
  subject?: Subject | undefined;
  /** null: that of the item, where one is known */
  userId: string | null;
  /** null: that of the integration */
  environment: string | null;
  /** found by the first reading of an item, or of another subject that has a past: no news */
  history?: boolean;
}

export interface NewEvent extends Head {
  data: Record<string, unknown>;
}

/** Events of one type, built by Postgres from its rows. */
export interface PartedEvent extends Head {
  /** a SELECT of `part`, from 1, and `data`, which is JSON text, in the order of the parts */
  select: Statement;
  values: readonly unknown[];
  /** it has no more parts than this; absent: not known */
  partsMax?: number;
}

/**
 * Records the events, in their order, and sends NOTIFY `tartan_outbox`.
 * @returns their UUIDs; one for each part of an event
 */
export async function recordEvents(tx: Queryable, events: readonly (NewEvent | PartedEvent)[]): Promise<string[]> {
  const ids = await recordQuietly(tx, events);
  if (ids.length > 0) await tx.query(NOTIFY_OUTBOX);
  return ids;
}

/** `recordEvents` without the NOTIFY, for a caller that notifies less often than it records. */
export async function recordQuietly(tx: Queryable, events: readonly (NewEvent | PartedEvent)[]): Promise<string[]> {
  return await recordRest(tx, await recordMade(tx, events));
}

/** Those events that take a statement of their own are recorded; the others are not yet. */
export interface HalfRecorded {
  given: readonly { n: number; event: NewEvent }[];
  /** of one part each; the statement that records the given ones builds them too */
  small: readonly { n: number; event: PartedEvent }[];
  made: readonly { n: number; id: string }[];
  types: readonly string[];
}

/** The places of one transaction's events: an id has twelve bits for them. */
const PLACES = 4096;

/**
 * As many small events are built by one statement. Each set of them has a statement of its own, which every connection keeps prepared, so
 * sets of three tables would be too many.
 */
const SMALL_MAX = 2;

/**
 * Records the events that Postgres builds from rows, unless they are few and small: the first half of `recordQuietly`, for a caller that sends other statements
 * together with it. Where it is known that all events have a place, their statements are sent at once, each with as many places as it
 * may have parts.
 */
export async function recordMade(tx: Queryable, events: readonly (NewEvent | PartedEvent)[]): Promise<HalfRecorded> {
  const given: HalfRecorded["given"][number][] = [];
  const small: HalfRecorded["small"][number][] = [];
  const parted = events.filter((event) => !("data" in event)) as PartedEvent[];
  const isSmall = parted.length <= SMALL_MAX && parted.every(({ partsMax }) => partsMax === 1);
  const types = [...new Set(events.map(({ type }) => type))];
  const width = events.reduce((sum, event) => sum + ("data" in event ? 1 : (event.partsMax ?? Infinity)), 0);
  const isSpread = width <= PLACES;
  const made: Promise<{ n: number; id: string }[]>[] = [];
  let n = 0;
  for (const event of events) {
    if ("data" in event) {
      given.push({ n: n++, event });
      continue;
    }
    if (isSmall) {
      small.push({ n: n++, event });
      continue;
    }
    const first = n;
    const parts = recordParts(tx, event, first).then((ids) => ids.map((id, part) => ({ n: first + part, id })));
    made.push(parts);
    n += isSpread && event.partsMax !== undefined ? event.partsMax : (await parts).length;
  }
  return { given, small, made: (await Promise.all(made)).flat(), types };
}

/** Records the other events, and the row of the outbox that names all of them. @returns the ids in the order of the events */
export async function recordRest(tx: Queryable, { given, small, made, types }: HalfRecorded): Promise<string[]> {
  if (given.length + small.length + made.length === 0) return [];
  const built = small.map(({ event: { select, values } }) => ({ select, taken: values.length }));
  const { rows } = await tx.query<{ id: string }>(recordEventsWith(built), [
    given.map(({ n }) => n),
    given.map(({ event }) => event.type),
    given.map(({ event }) => event.integrationId),
    given.map(({ event }) => event.environment),
    given.map(({ event }) => event.itemId),
    given.map(({ event }) => event.userId),
    given.map(({ event }) => event.subject?.kind ?? null),
    given.map(({ event }) => event.subject?.id ?? null),
    given.map(({ event }) => event.history ?? false),
    given.map(({ event }) => JSON.stringify(event.data)),
    made.map(({ n }) => n),
    made.map(({ id }) => id),
    types,
    ...small.flatMap(({ n, event }) => [...event.values, ...headOf(event, n)]),
  ]);
  return rows.map(({ id }) => id);
}

async function recordParts(tx: Queryable, event: PartedEvent, first: number): Promise<string[]> {
  const { select, values } = event;
  const given = [...values, ...headOf(event, first)];
  const { rows } = await tx.query<{ id: string }>(insertParts(select, values.length), given);
  return rows.map(({ id }) => id);
}

/** The columns of an event as its statement takes them, behind the values of its SELECT. */
function headOf(event: PartedEvent, first: number): unknown[] {
  const { type, integrationId, environment, itemId, userId, subject, history = false } = event;
  const about = [itemId, userId, subject?.kind ?? null, subject?.id ?? null];
  return [first, type, integrationId, environment, ...about, history];
}
