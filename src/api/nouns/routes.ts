/** /v1/routes: which events go to which destination. A preview tries a rule against past events. */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import { page } from "../../model/listing.ts";
import {
  destinationId,
  eventId,
  namedDestination,
  namedRoute,
  routeId,
  timestamp,
  described,
} from "../../model/schema.ts";
import { previewRoute } from "../../relay/routing/preview.ts";
import {
  NewRoute,
  PreviewRequest,
  RouteChange,
  routeForm,
  routeMatch,
  routeName,
  routeTransform,
  storedFilter,
} from "../../relay/routing/route.schema.ts";
import {
  createRoute,
  deleteRoute,
  getRoute,
  listRoutes,
  updateRoute,
  type RouteState,
} from "../../relay/routing/routes.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { pageOf } from "../http/paging.ts";
import { list } from "../http/shapes.ts";
import { checkedByOwner } from "../http/validation.ts";
import { DESTINATION_ID, EVENT_ID, ROUTE_ID } from "../../model/examples.ts";

/** The same; its lists are not written to, here either. */
const show = (route: RouteState) => ({ ...route, filter: route.filter as z.output<typeof Route>["filter"] });

const DAY_MS = 86_400_000;

export function routeOperations(api: Api, { database, transforms, clock }: ApiDeps): void {
  api.post("/v1/routes", { schema: CREATE }, async ({ body }, reply) =>
    reply.code(201).send(show(await createRoute(database, body))),
  );

  api.get("/v1/routes", { schema: LIST }, async ({ query }) => {
    const routes = await listRoutes(database, query);
    const { data, next_cursor } = pageOf(routes, query, ({ created_at, id }) => [created_at, id]);
    return { data: data.map(show), next_cursor };
  });

  api.get("/v1/routes/:id", { schema: SHOW }, async ({ params: { id } }) => {
    const route = await getRoute(database, id);
    if (!route) throw new TartanError("not_found", `There is no route ${id}; GET /v1/routes lists those there are.`);
    return show(route);
  });

  api.patch("/v1/routes/:id", { schema: CHANGE }, async ({ params: { id }, body }) =>
    show(await updateRoute(database, id, body)),
  );

  api.delete("/v1/routes/:id", { schema: DELETE }, async ({ params: { id } }) => {
    await deleteRoute(database, id);
    return { id, deleted: true as const };
  });

  api.post("/v1/routes/preview", { schema: PREVIEW }, async ({ body }) => {
    const { definition, limit, since, until } = body;
    const range = { since: new Date(since ?? clock.now() - DAY_MS), until: new Date(until ?? clock.now()), limit };
    return await previewRoute(database, transforms, definition, range);
  });
}

export const RouteParams = z.object({ id: namedRoute });

const example = {
  id: ROUTE_ID,
  destination_id: DESTINATION_ID,
  name: "spending",
  enabled: true,
  version: 1,
  filter: { types: ["transactions.changed"], environments: ["production"], history: false },
  match: { "added.amount": { $gt: 50 } },
  form: "event" as const,
  transform: null,
  created_at: "2026-11-02T09:31:00.000Z",
  updated_at: "2026-11-02T09:31:00.000Z",
};
const definition = { filter: example.filter, match: example.match, form: example.form };

const Route = z
  .object({
    id: routeId,
    destination_id: destinationId,
    name: routeName,
    enabled: described(z.boolean(), "Whether it takes events."),
    version: described(
      z.number().int(),
      "Each change increases it; a delivery keeps the version that it was made with.",
    ),
    filter: storedFilter,
    match: routeMatch,
    form: routeForm,
    transform: described(z.string().nullable(), routeTransform.description ?? ""),
    created_at: timestamp("When it was created."),
    updated_at: timestamp("When it last changed."),
  })
  .meta({ id: "Route", description: "Which events a destination is sent.", examples: [example] });

const RouteDeleted = z
  .object({ id: routeId, deleted: z.literal(true) })
  .meta({ description: "What was done.", examples: [{ id: ROUTE_ID, deleted: true }] });

const previewExample = {
  examined: 1290,
  matched: 412,
  failed: 0,
  truncated: false,
  samples: [
    {
      event_id: EVENT_ID,
      type: "transactions.changed",
      occurred_at: "2026-11-20T17:03:29.500Z",
      body: '{"id":"evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10","type":"transactions.changed","version":1,…',
      error: null,
    },
  ],
};

const Preview = z
  .object({
    examined: described(z.number().int(), "Number of events that the preview examined."),
    matched: described(z.number().int(), "Those that it would take."),
    failed: described(z.number().int(), "Those of them whose transform fails."),
    truncated: described(z.boolean(), "Whether there were more events than a preview examines."),
    samples: described(
      z.array(
        z.object({
          event_id: eventId,
          type: described(z.string(), "What happened."),
          occurred_at: timestamp("When."),
          body: described(z.string().nullable(), "The first 4 kB of what would be sent."),
          error: described(z.string().nullable(), "Why its transform fails."),
        }),
      ),
      "Up to five of those that match.",
    ),
  })
  .meta({ description: "What the route would have done.", examples: [previewExample] });

const CREATE = {
  ...about("Routes", {
    operationId: "createRoute",
    summary: "Create a route",
    description:
      "Sends events to a destination from now on. An event goes to every destination with a route that matches it, and to each of " +
      "them once, by the oldest of its routes that takes it. Try it with `POST /v1/routes/preview` first; " +
      "`POST /v1/routes/:id/route-past` sends what it would have taken before.",
  }),
  body: checkedByOwner(
    NewRoute.meta({ examples: [{ destination_id: DESTINATION_ID, name: example.name, ...definition }] }),
  ),
  response: { 201: Route, ...refusals() },
};

const LIST = {
  ...about("Routes", {
    operationId: "listRoutes",
    summary: "List routes",
    description: "All routes, or those of a destination, oldest first.",
  }),
  querystring: z.strictObject({ destination_id: namedDestination.optional(), ...page }),
  response: { 200: list(Route, example, "A page of routes."), ...refusals() },
};

const SHOW = {
  ...about("Routes", { operationId: "getRoute", summary: "Show a route", description: "One route as it is now." }),
  params: RouteParams,
  response: { 200: Route, ...refusals(404) },
};

const CHANGE = {
  ...about("Routes", {
    operationId: "updateRoute",
    summary: "Change a route",
    description:
      "Makes a new version of it, for events from now on, and keeps the fields that are not given. Existing deliveries keep the " +
      "version they were made under.",
  }),
  params: RouteParams,
  body: checkedByOwner(RouteChange.meta({ examples: [{ match: { "added.amount": { $gt: 100 } } }] })),
  response: { 200: Route, ...refusals(404) },
};

const DELETE = {
  ...about("Routes", {
    operationId: "deleteRoute",
    summary: "Delete a route",
    description: "It matches no further events; Tartan still sends the deliveries that it has made.",
  }),
  params: RouteParams,
  response: { 200: RouteDeleted, ...refusals(404) },
};

const PREVIEW = {
  ...about("Routes", {
    operationId: "previewRoute",
    summary: "Preview a route",
    description:
      "Tries a rule and its transform against past events, and says how many events it would have matched and how many " +
      "of them would fail, with a few of them as they would be sent. Nothing is kept or sent.",
  }),
  body: PreviewRequest.meta({ examples: [{ definition, since: "2026-11-20T00:00:00.000Z" }] }),
  response: { 200: Preview, ...refusals() },
};
