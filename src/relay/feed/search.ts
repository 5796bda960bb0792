/** Searches the outbox for the events that a feed shows, a bounded part of it in each step. */
import type { Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { behind, type Place } from "./places.ts";
import { FIND_EVENTS } from "./queries.ts";

/** Events that one statement examines at most, and all statements of one page. */
export const STEP_EVENTS = 1000;
export const PAGE_EVENTS = 50 * STEP_EVENTS;
/** Bytes of a page, unless its first part is larger. */
export const PAGE_BYTES = 8 * 1024 * 1024;

/** Which events; null: any. */
export interface EventFilters {
  types: readonly string[];
  integration_id?: string | undefined;
  item_id?: string | undefined;
  user_id?: string | undefined;
  /** events of a first reading too */
  history: boolean;
}

/** An event that was found, and the place behind it. */
export interface Found extends Place {
  id: string;
  type: string;
  bytes: number;
}

type FoundRow = { last: string | null; more: boolean } & (Found | { [K in keyof Found]: null });

/** What one step found. */
export interface Step {
  /** in their order */
  found: Found[];
  /** behind all that the step examined, or behind the last event found where it found as many as it may */
  end: Place;
  /** whether there may be events after `end` */
  more: boolean;
}

/** Examines the `examine` next events, or so, and yields those that the filters take, at most `most`. */
export async function findEvents(
  q: Queryable,
  place: Place,
  filters: EventFilters,
  { examine, most }: { examine: number; most: number },
): Promise<Step> {
  const { types, integration_id, item_id, user_id, history } = filters;
  const named = [integration_id ?? null, item_id ?? null, user_id ?? null];
  const values = [place.position, place.at, examine, types, ...named, history, most];
  const { rows } = await q.query<FoundRow>(FIND_EVENTS, values);
  const [first] = rows;
  if (!first || first.last === null) return { found: [], end: place, more: false };
  const found = rows.flatMap((row) => (row.id === null ? [] : [row as Found]));
  const last = found.length === most ? found.at(-1) : undefined;
  return { found, end: last ?? behind(first.last), more: first.more || last !== undefined };
}

/** Postgres refuses a text with NUL. @throws TartanError `invalid_request` naming the field */
export function checkTexts(query: object): void {
  for (const name of ["integration_id", "item_id", "user_id"]) {
    const value: unknown = (query as Record<string, unknown>)[name];
    if (typeof value !== "string" || !value.includes("\0")) continue;
    throw new TartanError("invalid_request", `No event has such a ${name}.`, {
      fields: { [name]: "must not contain NUL characters" },
    });
  }
}
