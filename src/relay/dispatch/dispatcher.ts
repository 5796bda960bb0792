/**
 * Fans out: gives what waits in the outbox its position and makes a delivery of each event for each destination that a route
 * leads it to, in one transaction. So an event is either waiting, or all of its deliveries are there.
 *
 *   outbox row: waiting ──dispatch──▶ has a position; its deliveries are scheduled
 *
 * One process dispatches at a time; a process that finds another at it leaves the work to that one.
 *
 * A delivery holds no payload: it refers to the event. So what a transaction writes does not grow with the size of the
 * events, and payloads are read only for routes with a matcher, a slice of bounded size at a time.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { ArrayWriter } from "../../database/binary-arrays.ts";
import { newUuid } from "../../model/ids.ts";
import { metrics } from "../../metrics.ts";
import { payloadOf } from "../content/body.ts";
import { readSources } from "../content/sources.ts";
import { matchesFilter, needsPayload } from "../routing/filter.ts";
import { compileMatcher } from "../routing/matcher.ts";
import { BEGIN_DISPATCH, EVENTS_OF, GIVE_POSITIONS, INSERT_DELIVERIES, WAITING_ROWS } from "./queries.ts";
import { loadRouting } from "../routing/routes.ts";
import type { ActiveRoute, EventFacts, SizedEvent } from "../model/types.ts";

/** Rows of the outbox a transaction; each names what one commit has written. */
const ROWS_MAX = 200;
/** Events that are looked at together; rows are taken together as long as they name no more. */
const AT_ONCE = 200;
/** What a transaction may make and read before it ends behind the row that it is at. */
const DELIVERIES_MAX = 10_000;
const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
const EVENTS_MAX = 2000;
/** Pairs of an event and a route that are compared before the event loop goes on. */
const PAIRS_AT_ONCE = 20_000;
/** Rows an INSERT. */
const INSERT_MAX = 2000;
/** NOTIFY carries less than 8000 bytes. */
const NAMED_MAX = 100;

export interface Dispatched {
  /** rows of the outbox; 0 when none waited or another process is at it */
  rows: number;
  /** destinations that have something new, with the lanes in which they have it; null: outside of lanes */
  made: ReadonlyMap<string, ReadonlySet<string | null>>;
}

/** A route with its matcher compiled. */
export interface MatchingRoute extends ActiveRoute {
  matches: ((payload: unknown) => boolean) | null;
}

interface NewDelivery {
  event: EventFacts;
  route: ActiveRoute;
}

interface WaitingRow {
  id: number;
  /** how many it names */
  events: number;
  routingVersion: number;
}

/** Cuts rows, in their order, into groups that name no more than AT_ONCE events; one row at least. */
function groupsOf(rows: readonly WaitingRow[]): WaitingRow[][] {
  const groups: WaitingRow[][] = [];
  let named = Infinity;
  for (const row of rows) {
    named += row.events;
    const current = groups.at(-1);
    if (current && named <= AT_ONCE) current.push(row);
    else {
      groups.push([row]);
      named = row.events;
    }
  }
  return groups;
}

const NOTHING: Dispatched = { rows: 0, made: new Map() };

interface NamedEvent extends SizedEvent {
  /** the row that names it */
  outboxId: number;
}

/** What a transaction has done so far. */
class Work {
  readonly rows: number[] = [];
  readonly made = new Map<string, Set<string | null>>();
  events = 0;
  deliveries = 0;
  /** the next row is too large to be part of it */
  isFull = false;
  #payloadBytes = 0;

  note(deliveries: readonly NewDelivery[]): void {
    this.deliveries += deliveries.length;
    for (const { event, route } of deliveries) {
      const lanes = this.made.get(route.destinationId) ?? new Set();
      this.made.set(route.destinationId, lanes.add(laneOf(event, route)));
    }
  }

  get isEnough(): boolean {
    return this.isFull || this.events >= EVENTS_MAX || this.deliveries >= DELIVERIES_MAX;
  }

  /**
   * Counts the payloads of the events, row by row.
   * @returns the row with which they become too many bytes for this transaction, unless it is its first
   */
  firstTooLarge(events: readonly NamedEvent[]): number | null {
    const first = this.rows[0] ?? events[0]?.outboxId;
    for (const { outboxId, size } of events) {
      this.#payloadBytes += size;
      if (this.#payloadBytes > PAYLOAD_BYTES_MAX && outboxId !== first) return outboxId;
    }
    return null;
  }
}

export class Dispatcher {
  readonly #database: Database;
  readonly #by: string;
  #routes: readonly MatchingRoute[] = [];
  #routingVersion = 0;

  /** @param by who dispatches: a process that hears of it can tell whether it was itself */
  constructor(database: Database, by: string) {
    this.#database = database;
    this.#by = by;
  }

  /** Dispatches the oldest rows that wait. Call it again while it says that there were some. */
  async dispatch(): Promise<Dispatched> {
    return await this.#database.transaction(async (tx) => {
      const begun = await tx.query<{ held: boolean }>(BEGIN_DISPATCH);
      if (!begun.rows[0]?.held) return NOTHING;
      const waiting = await tx.query<WaitingRow>(WAITING_ROWS, [ROWS_MAX]);
      const [first] = waiting.rows;
      if (!first) return NOTHING;
      await this.#refresh(tx, first.routingVersion);
      const work = new Work();
      for (const group of groupsOf(waiting.rows)) {
        await this.#dispatchGroup(tx, group, work);
        if (work.isEnough) break;
      }
      const { rows, made } = work;
      await tx.query(GIVE_POSITIONS, [rows, made.size === 0 ? null : named(this.#by, made.keys())]);
      metrics.eventsDispatched.inc(work.events);
      return { rows: rows.length, made };
    });
  }

  async #dispatchGroup(tx: Queryable, group: readonly WaitingRow[], work: Work): Promise<void> {
    const ids = group.map(({ id }) => id);
    if (this.#routes.length === 0) return void work.rows.push(...ids);
    const { rows: named } = await tx.query<NamedEvent>(EVENTS_OF, [ids]);
    const behind = this.#routes.some(({ definition }) => needsPayload(definition)) ? work.firstTooLarge(named) : null;
    work.rows.push(...ids.filter((id) => behind === null || id < behind));
    const events = behind === null ? named : named.filter(({ outboxId }) => outboxId < behind);
    const atOnce = Math.max(1, Math.min(AT_ONCE, Math.floor(PAIRS_AT_ONCE / this.#routes.length)));
    for (let from = 0; from < events.length; from += atOnce) {
      const deliveries = await fanOut(tx, events.slice(from, from + atOnce), this.#routes);
      await insertDeliveries(tx, deliveries, null);
      work.note(deliveries);
    }
    if (behind !== null) work.isFull = true;
    work.events += events.length;
  }

  async #refresh(tx: Queryable, version: number): Promise<void> {
    if (version === this.#routingVersion) return;
    const routing = await loadRouting(tx);
    this.#routes = routing.routes.map(withMatcher);
    // The version that was read with them, which may be newer than the one that was asked for.
    this.#routingVersion = routing.version;
  }
}

/** What NOTIFY says: who made deliveries, and for which destinations; none are named where they are too many. */
export function named(by: string, destinations: Iterable<string>): string {
  const ids = [...destinations];
  return `${by} ${ids.length > NAMED_MAX ? "" : ids.join(",")}`;
}

export const withMatcher = (route: ActiveRoute): MatchingRoute => {
  const { match } = route.definition;
  return { ...route, matches: match === null ? null : compileMatcher(match) };
};

/**
 * The deliveries that routes make of events: of each event at most one for a destination, by the first route that takes it.
 * Payloads are read for routes with a matcher only.
 */
export async function fanOut(
  tx: Queryable,
  events: readonly SizedEvent[],
  routes: readonly MatchingRoute[],
): Promise<NewDelivery[]> {
  const candidates = events.map((event) => ({
    event,
    routes: routes.filter(({ definition }) => matchesFilter(definition.filter, event)),
  }));
  const toRead = candidates
    .filter(({ routes: passed }) => passed.some(({ definition }) => needsPayload(definition)))
    .map(({ event }) => event);
  const takenById = new Map<string, ReadonlySet<string>>();
  const matching = routes.filter(({ matches }) => matches !== null);
  for await (const source of readSources(tx, toRead)) {
    const payload = payloadOf(source);
    const taken = matching.filter(
      ({ definition, matches }) => matchesFilter(definition.filter, source) && matches?.(payload) === true,
    );
    takenById.set(source.id, new Set(taken.map(({ id }) => id)));
  }
  return candidates.flatMap(({ event, routes: passed }) => {
    const taken = takenById.get(event.id);
    const chosen = new Map<string, MatchingRoute>();
    for (const route of passed) {
      const takes = route.matches === null || taken?.has(route.id) === true;
      if (takes && !chosen.has(route.destinationId)) chosen.set(route.destinationId, route);
    }
    return [...chosen.values()].map((route): NewDelivery => ({ event, route }));
  });
}

/** Makes the deliveries, due now, in their order; those that are there already stay as they are. @returns how many were made */
export async function insertDeliveries(
  tx: Queryable,
  deliveries: readonly NewDelivery[],
  jobId: string | null,
): Promise<number> {
  let made = 0;
  for (let from = 0; from < deliveries.length; from += INSERT_MAX) {
    const { rowCount } = await tx.query(INSERT_DELIVERIES, columnsOf(deliveries.slice(from, from + INSERT_MAX), jobId));
    made += rowCount;
  }
  return made;
}

function columnsOf(deliveries: readonly NewDelivery[], jobId: string | null): unknown[] {
  const out = new ArrayWriter(deliveries.length * 512 + 4096);
  return [
    out.uuid(deliveries.map(() => newUuid())),
    out.text(deliveries.map(({ route }) => route.destinationId)),
    out.uuid(deliveries.map(({ event }) => event.id)),
    out.text(deliveries.map(({ event }) => event.type)),
    out.text(deliveries.map(({ event }) => event.integrationId)),
    out.text(deliveries.map(({ event }) => event.itemId)),
    out.text(deliveries.map(({ event }) => event.userId)),
    out.text(deliveries.map(({ event, route }) => laneOf(event, route))),
    out.text(deliveries.map(({ route }) => route.id)),
    out.int4(deliveries.map(({ route }) => route.version)),
    out.text(deliveries.map(({ route }) => route.definition.form)),
    jobId,
  ];
}

/** The lane of an event at a destination that keeps order; what concerns no item shares a lane. */
const laneOf = ({ itemId }: EventFacts, { ordering }: ActiveRoute): string | null =>
  ordering === "per_item" ? (itemId ?? "-") : null;
