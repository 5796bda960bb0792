/** The shapes of /v1/routes: which events go to which destination, and in what form. */
import { z } from "zod";
import { askedDestination, destinationId } from "../destinations/shapes.ts";
import { eventId } from "../events/shapes.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { asked, askedIntegration, askedItem, askedUser, page, timestamp, told } from "../../http/shapes.ts";

export const routeId = told(z.string(), "Id of a route, `rte_…`.");

const any = <T extends z.ZodType>(of: T, description: string) =>
  told(z.array(of).min(1).max(1000), description).exactOptional();

const filter = told(
  z.strictObject({
    types: any(
      asked(100, "An event type."),
      "Event types; `item.*` for a family, `*` for all but those about deliveries and destinations, which it is when absent.",
    ),
    integration_ids: any(askedIntegration, "Integrations."),
    environments: any(asked(20, "Plaid's environment."), "Plaid's environments."),
    item_ids: any(askedItem, "Plaid's ids of Items."),
    user_ids: any(askedUser, "Your own identifiers of users."),
    webhook_types: any(asked(100, "A webhook_type."), "Plaid's webhook_type, of webhook.received alone."),
    webhook_codes: any(asked(100, "A webhook_code."), "Plaid's webhook_code, of webhook.received alone."),
    sources: any(
      asked(20, "PLAID, BACKEND, FROM_LISTENER or RECONCILER."),
      "Who sent it, of webhook.received alone: PLAID, BACKEND, FROM_LISTENER or RECONCILER.",
    ),
    history: told(
      z.boolean(),
      "Take what a first reading found too, which is no news; false when absent.",
    ).exactOptional(),
  }),
  "Each list that is given must hold the event's value; one that is absent takes all.",
);

const match = told(
  z.record(z.string(), z.unknown()).nullable(),
  "A matcher on the webhook's body, or on the event's data: dotted paths with `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, " +
    "`$in`, `$nin`, `$exists`, `$startsWith`, `$endsWith`, `$contains`, `$and`, `$or`, `$not`. Null takes all.",
);
const form = told(
  z.enum(["original", "webhook", "event", "transform"]),
  "`event` when absent, or `transform` where there is one. `original`: the webhook's own bytes, with Plaid's own " +
    "Plaid-Verification header; `webhook`: the webhook within its event; " +
    "`event`: the event; `transform`: what the transform makes of it.",
);
const transform = told(
  asked(10_000, "A JSONata expression.").nullable(),
  "A JSONata expression over the event, with form `transform` alone; its result is the body.",
);

const definition = {
  filter: filter.exactOptional(),
  match: match.exactOptional(),
  form: form.exactOptional(),
  transform: transform.exactOptional(),
};

const name = told(z.string().max(200), "Yours to choose.");
const enabled = told(z.boolean(), "Whether it takes events; true when absent.");

const RouteFilterShown = z.object(filter.shape);

export const Route = z
  .object({
    id: routeId,
    destination_id: destinationId,
    name,
    enabled: told(z.boolean(), "Whether it takes events."),
    version: told(z.number().int(), "One more at each change; a delivery keeps to the version it was made under."),
    filter: told(RouteFilterShown, filter.description ?? ""),
    match,
    form,
    transform: told(z.string().nullable(), transform.description ?? ""),
    created_at: timestamp("When it was created."),
    updated_at: timestamp("When it last changed."),
  })
  .meta({ id: "Route", description: "Which events a destination is sent.", examples: [RELAY_EXAMPLES.route] });

export const NewRoute = z
  .strictObject({
    destination_id: askedDestination,
    name: name.exactOptional(),
    enabled: enabled.exactOptional(),
    ...definition,
  })
  .meta({ examples: [RELAY_EXAMPLES.newRoute] });

export const RoutePatch = z
  .strictObject({ name: name.exactOptional(), enabled: enabled.exactOptional(), ...definition })
  .meta({ examples: [RELAY_EXAMPLES.routePatch] });

export const RouteDeleted = z
  .object({ id: routeId, deleted: z.literal(true) })
  .meta({ description: "What was done.", examples: [RELAY_EXAMPLES.routeDeleted] });

const NO_INSTANT = "must be a time such as 2026-11-20T17:03:29Z";

/** An instant in a request. */
export const instant = (description: string) =>
  z.iso
    .datetime({ offset: true, error: ({ input }) => (input === undefined ? undefined : NO_INSTANT) })
    .meta({ description });

export const PreviewRequest = z
  .strictObject({
    definition: told(z.strictObject(definition), "What the route would say."),
    since: instant("Look at events from then on; the last 24 hours when absent.").exactOptional(),
    until: instant("And up to then; now when absent.").exactOptional(),
    limit: told(z.number().int().min(1).max(5000).default(1000), "Look at no more events than these, the newest."),
  })
  .meta({ examples: [RELAY_EXAMPLES.previewRequest] });

export const Preview = z
  .object({
    examined: told(z.number().int(), "Events that were looked at."),
    matched: told(z.number().int(), "Those that it would take."),
    failed: told(z.number().int(), "Those of them whose transform fails."),
    truncated: told(z.boolean(), "Whether there were more events than it may look at."),
    samples: told(
      z.array(
        z.object({
          event_id: eventId,
          type: told(z.string(), "What happened."),
          occurred_at: timestamp("When."),
          body: told(z.string().nullable(), "The first 4 kB of what would be sent."),
          error: told(z.string().nullable(), "Why its transform fails."),
        }),
      ),
      "Up to five of those that match.",
    ),
  })
  .meta({ description: "What the route would have done.", examples: [RELAY_EXAMPLES.preview] });

export const RouteParams = z.object({ id: asked(100, "Id of a route, `rte_…`.") });
export const RoutesQuery = z.strictObject({ destination_id: askedDestination.exactOptional(), ...page });
