/**
 * Creates deliveries: matches events with routes, and inserts a delivery of each event for each destination to which a route
 * leads. The dispatcher and jobs both use it, so a replay finds what dispatch would have found.
 */
import { ArrayWriter } from "../../database/binary-arrays.ts";
import type { Queryable } from "../../database/types.ts";
import { newUuid } from "../../model/ids.ts";
import { payloadOf } from "../content/body.ts";
import { readSources } from "../content/sources.ts";
import type { ActiveRoute, EventFacts, SizedEvent } from "../model/types.ts";
import { matchesFilter, needsPayload } from "../routing/filter.ts";
import { compileMatcher } from "../routing/matcher.ts";
import { INSERT_DELIVERIES } from "./queries.ts";

/** Rows of one INSERT. */
const INSERT_MAX = 2000;

/** A route with its matcher compiled. */
export interface MatchingRoute extends ActiveRoute {
  matches: ((payload: unknown) => boolean) | null;
}

export interface NewDelivery {
  event: EventFacts;
  route: ActiveRoute;
}

export const withMatcher = (route: ActiveRoute): MatchingRoute => {
  const { match } = route.definition;
  return { ...route, matches: match === null ? null : compileMatcher(match) };
};

/**
 * The deliveries of events: at most one of each event for a destination, by the first route that takes the event. Payloads are
 * read only for routes with a matcher.
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
  const matchedById = new Map<string, ReadonlySet<string>>();
  const matching = routes.filter(({ matches }) => matches !== null);
  for await (const source of readSources(tx, toRead)) {
    const payload = payloadOf(source);
    const matched = matching.filter(
      ({ definition, matches }) => matchesFilter(definition.filter, source) && matches?.(payload) === true,
    );
    matchedById.set(source.id, new Set(matched.map(({ id }) => id)));
  }
  return candidates.flatMap(({ event, routes: passed }) => {
    const matched = matchedById.get(event.id);
    const chosen = new Map<string, MatchingRoute>();
    for (const route of passed) {
      const takes = route.matches === null || matched?.has(route.id) === true;
      if (takes && !chosen.has(route.destinationId)) chosen.set(route.destinationId, route);
    }
    return [...chosen.values()].map((route): NewDelivery => ({ event, route }));
  });
}

/** Inserts the deliveries in their order, due now; existing deliveries stay as they are. @returns how many were inserted */
export async function insertDeliveries(
  tx: Queryable,
  deliveries: readonly NewDelivery[],
  jobId: string | null,
): Promise<number> {
  let inserted = 0;
  for (let from = 0; from < deliveries.length; from += INSERT_MAX) {
    const { rowCount } = await tx.query(INSERT_DELIVERIES, columnsOf(deliveries.slice(from, from + INSERT_MAX), jobId));
    inserted += rowCount;
  }
  return inserted;
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
    out.text(deliveries.map(({ event, route }) => orderingKeyOf(event, route))),
    out.text(deliveries.map(({ route }) => route.id)),
    out.int4(deliveries.map(({ route }) => route.version)),
    out.text(deliveries.map(({ route }) => route.definition.form)),
    jobId,
  ];
}

/**
 * The ordering key of an event at a destination that keeps order; null at others. Events that are about no item are in order with
 * those of their subject, such as a payment; those about nothing share one key.
 */
export function orderingKeyOf(event: EventFacts, { ordering }: ActiveRoute): string | null {
  if (ordering !== "per_item") return null;
  const { itemId, subjectKind, subjectId } = event;
  return itemId ?? (subjectId === null ? "-" : `${subjectKind}:${subjectId}`);
}
