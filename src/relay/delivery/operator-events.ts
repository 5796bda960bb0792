/**
 * What operators are told of deliveries and destinations: events like any other, which can be routed like any other. They
 * are recorded in the transaction that records what they tell.
 */
import { type NewEvent } from "../../events/events.ts";
import { toDeliveryId, toEventId } from "../../model/ids.ts";
import type { Fetched } from "./prefetcher.ts";
import type { HealthEvent, Health } from "./circuit-breaker.ts";
import type { Exchange, OpenDestination } from "../model/types.ts";
import type { Verdict } from "./classification.ts";

/** A delivery that failed so often is told; one that then arrives is told too. */
const FAILING_FROM = 4;

const nobodys = { integrationId: null, itemId: null, userId: null, environment: null } as const;

/** What is told of a delivery after an attempt, or after it could not be packed. */
export function aboutDelivery(
  delivery: Fetched,
  destinationId: string,
  exchange: Exchange | null,
  { kind, cause }: Verdict,
): NewEvent[] {
  const tries = delivery.tries + 1;
  const type = typeOf(kind, tries);
  if (type === null) return [];
  const data = {
    delivery_id: toDeliveryId(delivery.id),
    destination_id: destinationId,
    event_id: toEventId(delivery.eventId),
    event_type: delivery.eventType,
    attempts: delivery.attempts + (exchange === null ? 0 : 1),
    cause,
    last_status: exchange?.status ?? null,
  };
  const { integrationId, itemId, userId, environment } = delivery;
  return [{ type, integrationId, itemId, userId, environment, data }];
}

function typeOf(kind: Verdict["kind"], tries: number): string | null {
  if (kind === "dead") return "delivery.exhausted";
  if (kind === "delivered") return tries > FAILING_FROM ? "delivery.recovered" : null;
  return tries === FAILING_FROM ? "delivery.failing" : null;
}

/** What is told of a destination after an attempt there. */
export function aboutDestination(
  destinationId: string,
  before: Health,
  after: Health,
  happened: readonly HealthEvent[],
  disable: string | null,
  { disableAfterS }: OpenDestination,
): NewEvent[] {
  const told = happened.map((event): NewEvent => {
    if (event === "opened") {
      const { failures, openings, hold_until, last_error } = after;
      return tell("destination.opened", { destination_id: destinationId, failures, openings, hold_until, last_error });
    }
    if (event === "recovered") {
      return tell("destination.recovered", { destination_id: destinationId, failing_since: before.failing_since });
    }
    if (event === "disabled") return tell("destination.disabled", { destination_id: destinationId, reason: "failing" });
    const { failing_since, failing_ms, last_failure_at } = after;
    const disables_at = last_failure_at && new Date(last_failure_at.getTime() + disableAfterS * 1000 - failing_ms);
    return tell("destination.failing", {
      destination_id: destinationId,
      percent: event.failing,
      failing_since,
      disables_at,
    });
  });
  if (disable !== null) told.push(tell("destination.disabled", { destination_id: destinationId, reason: disable }));
  return told;
}

const tell = (type: string, data: Record<string, unknown>): NewEvent => ({ ...nobodys, type, data });
