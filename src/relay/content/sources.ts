/**
 * Reads events with their payloads in slices of bounded size, so that memory does not grow with the number of events. Large payloads
 * take turns, so that parsing them keeps the event loop responsive.
 */
import type { Queryable } from "../../database/types.ts";
import { SOURCES } from "./queries.ts";
import type { EventSource, SizedEvent } from "../model/types.ts";
import { WEBHOOK_RECEIVED } from "./body.ts";
import { turnFor } from "./large-work.ts";

/** The fields of an event that are known before its payload is read. */
type Sized = Pick<SizedEvent, "id" | "type" | "size">;

/** Bytes that one statement reads, unless a single event is larger. */
const SLICE_BYTES = 2 * 1024 * 1024;
const SLICE_EVENTS = 200;

/** Cuts events, in their order, into slices of at most SLICE_BYTES and SLICE_EVENTS; one event at least. */
export function slices<T extends { size: number }>(events: readonly T[]): T[][] {
  const cut: T[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    bytes += event.size;
    const current = cut.at(-1);
    if (current && bytes <= SLICE_BYTES && current.length < SLICE_EVENTS) current.push(event);
    else {
      cut.push([event]);
      bytes = event.size;
    }
  }
  return cut;
}

/** Yields the events that are still kept, in their order, each in its turn of the event loop. */
export async function* readSources(q: Queryable, events: readonly Sized[]): AsyncIterable<EventSource> {
  for (const slice of slices(events)) {
    const sources = await readSlice(q, slice);
    for (const { id, size } of slice) {
      const source = sources.get(id);
      if (!source) continue;
      await turnFor(size);
      yield source;
    }
  }
}

async function readSlice(
  q: Queryable,
  events: readonly { id: string; type: string }[],
): Promise<Map<string, EventSource>> {
  const isWebhook = ({ type }: { type: string }): boolean => type === WEBHOOK_RECEIVED;
  const idsOf = (some: readonly { id: string }[]): string[] => some.map(({ id }) => id);
  const values = [idsOf(events.filter(isWebhook)), idsOf(events.filter((event) => !isWebhook(event)))];
  const { rows } = await q.query<EventSource>(SOURCES, values);
  return new Map(rows.map((source) => [source.id, source]));
}
