/** What is recorded of a delivery after an attempt, or after it could not be packed. */
import { isOperatorEvent } from "../../events/event-types.ts";
import type { Exchange, OpenDestination } from "../model/types.ts";
import type { Fetched } from "./prefetcher.ts";
import type { DestinationHealth } from "./destination-health.ts";
import { aboutDelivery } from "./operator-events.ts";
import type { DeliveryResult } from "./recorder.ts";
import type { Verdict } from "./classification.ts";

interface Made {
  delivery: Fetched;
  destination: OpenDestination;
  epoch: number;
  /** null where no attempt was made */
  exchange: Exchange | null;
  verdict: Verdict;
  sha256: Buffer | null;
  health: DestinationHealth;
  /** the database's time, in milliseconds since 1970 */
  now: number;
}

/** Takes the attempt into account in `health`, and says what is to be recorded. */
export function resultOf({
  delivery,
  destination,
  epoch,
  exchange,
  verdict,
  sha256,
  health,
  now,
}: Made): DeliveryResult {
  // An attempt that Tartan cut short says nothing about the destination and does not count as a try.
  const counts = exchange !== null && exchange.cause !== "stopped";
  const judged = counts ? health.judge(verdict, destination) : { events: [], disable: null };
  // What is said of an operator's event would be another one, and so on.
  const quiet = isOperatorEvent(delivery.eventType) || (exchange !== null && !counts);
  const told = quiet ? [] : aboutDelivery(delivery, destination.id, exchange, verdict);
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
    verdict: verdict.kind,
    cause: verdict.cause,
    detail: exchange === null ? verdict.reason : null,
    dueInMs: verdict.dueInMs,
    sha256,
    health: counts ? health.toKeep() : null,
    disable: judged.disable,
    events: [...judged.events, ...told],
  };
}
