/** What may be asked of a job, and the rules of routes in the form in which Postgres can tell what they take. */
import { EVENT_TYPES } from "../../events/event-types.ts";
import { fromDeliveryId, fromEventId } from "../../model/ids.ts";
import { Faults, noteUnknown, textFault } from "../model/validation-errors.ts";
import { matchesType } from "../routing/filter.ts";
import type { ActiveRoute, RouteFilter } from "../model/types.ts";

interface Wish {
  /** kept with the job */
  reason?: string | undefined;
  /** only count */
  dry_run?: boolean | undefined;
}

export interface RedriveWish extends Wish {
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

export interface ReplayWish extends Wish {
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

export interface RoutePastWish extends Wish {
  route_id: string;
  from: Date | string;
  to?: Date | string | undefined;
}

const REASON_MAX = 1000;
const NAMED_MAX = 10_000;

/** @throws TartanError `invalid_request` */
export function checkRedrive(wish: RedriveWish): {
  asked: Record<string, unknown>;
  deliveries: string[] | null;
  from: Date | null;
  to: Date | null;
} {
  const faults = new Faults();
  noteUnknown(faults, wish, [
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
  noteTexts(faults, wish, ["destination_id", "cause", "item_id"]);
  if (![undefined, "dead", "failed"].includes(wish.state)) faults.note("state", "must be dead or failed");
  const range = rangeOf(faults, wish);
  const uuids = wish.delivery_ids?.map(fromDeliveryId);
  if (uuids?.includes(null)) faults.note("delivery_ids", "must be ids of deliveries: dlv_ and 32 digits");
  if (uuids && uuids.length > NAMED_MAX) faults.note("delivery_ids", `must be at most ${NAMED_MAX}`);
  faults.refuse("redrive");
  return { asked: askedOf(wish), deliveries: uuids?.filter((uuid) => uuid !== null) ?? null, ...range };
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
export function checkReplay(wish: ReplayWish): CheckedReplay {
  const faults = new Faults();
  noteUnknown(faults, wish, ["destination_id", ...CHOICES, "reason", "dry_run"]);
  noteTexts(faults, wish, ["destination_id", "item_id", "integration_id"]);
  if (CHOICES.every((name) => wish[name] === undefined)) {
    faults.note("from", "must say what to replay, or else event_id, item_id, integration_id, types or to");
  }
  const event = wish.event_id === undefined ? null : fromEventId(wish.event_id);
  if (wish.event_id !== undefined && event === null) {
    faults.note("event_id", "must be the id of an event: evt_ and 32 digits");
  }
  const types = wish.types === undefined ? null : typesOf(wish.types);
  if (wish.types?.some((pattern) => typesOf([pattern]).length === 0)) {
    faults.note("types", "must be types of events, such as item.error, or families of them, such as item.*");
  }
  const range = rangeOf(faults, wish);
  faults.refuse("replay");
  return { asked: askedOf(wish), types, event, ...range };
}

/** @throws TartanError `invalid_request` */
export function checkRoutePast(wish: RoutePastWish): {
  asked: Record<string, unknown>;
  from: Date | null;
  to: Date | null;
} {
  const faults = new Faults();
  noteUnknown(faults, wish, ["route_id", "from", "to", "reason", "dry_run"]);
  noteTexts(faults, wish, ["route_id"]);
  const range = rangeOf(faults, wish);
  if (wish.from === undefined) faults.note("from", "is missing: it says how far to go back");
  faults.refuse("request");
  return { asked: askedOf(wish), ...range };
}

function noteTexts<T extends Wish>(faults: Faults, wish: T, names: readonly (keyof T & string)[]): void {
  for (const name of names) if (wish[name] !== undefined) faults.note(name, textFault(wish[name], 200));
  if (wish.reason !== undefined) faults.note("reason", textFault(wish.reason, REASON_MAX));
}

type Instant = Date | string | undefined;

function rangeOf(
  faults: Faults,
  { from, to }: { from?: Instant; to?: Instant },
): { from: Date | null; to: Date | null } {
  const read = (name: string, given: Instant): Date | null => {
    if (given === undefined) return null;
    const date = new Date(given);
    // Ids hold milliseconds since 1970 in 48 bits.
    if (date.getTime() >= 0 && date.getTime() < 2 ** 48) return date;
    faults.note(name, "must be a time such as 2026-11-20T17:03:29Z");
    return null;
  };
  const range = { from: read("from", from), to: read("to", to) };
  if (range.from && range.to && range.from >= range.to) faults.note("to", "must be later than from");
  return range;
}

const typesOf = (patterns: readonly string[]): string[] =>
  Object.keys(EVENT_TYPES).filter((type) => patterns.some((pattern) => matchesType(pattern, type)));

/** The request as it is kept with the job. */
function askedOf({ reason: _reason, dry_run: _dryRun, ...asked }: Wish): Record<string, unknown> {
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** A route's filter as the statements of jobs take it: its types are whole ones. */
export function ruleOf({ definition: { filter } }: ActiveRoute): RouteFilter {
  return { ...filter, types: typesOf(filter.types ?? ["*"]), history: filter.history ?? false };
}
