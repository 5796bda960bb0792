/**
 * Fans out: gives what waits in the outbox its position and makes a delivery of each event for each destination that a route
 * leads it to, in one transaction. So an event is either waiting, or all of its deliveries are there.
 *
 *   outbox row: waiting ──dispatch──▶ has a position; its deliveries are scheduled
 *
 * One process dispatches at a time; whoever finds another at it leaves it to that one.
 */
import type { Database, Queryable } from "../database/types.ts";
import { ArrayWriter } from "../journal/arrays.ts";
import { newWebhookUuid } from "../journal/ids.ts";
import { metrics } from "../metrics.ts";
import { render, payloadOf } from "./content/body.ts";
import { matchesFilter, needsPayload } from "./routes/filter.ts";
import { compileMatcher } from "./routes/matcher.ts";
import {
  BEGIN_DISPATCH,
  EVENTS_OF,
  GIVE_POSITIONS,
  INSERT_DELIVERIES,
  SOURCES,
  WAITING_ROWS,
} from "./queries/dispatch.ts";
import { loadRoutes } from "./routes/routes.ts";
import type { ActiveRoute, EventFacts, EventSource } from "./types.ts";

/** Rows of the outbox a transaction; each names what one commit has written. */
const ROWS_MAX = 200;
/** Events a transaction, but for one row, which names as many as it names; and how many of them are in memory with their bytes. */
const EVENTS_MAX = 2000;
const AT_ONCE = 200;
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
  body: Buffer | null;
}

interface WaitingRow {
  id: number;
  /** how many it names */
  events: number;
  routes: string;
}

/** The first rows, as far as they name no more than EVENTS_MAX; one at least. */
function fewest(rows: readonly WaitingRow[]): readonly WaitingRow[] {
  let named = 0;
  const end = rows.findIndex(({ events }, index) => (named += events) > EVENTS_MAX && index > 0);
  return end === -1 ? rows : rows.slice(0, end);
}

const NOTHING: Dispatched = { rows: 0, made: new Map() };

export class Dispatcher {
  readonly #database: Database;
  readonly #by: string;
  #routes: readonly MatchingRoute[] = [];
  #fingerprint = "";

  /** @param by who dispatches: whoever hears of it knows whether it was itself */
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
      await this.#refresh(tx, first.routes);
      const ids = fewest(waiting.rows).map(({ id }) => id);
      const events = this.#routes.length === 0 ? [] : (await tx.query<EventFacts>(EVENTS_OF, [ids])).rows;
      const made = new Map<string, Set<string | null>>();
      for (let from = 0; from < events.length; from += AT_ONCE) {
        const deliveries = await fanOut(tx, events.slice(from, from + AT_ONCE), this.#routes);
        await insertDeliveries(tx, deliveries, null);
        for (const { event, route } of deliveries) {
          const lanes = made.get(route.destinationId) ?? new Set();
          made.set(route.destinationId, lanes.add(laneOf(event, route)));
        }
      }
      await tx.query(GIVE_POSITIONS, [ids, made.size === 0 ? null : named(this.#by, made.keys())]);
      metrics.eventsDispatched.inc(events.length);
      return { rows: ids.length, made };
    });
  }

  async #refresh(tx: Queryable, fingerprint: string): Promise<void> {
    if (fingerprint === this.#fingerprint) return;
    const routes = await loadRoutes(tx);
    this.#routes = routes.map(withMatcher);
    this.#fingerprint = fingerprint;
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

/** The deliveries that routes make of events: of each event at most one for a destination, by the first route that takes it. */
export async function fanOut(
  tx: Queryable,
  events: readonly EventFacts[],
  routes: readonly MatchingRoute[],
): Promise<NewDelivery[]> {
  const candidates = events.map((event) => ({
    event,
    routes: routes.filter(({ definition }) => matchesFilter(definition.filter, event)),
  }));
  const sources = await loadSources(
    tx,
    candidates
      .filter(({ event, routes: taken }) => taken.some((route) => readsBytes(route, event)))
      .map(({ event }) => event),
  );
  return candidates.flatMap(({ event, routes: taken }) => {
    const source = sources.get(event.id);
    const payload = source && taken.some(({ matches }) => matches !== null) ? payloadOf(source) : undefined;
    const chosen = new Map<string, MatchingRoute>();
    for (const route of taken) {
      if (!chosen.has(route.destinationId) && (route.matches === null || route.matches(payload))) {
        chosen.set(route.destinationId, route);
      }
    }
    return [...chosen.values()].map((route) => ({ event, route, body: source ? bodyOf(source, route) : null }));
  });
}

const readsBytes = (route: MatchingRoute, event: EventFacts): boolean =>
  needsPayload(route.definition) || isRendered(route, event);

/**
 * A webhook that is wrapped has no bytes of its own yet. They are made once, here, and kept, since what they tell besides the
 * webhook's body (the user, above all) may be known better later on.
 */
const isRendered = ({ definition: { form } }: ActiveRoute, { type }: EventFacts): boolean =>
  type === "webhook.received" && (form === "webhook" || form === "event");

const bodyOf = (source: EventSource, route: ActiveRoute): Buffer | null =>
  isRendered(route, source) ? render(source, route.definition.form) : null;

async function loadSources(tx: Queryable, events: readonly EventFacts[]): Promise<Map<string, EventSource>> {
  if (events.length === 0) return new Map();
  const webhooks = events.filter(({ type }) => type === "webhook.received").map(({ id }) => id);
  const others = events.filter(({ type }) => type !== "webhook.received").map(({ id }) => id);
  const { rows } = await tx.query<EventSource>(SOURCES, [webhooks, others]);
  return new Map(rows.map((source) => [source.id, source]));
}

/** Makes the deliveries, due now, in their order; those that are there already stay as they are. @returns how many were made */
export async function insertDeliveries(
  tx: Queryable,
  deliveries: readonly NewDelivery[],
  jobId: string | null,
): Promise<number> {
  if (deliveries.length === 0) return 0;
  const out = new ArrayWriter(deliveries.reduce((sum, { body }) => sum + (body?.length ?? 0) + 512, 4096));
  const { rowCount } = await tx.query(INSERT_DELIVERIES, [
    out.uuid(deliveries.map(() => newWebhookUuid())),
    out.text(deliveries.map(({ route }) => route.destinationId)),
    out.uuid(deliveries.map(({ event }) => event.id)),
    out.text(deliveries.map(({ event }) => event.type)),
    out.text(deliveries.map(({ event }) => event.integrationId)),
    out.text(deliveries.map(({ event }) => event.itemId)),
    out.text(deliveries.map(({ event, route }) => laneOf(event, route))),
    out.text(deliveries.map(({ route }) => route.id)),
    out.int4(deliveries.map(({ route }) => route.version)),
    out.text(deliveries.map(({ route }) => route.definition.form)),
    out.bytea(deliveries.map(({ body }) => body)),
    jobId,
  ]);
  return rowCount;
}

/** The lane of an event at a destination that keeps order; what concerns no item shares a lane. */
const laneOf = ({ itemId }: EventFacts, { ordering }: ActiveRoute): string | null =>
  ordering === "per_item" ? (itemId ?? "-") : null;
