/**
 * Validates routes and fills in their defaults. All errors are thrown together, by field.
 */
import { EVENT_TYPES } from "../../events/event-types.ts";
import { didYouMean } from "../../suggest.ts";
import { WEBHOOK_RECEIVED } from "../content/body.ts";
import { ValidationErrors, addUnknownFields, oneOfError, textError } from "../model/validation-errors.ts";
import { matcherErrors } from "./matcher.ts";
import { expressionError } from "../content/transform-rules.ts";
import { FORMS, type Form, type RouteDefinition, type RouteFilter } from "../model/types.ts";

/** Which events a route takes, and in which form it sends them. Defaults: all events, form `event`. */
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
const any: ValueRule = (value) => (value === "" ? "must not hold an empty text" : textError(value, VALUE_MAX));

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
  sources: (value) => oneOfError(value, SOURCES),
};

/**
 * The definition in full.
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export function checkRoute(given: RouteChange | NewRoute): RouteDefinition {
  const errors = new ValidationErrors();
  const { destination_id: _destination, name, enabled, ...definition } = given as NewRoute;
  if (name !== undefined) errors.add("name", textError(name, VALUE_MAX));
  if (enabled !== undefined && typeof enabled !== "boolean") errors.add("enabled", "must be true or false");
  return complete(definition, errors);
}

/** @throws TartanError `invalid_request` naming each field that has an error */
export const checkDefinition = (given: NewRouteDefinition): RouteDefinition => complete(given, new ValidationErrors());

function complete(given: NewRouteDefinition, errors: ValidationErrors): RouteDefinition {
  addUnknownFields(errors, given, ["filter", "match", "form", "transform"]);
  const { filter = {}, match = null, transform = null, form = transform === null ? "event" : "transform" } = given;
  errors.add("form", oneOfError(form, FORMS));
  checkFilter(errors, filter);
  if (match !== null) for (const [field, error] of Object.entries(matcherErrors(match))) errors.add(field, error);
  checkTransform(errors, form, transform);
  if (form === "original") checkOriginal(errors, filter);
  errors.throwIfAny("route");
  return { filter: filterOf(filter, form), match, form, transform };
}

function checkFilter(errors: ValidationErrors, filter: RouteFilter): void {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter))
    return errors.add("filter", "must be an object");
  for (const [name, asked] of Object.entries(filter) as [keyof RouteFilter, unknown][]) {
    if (asked === undefined) continue;
    const field = `filter.${name}`;
    if (name === "history") errors.add(field, typeof asked === "boolean" ? null : "must be true or false");
    else if (Object.hasOwn(LISTS, name)) errors.add(field, listError(asked, LISTS[name]));
    else errors.add(field, "is not a field there is");
  }
}

function listError(asked: unknown, rule: ValueRule): string | null {
  const isList = Array.isArray(asked) && asked.length > 0 && asked.length <= LIST_MAX;
  if (!isList || !asked.every((value) => typeof value === "string")) {
    return `must be a list of 1 to ${LIST_MAX} texts; left out, it takes all`;
  }
  for (const value of asked) {
    const error = rule(value);
    if (error !== null) return error;
  }
  return null;
}

function checkTransform(errors: ValidationErrors, form: Form, transform: unknown): void {
  if (form === "transform" && transform === null) errors.add("transform", "must be given with the form transform");
  else if (form !== "transform" && transform !== null) errors.add("transform", "is for the form transform alone");
  else if (transform !== null) errors.add("transform", expressionError(transform));
}

/** A receiver of Plaid's own webhooks knows no other bodies, and checks Plaid's signature. */
function checkOriginal(errors: ValidationErrors, { types = [] }: RouteFilter): void {
  const fine = !Array.isArray(types) || types.every((type) => type === WEBHOOK_RECEIVED);
  if (!fine)
    errors.add(
      "filter.types",
      `must be ${WEBHOOK_RECEIVED} with the form original: no other event has Plaid's own bytes`,
    );
}

/** The filter with its defaults and without undefined lists. */
function filterOf(filter: RouteFilter, form: Form): RouteFilter {
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  const defaults = form === "original" ? { types: [WEBHOOK_RECEIVED], sources: ["PLAID"] } : { types: ["*"] };
  return { ...defaults, ...given };
}
