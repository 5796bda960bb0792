/**
 * The events by which operators learn of failing deliveries and destinations. They are routed like other events, and recorded in
 * the same transaction as the change that caused them.
 */
import type { NewEvent } from "../../events/events.ts";
import { toDeliveryId, toEventId } from "../../model/ids.ts";
import type { Exchange, LoadedDestination } from "../model/types.ts";
import type { Health, HealthEvent } from "./circuit-breaker.ts";
import type { Classification } from "./classification.ts";
import type { PrefetchedDelivery } from "./prefetcher.ts";

/** A delivery that fails this often causes delivery.failing, and delivery.recovered when it is delivered afterwards. */
const FAILING_FROM = 4;

const NO_ITEM = { integrationId: null, itemId: null, userId: null, environment: null } as const;

/** The events of a delivery after an attempt, or after no request could be built for it. */
export function deliveryEvents(
  delivery: PrefetchedDelivery,
  destinationId: string,
  exchange: Exchange | null,
  { outcome, cause }: Classification,
): NewEvent[] {
  const tries = delivery.tries + 1;
  const type = typeOf(outcome, tries);
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

function typeOf(outcome: Classification["outcome"], tries: number): string | null {
  if (outcome === "dead") return "delivery.exhausted";
  if (outcome === "delivered") return tries > FAILING_FROM ? "delivery.recovered" : null;
  return tries === FAILING_FROM ? "delivery.failing" : null;
}

/** The events of a destination after an attempt there. */
export function destinationEvents(
  destinationId: string,
  before: Health,
  after: Health,
  changes: readonly HealthEvent[],
  disable: string | null,
  { disableAfterS }: LoadedDestination,
): NewEvent[] {
  const events = changes.map((change): NewEvent => {
    if (change === "opened") {
      const { failures, openings, hold_until, last_error } = after;
      return event("destination.opened", { destination_id: destinationId, failures, openings, hold_until, last_error });
    }
    if (change === "recovered") {
      return event("destination.recovered", { destination_id: destinationId, failing_since: before.failing_since });
    }
    if (change === "disabled") {
      return event("destination.disabled", { destination_id: destinationId, reason: "failing" });
    }
    const { failing_since, failing_ms, last_failure_at } = after;
    const disables_at = last_failure_at && new Date(last_failure_at.getTime() + disableAfterS * 1000 - failing_ms);
    return event("destination.failing", {
      destination_id: destinationId,
      percent: change.failing,
      failing_since,
      disables_at,
    });
  });
  if (disable !== null) {
    events.push(event("destination.disabled", { destination_id: destinationId, reason: disable }));
  }
  return events;
}

const event = (type: string, data: Record<string, unknown>): NewEvent => ({ ...NO_ITEM, type, data });
