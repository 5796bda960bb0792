/** The result of a delivery after an attempt, or after no request could be built for it. */
import { isOperatorEvent } from "../../events/event-types.ts";
import type { NewEvent } from "../../events/events.ts";
import type { Exchange, LoadedDestination } from "../model/types.ts";
import type { Health } from "./circuit-breaker.ts";
import type { Classification } from "./classification.ts";
import type { DestinationHealth } from "./destination-health.ts";
import { deliveryEvents } from "./operator-events.ts";
import type { PrefetchedDelivery } from "./prefetcher.ts";

/** What the recorder stores. */
export interface DeliveryResult {
  deliveryId: string;
  destinationId: string;
  epoch: number;
  /** of the attempt; null where none was made, as when a transform failed */
  number: number | null;
  /** tries so far that count towards the schedule */
  tries: number;
  /** of the attempt, by the database's clock */
  startedAt: Date | null;
  exchange: Exchange | null;
  url: string;
  jobId: string | null;
  outcome: Classification["outcome"];
  cause: string | null;
  /** explains the cause, where there is more to say */
  detail: string | null;
  dueInMs: number | null;
  sha256: Buffer | null;
  /** the destination's health after the attempt; null where it need not be stored now */
  health: Health | null;
  disable: string | null;
  events: readonly NewEvent[];
}

interface Finished {
  delivery: PrefetchedDelivery;
  destination: LoadedDestination;
  epoch: number;
  /** null where no attempt was made */
  exchange: Exchange | null;
  classification: Classification;
  sha256: Buffer | null;
  health: DestinationHealth;
  /** the database's time, in milliseconds since 1970 */
  now: number;
}

/** Applies the attempt to `health`, and builds the result to record. */
export function resultOf({
  delivery,
  destination,
  epoch,
  exchange,
  classification,
  sha256,
  health,
  now,
}: Finished): DeliveryResult {
  // An attempt that Tartan cut short says nothing about the destination and does not count as a try.
  const counts = exchange !== null && exchange.cause !== "stopped";
  const change = counts ? health.apply(classification, destination) : { events: [], disable: null };
  // An operator's event about the delivery of an operator's event would lead to another one, without end.
  const quiet = isOperatorEvent(delivery.eventType) || (exchange !== null && !counts);
  const events = quiet ? [] : deliveryEvents(delivery, destination.id, exchange, classification);
  return {
    deliveryId: delivery.id,
    destinationId: destination.id,
    epoch,
    number: exchange === null ? null : delivery.attempts + 1,
    tries: delivery.tries + Number(counts),
    startedAt: exchange && new Date(now - exchange.durationMs),
    exchange,
    url: destination.url,
    jobId: delivery.jobId,
    outcome: classification.outcome,
    cause: classification.cause,
    detail: exchange === null ? classification.reason : null,
    dueInMs: classification.dueInMs,
    sha256,
    health: counts ? health.toKeep() : null,
    disable: change.disable,
    events: [...change.events, ...events],
  };
}
