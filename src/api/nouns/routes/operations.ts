/** /v1/routes: which events go to which destination. A rule can be tried against what has happened before it is kept. */
import type { z } from "zod";
import { TartanError } from "../../../errors.ts";
import { previewRoute } from "../../../relay/routing/preview.ts";
import {
  createRoute,
  deleteRoute,
  getRoute,
  listRoutes,
  updateRoute,
  type RouteState,
} from "../../../relay/routing/routes.ts";
import { pageOf } from "../../http/paging.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import {
  NewRoute,
  Preview,
  PreviewRequest,
  Route,
  RouteDeleted,
  RouteParams,
  RoutePatch,
  RoutesQuery,
} from "./shapes.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { list } from "../../http/shapes.ts";

/** The same; its lists are not written to, here either. */
const show = (route: RouteState) => ({ ...route, filter: route.filter as z.output<typeof Route>["filter"] });

const DAY_MS = 86_400_000;

export function routeRoutes(api: Api, { database, transforms, clock }: ApiDeps): void {
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

const CREATE = {
  ...about("Routes", {
    operationId: "createRoute",
    summary: "Create a route",
    description:
      "Leads events to a destination from now on. An event goes to every destination that a route leads it to, and to each of " +
      "them once, by the oldest of its routes that takes it. Try it with `POST /v1/routes/preview` first; " +
      "`POST /v1/routes/:id/route-past` sends what it would have taken before.",
  }),
  body: NewRoute,
  response: { 201: Route, ...refusals() },
};

const LIST = {
  ...about("Routes", {
    operationId: "listRoutes",
    summary: "List routes",
    description: "Every route, oldest first: all, or those of a destination.",
  }),
  querystring: RoutesQuery,
  response: { 200: list(Route, RELAY_EXAMPLES.route, "A page of routes."), ...refusals() },
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
      "Makes a new version of it, for events from now on; what is not given stays. Deliveries that are there keep to the " +
      "version they were made under.",
  }),
  params: RouteParams,
  body: RoutePatch,
  response: { 200: Route, ...refusals(404) },
};

const DELETE = {
  ...about("Routes", {
    operationId: "deleteRoute",
    summary: "Delete a route",
    description: "It leads nothing any more; deliveries that it has made are sent all the same.",
  }),
  params: RouteParams,
  response: { 200: RouteDeleted, ...refusals(404) },
};

const PREVIEW = {
  ...about("Routes", {
    operationId: "previewRoute",
    summary: "Preview a route",
    description:
      "Tries a rule and its transform against what has happened, and says how many events it would have taken and how many " +
      "of them would fail, with a few of them as they would be sent. Nothing is kept or sent.",
  }),
  body: PreviewRequest,
  response: { 200: Preview, ...refusals() },
};
