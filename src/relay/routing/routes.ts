/**
 * Routes: which events a destination receives, and in which form. Each change of a route is a new version and versions never
 * change, so a delivery is sent under the version under which it was created. The next event is dispatched by the new version.
 * NOTIFY `tartan_relay` announces every change to the workers.
 */
import { isDeepStrictEqual } from "node:util";
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { newRouteId } from "../../model/ids.ts";
import { NOTIFY_RELAY } from "../destinations/queries.ts";
import {
  DELETE_ROUTE,
  DELETE_ROUTES_OF,
  GET_ROUTE,
  HOLD_ROUTE,
  HOLD_TARGET,
  INSERT_ROUTE,
  INSERT_VERSION,
  LIST_ROUTES,
  LOAD_ROUTES,
  UPDATE_ROUTE,
} from "./queries.ts";
import {
  checkRoute,
  checkRouteChange,
  type NewRoute,
  type NewRouteDefinition,
  type RouteChange,
} from "./route.schema.ts";
import type { ActiveRoute, Form, RouteDefinition, RouteFilter } from "../model/types.ts";

export type { NewRoute, NewRouteDefinition, RouteChange } from "./route.schema.ts";

/** A route as the API shows it; times are ISO 8601. */
export interface RouteState {
  id: string;
  destination_id: string;
  name: string;
  enabled: boolean;
  /** one more at each change */
  version: number;
  filter: RouteFilter;
  match: Record<string, unknown> | null;
  form: Form;
  transform: string | null;
  created_at: string;
  updated_at: string;
}

interface Row {
  id: string;
  destination_id: string;
  name: string;
  enabled: boolean;
  version: number;
  definition: RouteDefinition;
  created_at: Date;
  updated_at: Date;
}

const publicShape = ({ definition, created_at, updated_at, ...row }: Row): RouteState => ({
  ...row,
  filter: definition.filter,
  match: definition.match,
  form: definition.form,
  transform: definition.transform,
  created_at: created_at.toISOString(),
  updated_at: updated_at.toISOString(),
});

const notFound = (id: string): TartanError =>
  new TartanError("not_found", `There is no route ${id}.`, { fields: { id: "names no route" } });

/**
 * Creates a route, which takes events from now on.
 * @throws TartanError `invalid_request` naming each field that has an error, also where there is no such destination
 */
export async function createRoute(database: Database, given: NewRoute): Promise<RouteState> {
  const definition = checkRoute(given);
  const id = newRouteId();
  return await database.transaction(async (tx) => {
    if ((await tx.query(HOLD_TARGET, [given.destination_id])).rowCount === 0) throw noDestination();
    await tx.query(INSERT_ROUTE, [id, given.destination_id, given.name ?? "", given.enabled ?? true]);
    await tx.query(INSERT_VERSION, [id, 1, JSON.stringify(definition)]);
    await tx.query(NOTIFY_RELAY);
    return await existing(tx, id);
  });
}

const noDestination = (): TartanError =>
  new TartanError("invalid_request", "The route is not usable: destination_id names no destination.", {
    fields: { destination_id: "names no destination" },
  });

/** All routes, or those of one destination, oldest first. */
export async function listRoutes(
  q: Queryable,
  filter: { destination_id?: string | undefined } = {},
): Promise<RouteState[]> {
  return (await q.query<Row>(LIST_ROUTES, [filter.destination_id ?? null])).rows.map(publicShape);
}

export async function getRoute(q: Queryable, id: string): Promise<RouteState | null> {
  const { rows } = await q.query<Row>(GET_ROUTE, [id]);
  return rows[0] ? publicShape(rows[0]) : null;
}

async function existing(q: Queryable, id: string): Promise<RouteState> {
  const found = await getRoute(q, id);
  if (!found) throw notFound(id);
  return found;
}

/**
 * Changes the given fields, as a new version. A filter is replaced as a whole. A form other than `transform` removes the
 * transform, and a transform without a form sets the form to `transform`.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateRoute(database: Database, id: string, change: RouteChange): Promise<RouteState> {
  return await database.transaction(async (tx) => {
    await tx.query(HOLD_ROUTE, [id]);
    const row = (await tx.query<Row>(GET_ROUTE, [id])).rows[0];
    if (!row) throw notFound(id);
    const { name = row.name, enabled = row.enabled, ...given } = change;
    const definition = checkRouteChange({ name, enabled, ...merged(row.definition, given) });
    const isNew = !isDeepStrictEqual(definition, row.definition);
    const version = row.version + Number(isNew);
    if (isNew) await tx.query(INSERT_VERSION, [id, version, JSON.stringify(definition)]);
    await tx.query(UPDATE_ROUTE, [id, name, enabled, version]);
    await tx.query(NOTIFY_RELAY);
    return await existing(tx, id);
  });
}

function merged(known: RouteDefinition, given: NewRouteDefinition): RouteDefinition {
  const changed = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const all: RouteDefinition = { ...known, ...changed };
  if (given.form !== undefined && given.form !== "transform" && given.transform === undefined) all.transform = null;
  if (given.form === undefined && given.transform != null) all.form = "transform";
  if (given.form === undefined && given.transform === null && known.form === "transform") all.form = "event";
  // `*` is the default of the other forms, not a choice; the form original has its own default.
  if (given.form === "original" && given.filter === undefined && isDeepStrictEqual(known.filter.types, ["*"])) {
    const { types: _types, ...filter } = known.filter;
    all.filter = filter;
  }
  return all;
}

/**
 * Deletes the route, which takes no more events. Its deliveries stay, and those that wait are sent.
 * @throws TartanError `not_found`
 */
export async function deleteRoute(database: Database, id: string): Promise<void> {
  await database.transaction(async (tx) => {
    if ((await tx.query(DELETE_ROUTE, [id])).rowCount === 0) throw notFound(id);
    await tx.query(NOTIFY_RELAY);
  });
}

/** Deletes the routes of a destination that is deleted in the same transaction. */
export async function deleteRoutesOf(tx: Queryable, destinationId: string): Promise<void> {
  await tx.query(DELETE_ROUTES_OF, [destinationId]);
}

/** The enabled routes and their version, which changes whenever they do. */
export interface Routing {
  version: number;
  /** in the order in which the routes of a destination are tried */
  routes: ActiveRoute[];
}

/** Reads the enabled routes and their version in one statement, so that a change is in both or in neither. */
export async function loadRouting(q: Queryable): Promise<Routing> {
  type Row = { routingVersion: number; created_at: Date | null } & (ActiveRoute | { id: null });
  const { rows } = await q.query<Row>(LOAD_ROUTES);
  const routes = rows.flatMap((row): ActiveRoute[] => {
    if (row.id === null) return [];
    const { routingVersion: _version, created_at: _at, ...route } = row;
    return [route];
  });
  return { version: rows[0]?.routingVersion ?? 0, routes };
}

/** The enabled routes, in the order in which those of a destination are tried. */
export const loadRoutes = async (q: Queryable): Promise<ActiveRoute[]> => (await loadRouting(q)).routes;
