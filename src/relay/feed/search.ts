/** Searches the outbox for the events that a feed shows, a bounded part of it in each step. */
import type { Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { behind, type Place } from "./places.ts";
import { FIND_EVENTS } from "./queries.ts";

/** Events that one statement reads at most. */
export const STEP_EVENTS = 1000;
/** Rows of the outbox that one statement passes over at most; an event costs as much as several. */
const STEP_ROWS = 8 * STEP_EVENTS;
/** Where a step finds little, the next one examines more rows. */
const STEP_GROWTH = 4;
/** Steps of full size in a page. */
const PAGE_STEPS = 50;
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

type FoundRow = { last: string | null; more: boolean; cut: boolean } & (Found | { [K in keyof Found]: null });

/** What one step found. */
export interface Step {
  /** in their order */
  found: Found[];
  /** behind all that the step examined, or behind the last event found where it found as many as it may */
  end: Place;
  /** whether there may be events after `end` */
  more: boolean;
  /** whether it ended because of the number of events that it read */
  cut: boolean;
}

/** What the steps of a page examine. */
export class Steps {
  #rows: number;
  #left = PAGE_STEPS * STEP_EVENTS;

  /** @param rows of the first step */
  constructor(rows: number) {
    this.#rows = rows;
  }

  /** Whether the page has examined what it may. */
  get areOver(): boolean {
    return this.#left <= 0;
  }

  /** Of the next step. */
  get size(): { rows: number; events: number } {
    return { rows: this.#rows, events: Math.min(this.#rows, STEP_EVENTS) };
  }

  /** Counts a step of this size. */
  count({ cut }: Step): void {
    this.#left -= this.size.events;
    this.#rows = Math.min(this.#rows * STEP_GROWTH, cut ? STEP_EVENTS : STEP_ROWS);
  }
}

/** Examines the next `rows` of the outbox, or fewer where they name `events` that may match, and yields those that the filters take, at most `most`. */
export async function findEvents(
  q: Queryable,
  place: Place,
  filters: EventFilters,
  { rows: width, events, most }: { rows: number; events: number; most: number },
): Promise<Step> {
  const { types, integration_id, item_id, user_id, history } = filters;
  const named = [integration_id ?? null, item_id ?? null, user_id ?? null];
  const values = [place.position, place.at, events, types, ...named, history, most, width];
  const { rows } = await q.query<FoundRow>(FIND_EVENTS, values);
  const [first] = rows;
  if (!first || first.last === null) return { found: [], end: place, more: false, cut: false };
  const found = rows.flatMap((row) => (row.id === null ? [] : [row as Found]));
  const last = found.length === most ? found.at(-1) : undefined;
  return { found, end: last ?? behind(first.last), more: first.more || last !== undefined, cut: first.cut };
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
