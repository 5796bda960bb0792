/** The statements of routes. Values are always bound. */
import type { Statement } from "../../database/types.ts";

/** Nobody deletes it meanwhile. */
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
/** Until the transaction ends nobody else changes it. What it says is read afterwards: a join would still see what it said before. */
export const HOLD_ROUTE = "select id from relay.routes where id = $1 and deleted_at is null for update";

/** $2 name, $3 enabled, $4 version. */
export const UPDATE_ROUTE =
  "update relay.routes set name = $2, enabled = $3, version = $4, updated_at = now() where id = $1";

/** Its versions stay: deliveries that were made under them are sent under them. */
export const DELETE_ROUTE =
  "update relay.routes set deleted_at = now(), updated_at = now() where id = $1 and deleted_at is null";

/**
 * Those that take events, oldest first, which is the order in which a destination's routes are tried; and their version,
 * seen at the same instant. Without routes it is one row that holds the version alone.
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
