/** What a route may say, from the API and the CLI, and its defaults. All errors are thrown together, by field. */
import { z } from "zod";
import { EVENT_TYPES } from "../../events/event-types.ts";
import {
  anyText,
  instant,
  namedDestination,
  namedIntegration,
  namedItem,
  namedUser,
  text,
  described,
  wholeNumber,
} from "../../model/schema.ts";
import { validate, type ValidationErrors } from "../../model/validation.ts";
import { SOURCES } from "../../model/webhook.ts";
import { didYouMean } from "../../suggest.ts";
import { WEBHOOK_RECEIVED } from "../content/body.ts";
import { Expression, expressionError } from "../content/transform-rules.ts";
import { FORMS, type RouteDefinition, type RouteFilter } from "../model/types.ts";
import { matcherErrors } from "./matcher.ts";

const LIST_MAX = 1000;

const TYPES = Object.keys(EVENT_TYPES);
const FAMILIES = [...new Set(TYPES.map((type) => `${type.split(".")[0]}.*`))];
const PATTERNS = new Set(["*", ...FAMILIES, ...TYPES]);

/** A type of events, a family of them, or all. */
const typePattern = z
  .string()
  .min(1)
  .max(100)
  .superRefine((value, context) => {
    if (PATTERNS.has(value)) return;
    const message =
      "must be a type of events (GET /v1/event-types lists them), a family such as item.*, or *" +
      didYouMean(value, [...TYPES, ...FAMILIES]);
    context.addIssue({ code: "custom", message });
  });

const any = <T extends z.ZodType>(of: T, description: string) =>
  described(z.array(of).min(1).max(LIST_MAX), description).optional();

const TYPES_SAID =
  "Event types; `item.*` for a family, `*` for all but those about deliveries and destinations, which it is when absent.";

const filter = described(
  z.strictObject({
    types: any(described(typePattern, "An event type."), TYPES_SAID),
    integration_ids: any(namedIntegration, "Integrations."),
    environments: any(text(20, "Plaid's environment."), "Plaid's environments."),
    item_ids: any(namedItem, "Plaid's ids of Items."),
    user_ids: any(namedUser, "Your own identifiers of users."),
    webhook_types: any(text(100, "A webhook_type."), "Plaid's webhook_type, of webhook.received alone."),
    webhook_codes: any(text(100, "A webhook_code."), "Plaid's webhook_code, of webhook.received alone."),
    sources: any(
      described(z.enum(SOURCES), `${SOURCES.slice(0, -1).join(", ")} or ${SOURCES.at(-1)}.`),
      "Who sent it, of webhook.received alone: PLAID, BACKEND, FROM_LISTENER or RECONCILER.",
    ),
    history: described(
      z.boolean(),
      "Take what a first reading found too, which is no news; false when absent.",
    ).optional(),
  }),
  "Each list that is given must hold the event's value; one that is absent takes all.",
);

export const routeMatch = described(
  z.record(z.string(), z.unknown()).nullable(),
  "A matcher on the webhook's body, or on the event's data: dotted paths with `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, " +
    "`$in`, `$nin`, `$exists`, `$startsWith`, `$endsWith`, `$contains`, `$and`, `$or`, `$not`. Null takes all.",
);
export const routeForm = described(
  z.enum(FORMS),
  "`event` when absent, or `transform` where there is one. `original`: the webhook's own bytes, with Plaid's own " +
    "Plaid-Verification header; `webhook`: the webhook within its event; " +
    "`event`: the event; `transform`: what the transform makes of it.",
);
export const routeTransform = described(
  Expression.nullable(),
  "A JSONata expression over the event, with form `transform` alone; its result is the body.",
);
export const routeName = anyText(200, "Yours to choose.");
/** The filter of a route that is stored: it may name a type that an earlier release had. */
export const storedFilter = described(
  z.object({ ...filter.shape, types: any(text(100, "An event type."), TYPES_SAID) }),
  filter.description ?? "",
);

/** The lists of a filter are only read. */
type WithFilter<T> = Omit<T, "filter"> & { filter?: RouteFilter | undefined };

/** Which events a route takes, and in which form it sends them. Defaults: all events, form `event`. */
export const NewRouteDefinition = z.strictObject({
  filter: filter.optional(),
  match: routeMatch.optional(),
  form: routeForm.optional(),
  transform: routeTransform.optional(),
});
export type NewRouteDefinition = WithFilter<z.input<typeof NewRouteDefinition>>;

export const RouteChange = z.strictObject({
  name: routeName.optional(),
  enabled: described(z.boolean(), "Whether it takes events; true when absent.").optional(),
  ...NewRouteDefinition.shape,
});
export type RouteChange = WithFilter<z.input<typeof RouteChange>>;

export const NewRoute = z.strictObject({ destination_id: namedDestination, ...RouteChange.shape });
export type NewRoute = WithFilter<z.input<typeof NewRoute>>;

/** The most events that a preview examines. */
export const PREVIEW_MAX = 5000;

export const PreviewRequest = z.strictObject({
  definition: described(NewRouteDefinition, "What the route would say."),
  since: instant("Look at events from then on; the last 24 hours when absent.").optional(),
  until: instant("And up to then; now when absent.").optional(),
  limit: wholeNumber(1, PREVIEW_MAX, "Look at no more events than these, the newest.").default(1000),
});

/**
 * The definition of a new route, in full.
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export const checkRoute = (given: NewRoute): RouteDefinition => complete(NewRoute, given);

/** The same of a route that is changed. */
export const checkRouteChange = (given: RouteChange): RouteDefinition => complete(RouteChange, given);

/** The same of a definition alone. */
export const checkDefinition = (given: NewRouteDefinition): RouteDefinition => complete(NewRouteDefinition, given);

function complete(schema: z.ZodType, given: NewRouteDefinition): RouteDefinition {
  const { errors } = validate(schema, given);
  const { filter: wanted = {}, match = null, transform = null } = given;
  const { form = transform === null ? "event" : "transform" } = given;
  if (isObject(match)) for (const [field, error] of Object.entries(matcherErrors(match))) errors.add(field, error);
  checkTransform(errors, form, transform);
  if (form === "original") checkOriginal(errors, wanted);
  errors.throwIfAny("route");
  return { filter: filterOf(wanted, form), match, form, transform };
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function checkTransform(errors: ValidationErrors, form: string, transform: string | null): void {
  if (form === "transform" && transform === null) errors.add("transform", "must be given with the form transform");
  else if (form !== "transform" && transform !== null) errors.add("transform", "is for the form transform alone");
  else if (transform !== null) errors.add("transform", expressionError(transform));
}

/** A receiver of Plaid's own webhooks knows no other bodies, and checks Plaid's signature. */
function checkOriginal(errors: ValidationErrors, wanted: unknown): void {
  const types: unknown = isObject(wanted) ? (wanted as { types?: unknown }).types : undefined;
  const fine = !Array.isArray(types) || types.every((type) => type === WEBHOOK_RECEIVED);
  if (!fine)
    errors.add(
      "filter.types",
      `must be ${WEBHOOK_RECEIVED} with the form original: no other event has Plaid's own bytes`,
    );
}

/** The filter with its defaults and without undefined lists. */
function filterOf(wanted: object, form: string): RouteFilter {
  const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  const defaults = form === "original" ? { types: [WEBHOOK_RECEIVED], sources: ["PLAID"] } : { types: ["*"] };
  return { ...defaults, ...given };
}
