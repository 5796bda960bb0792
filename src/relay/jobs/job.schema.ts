/** What a job may be asked for, from the API and the CLI, and filters of routes in the form that the statements of jobs read. */
import { z } from "zod";
import { EVENT_TYPES } from "../../events/event-types.ts";
import { fromDeliveryId, fromEventId } from "../../model/ids.ts";
import {
  anyText,
  instant,
  namedDelivery,
  namedDestination,
  namedIntegration,
  namedItem,
  namedRoute,
  text,
  described,
} from "../../model/schema.ts";
import { validate, type ValidationErrors } from "../../model/validation.ts";
import { matchesType } from "../routing/filter.ts";
import type { ActiveRoute, RouteFilter } from "../model/types.ts";

const NAMED_MAX = 10_000;

const request = {
  reason: anyText(1000, "Why; shown with the job.").default(""),
  dry_run: described(z.boolean().default(false), "Only say how many it would be about."),
};

const deliveryName = namedDelivery.refine(
  (id) => fromDeliveryId(id) !== null,
  "must be the id of a delivery: dlv_ and 32 digits",
);
const eventName = text(100, "Just this event.").refine(
  (id) => fromEventId(id) !== null,
  "must be the id of an event: evt_ and 32 digits",
);
const typePattern = text(100, "An event type.").refine(
  (pattern) => typesOf([pattern]).length > 0,
  "must be a type of events, such as item.error, or a family of them, such as item.*",
);

export const RedriveRequest = z.strictObject({
  destination_id: namedDestination.optional(),
  cause: text(100, "Why they gave up.").optional(),
  item_id: namedItem.optional(),
  delivery_ids: described(
    z.array(described(deliveryName, "Id of a delivery, `dlv_…`.")).min(1).max(NAMED_MAX),
    "Just these.",
  ).optional(),
  state: described(
    z.enum(["dead", "failed"]),
    "`dead`, the default: those that gave up. `failed`: also those that failed and wait for their next attempt.",
  ).optional(),
  from: instant("Those that last failed from then on.").optional(),
  to: instant("Those that last failed before then.").optional(),
  ...request,
});

export const ReplayRequest = z.strictObject({
  destination_id: namedDestination,
  event_id: described(eventName, "Just this event.").optional(),
  item_id: namedItem.optional(),
  integration_id: namedIntegration.optional(),
  types: described(z.array(described(typePattern, "An event type.")).min(1).max(100), "Event types.").optional(),
  from: instant("Events from then on.").optional(),
  to: instant("Events before then.").optional(),
  ...request,
});

export const RoutePastRequest = z.strictObject({
  route_id: namedRoute,
  from: instant("Events from then on."),
  to: instant("Events before then; until now when absent.").optional(),
  ...request,
});

/** Callers inside Tartan may pass dates. */
type Given<T> = { [K in keyof T]: K extends "from" | "to" ? T[K] | Date : T[K] };
export type RedriveRequest = Given<z.input<typeof RedriveRequest>>;
export type ReplayRequest = Given<z.input<typeof ReplayRequest>>;
export type RoutePastRequest = Given<z.input<typeof RoutePastRequest>>;

interface Range {
  from: Date | null;
  to: Date | null;
}

interface Checked extends Range {
  /** the request as it is kept with the job */
  asked: Record<string, unknown>;
}

/** @returns also the UUIDs of the deliveries that are named. @throws TartanError `invalid_request` */
export function checkRedrive(given: RedriveRequest): Checked & { deliveries: string[] | null } {
  const { checked, errors } = checkRequest(RedriveRequest, given);
  errors.throwIfAny("redrive");
  const uuids = given.delivery_ids?.map(fromDeliveryId).filter((uuid) => uuid !== null);
  return { ...checked, deliveries: uuids ?? null };
}

const CHOICES = ["event_id", "item_id", "integration_id", "types", "from", "to"] as const;

interface CheckedReplay extends Checked {
  /** whole types */
  types: string[] | null;
  /** UUID */
  event: string | null;
}

/** @throws TartanError `invalid_request` */
export function checkReplay(given: ReplayRequest): CheckedReplay {
  const { checked, errors } = checkRequest(ReplayRequest, given);
  if (CHOICES.every((name) => given[name] === undefined))
    errors.add("from", "must say what to replay, or else event_id, item_id, integration_id, types or to");
  errors.throwIfAny("replay");
  const { event_id: event, types } = given;
  return {
    ...checked,
    types: types === undefined ? null : typesOf(types),
    event: event === undefined ? null : fromEventId(event),
  };
}

/** @throws TartanError `invalid_request` */
export function checkRoutePast(given: RoutePastRequest): Checked {
  const { checked, errors } = checkRequest(RoutePastRequest, given);
  errors.throwIfAny("request");
  return checked;
}

function checkRequest(schema: z.ZodType, given: object): { checked: Checked; errors: ValidationErrors } {
  const asText = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, textOf(value)]));
  const { errors } = validate(schema, asText);
  const range = rangeOf(errors, asText);
  const { reason: _reason, dry_run: _dryRun, ...asked } = asText;
  const kept = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  return { checked: { asked: kept, ...range }, errors };
}

const textOf = (value: unknown): unknown =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : value;

function rangeOf(errors: ValidationErrors, { from, to }: Record<string, unknown>): Range {
  const read = (name: string, given: unknown): Date | null => {
    if (typeof given !== "string") return null;
    const date = new Date(given);
    // Ids hold milliseconds since 1970 in 48 bits.
    if (date.getTime() >= 0 && date.getTime() < 2 ** 48) return date;
    errors.add(name, "must be a time such as 2026-11-20T17:03:29Z");
    return null;
  };
  const range = { from: read("from", from), to: read("to", to) };
  if (range.from && range.to && range.from >= range.to) errors.add("to", "must be later than from");
  return range;
}

function typesOf(patterns: readonly string[]): string[] {
  return Object.keys(EVENT_TYPES).filter((type) => patterns.some((pattern) => matchesType(pattern, type)));
}

/** A route's filter for the statements of jobs: families of types are replaced by their types. */
export function ruleOf({ definition: { filter } }: ActiveRoute): RouteFilter {
  return { ...filter, types: typesOf(filter.types ?? ["*"]), history: filter.history ?? false };
}
