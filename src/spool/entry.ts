/** An arrival on its way through the spool, and what its sender is answered. */
import { TartanError } from "../errors.ts";
import { newUuid } from "../model/ids.ts";
import type { Arrival, ArrivedWebhook, Intake, Linked } from "../model/intake.ts";
import type { Accepted } from "../model/webhook.ts";
import { tokenOf, type Facts } from "./record.ts";

export interface Entry {
  arrival: Arrival;
  /** performance.now() */
  since: number;
  resolve: (accepted: Accepted | null) => void;
  reject: (error: unknown) => void;
  /** the inner engine has not answered yet */
  atInner?: boolean;
  /** why the file did not take it */
  refused?: unknown;
}

/** The port has one signature for each kind of arrival. */
export const acceptAny = (intake: Intake, arrival: Arrival): Promise<Accepted | null> =>
  intake.accept(arrival as ArrivedWebhook) as Promise<Accepted | null>;

/** With an id and the time of arrival, so that every engine stores it under the same. */
export function identified(arrival: Arrival): Arrival {
  if (arrival.arrival !== "linked_item" || (arrival.id !== undefined && arrival.receivedAt !== undefined))
    return arrival;
  const receivedAt = arrival.receivedAt ?? new Date();
  return { ...arrival, receivedAt, id: arrival.id ?? newUuid(receivedAt) };
}

/** @param now ms; a stale notice carries no time of its own */
export function factsFor(arrival: Arrival, now: number): Facts {
  const receivedAt = "receivedAt" in arrival ? arrival.receivedAt : undefined;
  return {
    id: ("id" in arrival ? arrival.id : undefined) ?? newUuid(now),
    arrivedAt: receivedAt?.getTime() ?? now,
    token: tokenOf(arrival)?.toString("latin1") ?? null,
    isNotice: arrival.arrival === "stale_notice",
  };
}

/** The answer once the arrival is on the disk. */
export function answerTo({ arrival }: Arrival, id: string): Accepted | Linked | null {
  if (arrival === "stale_notice") return null;
  return arrival === "linked_item" ? { id, duplicate: false, created: true } : { id, duplicate: false };
}

/** The inner engine cannot store it now, and may later. */
export const isPassing = (error: unknown): boolean =>
  error instanceof TartanError && (error.code === "database_unavailable" || error.code === "overloaded");

export const stopping = (): TartanError =>
  new TartanError("overloaded", "This process is stopping. Send the webhook again.", { retryAfterSeconds: 5 });
