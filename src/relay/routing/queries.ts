/** The statements of routes. Values are always bound. */
import type { Statement } from "../../database/types.ts";
import { oldestAt } from "../destinations/queries.ts";

/** Keeps the destination from being deleted until the transaction ends. */
export const HOLD_TARGET = "select id from relay.destinations where id = $1 and deleted_at is null for share";

export const INSERT_ROUTE = "insert into relay.routes (id, destination_id, name, enabled) values ($1, $2, $3, $4)";
export const INSERT_VERSION =
  "insert into relay.route_versions (route_id, version, definition) values ($1, $2, $3::json)";

const PUBLIC = `
select r.id, r.destination_id, r.name, r.enabled, r.version, v.definition, r.created_at, r.updated_at
from relay.routes r join relay.route_versions v on v.route_id = r.id and v.version = r.version
where r.deleted_at is null`;

/** Oldest first, of the destination $1 unless that is null. */
export const LIST_ROUTES = `${PUBLIC} and ($1::text is null or r.destination_id = $1) order by r.created_at, r.id`;
export const GET_ROUTE = `${PUBLIC} and r.id = $1`;
/** Locks the route until the transaction ends. Its definition is read by another statement afterwards: a join would still see the old one. */
export const HOLD_ROUTE = "select id from relay.routes where id = $1 and deleted_at is null for update";

/** $2 name, $3 enabled, $4 version. */
export const UPDATE_ROUTE =
  "update relay.routes set name = $2, enabled = $3, version = $4, updated_at = now() where id = $1";

/** The versions stay, since deliveries that were created under them are sent under them. */
export const DELETE_ROUTE =
  "update relay.routes set deleted_at = now(), updated_at = now() where id = $1 and deleted_at is null";

/**
 * The enabled routes, oldest first, which is the order in which a destination's routes are tried, and their version in the same
 * snapshot. Without routes it is one row with the version only.
 */
export const LOAD_ROUTES: Statement = {
  name: "relay_load_routes",
  text: `
select o.version as "routingVersion", r.*
from relay.routing o left join (
  select r.id, r.version, r.destination_id as "destinationId", d.ordering, v.definition, r.created_at
  from relay.routes r
  join relay.route_versions v on v.route_id = r.id and v.version = r.version
  join relay.destinations d on d.id = r.destination_id
  where r.enabled and r.deleted_at is null and d.deleted_at is null
) r on true
order by r.created_at, r.id`,
};

/** Deletes the routes of destination $1. */
export const DELETE_ROUTES_OF = `
  update relay.routes set deleted_at = now(), updated_at = now() where destination_id = $1 and deleted_at is null`;

/* Retention. */

/** Versions of routes under which no kept delivery can have been created: a later version replaced them before the oldest. */
export const FORGET_ROUTE_VERSIONS = `
delete from relay.route_versions v using relay.routes t, relay.route_versions next
where t.id = v.route_id and v.version < t.version and next.route_id = v.route_id and next.version = v.version + 1
  and next.created_at < least($1, coalesce(${oldestAt("t.destination_id")}, $1))`;

/** Routes that were deleted before the oldest kept delivery was created, with their versions. */
export const FORGET_ROUTES = `
delete from relay.routes t where t.deleted_at < least($1, coalesce(${oldestAt("t.destination_id")}, $1))`;
