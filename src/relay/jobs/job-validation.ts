/** Validates the requests that create jobs, and turns filters of routes into the form that the statements of jobs read. */
import { EVENT_TYPES } from "../../events/event-types.ts";
import { fromDeliveryId, fromEventId } from "../../model/ids.ts";
import { ValidationErrors, addUnknownFields, textError } from "../model/validation-errors.ts";
import { matchesType } from "../routing/filter.ts";
import type { ActiveRoute, RouteFilter } from "../model/types.ts";

interface JobRequest {
  /** kept with the job */
  reason?: string | undefined;
  /** only count */
  dry_run?: boolean | undefined;
}

export interface RedriveRequest extends JobRequest {
  destination_id?: string | undefined;
  cause?: string | undefined;
  item_id?: string | undefined;
  /** `dlv_…`; those of them that are dead letters */
  delivery_ids?: readonly string[] | undefined;
  /** `dead` (the default): dead letters; `failed`: also deliveries that failed and wait for their next attempt */
  state?: "dead" | "failed" | undefined;
  /** last failed from then on; ISO 8601 where it is a text */
  from?: Date | string | undefined;
  /** last failed before then */
  to?: Date | string | undefined;
}

export interface ReplayRequest extends JobRequest {
  destination_id: string;
  /** `evt_…` */
  event_id?: string | undefined;
  item_id?: string | undefined;
  integration_id?: string | undefined;
  /** types, or `item.*` for a family */
  types?: readonly string[] | undefined;
  /** events from then on; ISO 8601 where it is a text */
  from?: Date | string | undefined;
  /** events before then */
  to?: Date | string | undefined;
}

export interface RoutePastRequest extends JobRequest {
  route_id: string;
  from: Date | string;
  to?: Date | string | undefined;
}

const REASON_MAX = 1000;
const NAMED_MAX = 10_000;

/** @throws TartanError `invalid_request` */
export function checkRedrive(request: RedriveRequest): {
  asked: Record<string, unknown>;
  deliveries: string[] | null;
  from: Date | null;
  to: Date | null;
} {
  const errors = new ValidationErrors();
  addUnknownFields(errors, request, [
    "destination_id",
    "cause",
    "item_id",
    "delivery_ids",
    "state",
    "from",
    "to",
    "reason",
    "dry_run",
  ]);
  checkTexts(errors, request, ["destination_id", "cause", "item_id"]);
  if (![undefined, "dead", "failed"].includes(request.state)) errors.add("state", "must be dead or failed");
  const range = rangeOf(errors, request);
  const uuids = request.delivery_ids?.map(fromDeliveryId);
  if (uuids?.includes(null)) errors.add("delivery_ids", "must be ids of deliveries: dlv_ and 32 digits");
  if (uuids && uuids.length > NAMED_MAX) errors.add("delivery_ids", `must be at most ${NAMED_MAX}`);
  errors.throwIfAny("redrive");
  return { asked: askedOf(request), deliveries: uuids?.filter((uuid) => uuid !== null) ?? null, ...range };
}

const CHOICES = ["event_id", "item_id", "integration_id", "types", "from", "to"] as const;

interface CheckedReplay {
  asked: Record<string, unknown>;
  from: Date | null;
  to: Date | null;
  /** whole types */
  types: string[] | null;
  /** UUID */
  event: string | null;
}

/** @throws TartanError `invalid_request` */
export function checkReplay(request: ReplayRequest): CheckedReplay {
  const errors = new ValidationErrors();
  addUnknownFields(errors, request, ["destination_id", ...CHOICES, "reason", "dry_run"]);
  checkTexts(errors, request, ["destination_id", "item_id", "integration_id"]);
  if (CHOICES.every((name) => request[name] === undefined)) {
    errors.add("from", "must say what to replay, or else event_id, item_id, integration_id, types or to");
  }
  const event = request.event_id === undefined ? null : fromEventId(request.event_id);
  if (request.event_id !== undefined && event === null) {
    errors.add("event_id", "must be the id of an event: evt_ and 32 digits");
  }
  const types = request.types === undefined ? null : typesOf(request.types);
  if (request.types?.some((pattern) => typesOf([pattern]).length === 0)) {
    errors.add("types", "must be types of events, such as item.error, or families of them, such as item.*");
  }
  const range = rangeOf(errors, request);
  errors.throwIfAny("replay");
  return { asked: askedOf(request), types, event, ...range };
}

/** @throws TartanError `invalid_request` */
export function checkRoutePast(request: RoutePastRequest): {
  asked: Record<string, unknown>;
  from: Date | null;
  to: Date | null;
} {
  const errors = new ValidationErrors();
  addUnknownFields(errors, request, ["route_id", "from", "to", "reason", "dry_run"]);
  checkTexts(errors, request, ["route_id"]);
  const range = rangeOf(errors, request);
  if (request.from === undefined) errors.add("from", "is missing: it says how far to go back");
  errors.throwIfAny("request");
  return { asked: askedOf(request), ...range };
}

function checkTexts<T extends JobRequest>(
  errors: ValidationErrors,
  request: T,
  names: readonly (keyof T & string)[],
): void {
  for (const name of names) if (request[name] !== undefined) errors.add(name, textError(request[name], 200));
  if (request.reason !== undefined) errors.add("reason", textError(request.reason, REASON_MAX));
}

type Instant = Date | string | undefined;

function rangeOf(
  errors: ValidationErrors,
  { from, to }: { from?: Instant; to?: Instant },
): { from: Date | null; to: Date | null } {
  const read = (name: string, given: Instant): Date | null => {
    if (given === undefined) return null;
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

const typesOf = (patterns: readonly string[]): string[] =>
  Object.keys(EVENT_TYPES).filter((type) => patterns.some((pattern) => matchesType(pattern, type)));

/** The request as it is kept with the job. */
function askedOf({ reason: _reason, dry_run: _dryRun, ...asked }: JobRequest): Record<string, unknown> {
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** A route's filter for the statements of jobs: families of types are replaced by their types. */
export function ruleOf({ definition: { filter } }: ActiveRoute): RouteFilter {
  return { ...filter, types: typesOf(filter.types ?? ["*"]), history: filter.history ?? false };
}
