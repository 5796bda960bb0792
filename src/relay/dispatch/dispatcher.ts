/**
 * Dispatches events: gives rows of the outbox their positions, and creates a delivery of each event for each destination to which
 * a route leads, in one transaction. So an event either waits, or has all of its deliveries.
 *
 *   outbox row: waiting ──dispatch──▶ has a position; its deliveries are scheduled
 *
 * One process dispatches at a time; a process that finds another one dispatching leaves the work to it.
 *
 * A delivery refers to its event and has no payload of its own, so the bytes that a transaction writes do not depend on the size
 * of the events. Payloads are read only for routes with a matcher, in slices of bounded size.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { givePositions } from "../../events/outbox.ts";
import { metrics } from "../../metrics.ts";
import { formatHint } from "../model/deliveries-hint.ts";
import type { SizedEvent } from "../model/types.ts";
import { needsPayload } from "../routing/filter.ts";
import { loadRouting } from "../routing/routes.ts";
import {
  fanOut,
  insertDeliveries,
  orderingKeyOf,
  withMatcher,
  type MatchingRoute,
  type NewDelivery,
} from "./fan-out.ts";
import { BEGIN_DISPATCH, EVENTS_OF, WAITING_ROWS } from "./queries.ts";

/** Rows of the outbox in one transaction; each names the events of one commit. */
const ROWS_MAX = 200;
/** Events that are compared together; rows are read together as long as they name no more. */
const AT_ONCE = 200;
/** A transaction ends after the row with which it exceeds one of these. */
const DELIVERIES_MAX = 10_000;
const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
const EVENTS_MAX = 2000;
/** Pairs of an event and a route that are compared in one turn of the event loop. */
const PAIRS_AT_ONCE = 20_000;

export interface Dispatched {
  /** rows of the outbox; 0 when none waited or another process dispatches */
  rows: number;
  /** destinations with new deliveries, and the ordering keys of those; null: without an ordering key */
  created: ReadonlyMap<string, ReadonlySet<string | null>>;
}

interface WaitingRow {
  id: number;
  /** how many events it names */
  events: number;
  routingVersion: number;
}

/** Cuts rows, in their order, into groups that name at most AT_ONCE events, and at least one row each. */
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

const NOTHING: Dispatched = { rows: 0, created: new Map() };

interface NamedEvent extends SizedEvent {
  /** the outbox row that names it */
  outboxId: number;
}

/** The work of one transaction so far. */
class Work {
  readonly rows: number[] = [];
  readonly created = new Map<string, Set<string | null>>();
  events = 0;
  deliveries = 0;
  /** the next row is too large for this transaction */
  isFull = false;
  #payloadBytes = 0;

  add(deliveries: readonly NewDelivery[]): void {
    this.deliveries += deliveries.length;
    for (const { event, route } of deliveries) {
      const keys = this.created.get(route.destinationId) ?? new Set();
      this.created.set(route.destinationId, keys.add(orderingKeyOf(event, route)));
    }
  }

  get isEnough(): boolean {
    return this.isFull || this.events >= EVENTS_MAX || this.deliveries >= DELIVERIES_MAX;
  }

  /**
   * Counts the payloads of the events, row by row.
   * @returns the row with which this transaction would read too many bytes, unless it is its first
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

  /** @param by names this process in its hints, so that it can ignore them */
  constructor(database: Database, by: string) {
    this.#database = database;
    this.#by = by;
  }

  /** Dispatches the oldest waiting rows. Call it again until it returns no rows. */
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
      const { rows, created } = work;
      const payload = formatHint(this.#by, created.keys());
      await givePositions(tx, rows, created.size === 0 ? null : { channel: "tartan_deliveries", payload });
      metrics.eventsDispatched.inc(work.events);
      return { rows: rows.length, created };
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
      work.add(deliveries);
    }
    if (behind !== null) work.isFull = true;
    work.events += events.length;
  }

  async #refresh(tx: Queryable, version: number): Promise<void> {
    if (version === this.#routingVersion) return;
    const routing = await loadRouting(tx);
    this.#routes = routing.routes.map(withMatcher);
    // The version that was read with the routes, which may be newer than `version`.
    this.#routingVersion = routing.version;
  }
}
