/**
 * What a route must say, and what it says where nothing is said. Every fault is told at once, by field.
 */
import { EVENT_TYPES } from "../../events/event-types.ts";
import { didYouMean } from "../../suggest.ts";
import { WEBHOOK_RECEIVED } from "../content/body.ts";
import { Faults, noteUnknown, oneOfFault, textFault } from "../model/validation-errors.ts";
import { matcherFaults } from "./matcher.ts";
import { expressionFault } from "../content/transform-rules.ts";
import { FORMS, type Form, type RouteDefinition, type RouteFilter } from "../model/types.ts";

/** Which events are taken, and what is made of them; what is absent takes all, and sends the event. */
export interface NewRouteDefinition {
  filter?: RouteFilter | undefined;
  match?: Record<string, unknown> | null | undefined;
  form?: Form | undefined;
  transform?: string | null | undefined;
}

export interface NewRoute extends NewRouteDefinition {
  destination_id: string;
  name?: string | undefined;
  enabled?: boolean | undefined;
}

export type RouteChange = Omit<Partial<NewRoute>, "destination_id">;

const LIST_MAX = 1000;
const VALUE_MAX = 200;

const FAMILIES = new Set(Object.keys(EVENT_TYPES).map((type) => `${type.split(".")[0]}.*`));
const SOURCES = ["PLAID", "BACKEND", "FROM_LISTENER", "RECONCILER"];

type ValueRule = (value: string) => string | null;
const any: ValueRule = (value) => (value === "" ? "must not hold an empty text" : textFault(value, VALUE_MAX));

const unknownType = (value: string): string =>
  "must hold types of events (GET /v1/event-types lists them), families such as item.*, or *" +
  didYouMean(value, [...Object.keys(EVENT_TYPES), ...FAMILIES]);

const LISTS: Record<Exclude<keyof RouteFilter, "history">, ValueRule> = {
  types: (value) =>
    value === "*" || FAMILIES.has(value) || Object.hasOwn(EVENT_TYPES, value) ? null : unknownType(value),
  integration_ids: any,
  environments: any,
  item_ids: any,
  user_ids: any,
  webhook_types: any,
  webhook_codes: any,
  sources: (value) => oneOfFault(value, SOURCES),
};

/**
 * The definition in full.
 * @throws TartanError `invalid_request` naming each field at fault
 */
export function checkRoute(given: RouteChange | NewRoute): RouteDefinition {
  const faults = new Faults();
  const { destination_id: _destination, name, enabled, ...definition } = given as NewRoute;
  if (name !== undefined) faults.note("name", textFault(name, VALUE_MAX));
  if (enabled !== undefined && typeof enabled !== "boolean") faults.note("enabled", "must be true or false");
  return complete(definition, faults);
}

/** @throws TartanError `invalid_request` naming each field at fault */
export const checkDefinition = (given: NewRouteDefinition): RouteDefinition => complete(given, new Faults());

function complete(given: NewRouteDefinition, faults: Faults): RouteDefinition {
  noteUnknown(faults, given, ["filter", "match", "form", "transform"]);
  const { filter = {}, match = null, transform = null, form = transform === null ? "event" : "transform" } = given;
  faults.note("form", oneOfFault(form, FORMS));
  noteFilter(faults, filter);
  if (match !== null) for (const [field, fault] of Object.entries(matcherFaults(match))) faults.note(field, fault);
  noteTransform(faults, form, transform);
  if (form === "original") noteOriginal(faults, filter);
  faults.refuse("route");
  return { filter: filterOf(filter, form), match, form, transform };
}

function noteFilter(faults: Faults, filter: RouteFilter): void {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter))
    return faults.note("filter", "must be an object");
  for (const [name, asked] of Object.entries(filter) as [keyof RouteFilter, unknown][]) {
    if (asked === undefined) continue;
    const field = `filter.${name}`;
    if (name === "history") faults.note(field, typeof asked === "boolean" ? null : "must be true or false");
    else if (Object.hasOwn(LISTS, name)) faults.note(field, listFault(asked, LISTS[name]));
    else faults.note(field, "is not a field there is");
  }
}

function listFault(asked: unknown, rule: ValueRule): string | null {
  const isList = Array.isArray(asked) && asked.length > 0 && asked.length <= LIST_MAX;
  if (!isList || !asked.every((value) => typeof value === "string")) {
    return `must be a list of 1 to ${LIST_MAX} texts; left out, it takes all`;
  }
  for (const value of asked) {
    const fault = rule(value);
    if (fault !== null) return fault;
  }
  return null;
}

function noteTransform(faults: Faults, form: Form, transform: unknown): void {
  if (form === "transform" && transform === null) faults.note("transform", "must be given with the form transform");
  else if (form !== "transform" && transform !== null) faults.note("transform", "is for the form transform alone");
  else if (transform !== null) faults.note("transform", expressionFault(transform));
}

/** Whoever takes webhooks as Plaid sends them knows no other bodies, and wants Plaid's proof. */
function noteOriginal(faults: Faults, { types = [] }: RouteFilter): void {
  const fine = !Array.isArray(types) || types.every((type) => type === WEBHOOK_RECEIVED);
  if (!fine)
    faults.note(
      "filter.types",
      `must be ${WEBHOOK_RECEIVED} with the form original: no other event has Plaid's own bytes`,
    );
}

/** Without what was left out, so that a definition says what it says. */
function filterOf(filter: RouteFilter, form: Form): RouteFilter {
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  const defaults = form === "original" ? { types: [WEBHOOK_RECEIVED], sources: ["PLAID"] } : { types: ["*"] };
  return { ...defaults, ...given };
}
