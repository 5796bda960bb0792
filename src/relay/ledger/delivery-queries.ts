/**
 * The statements that list deliveries. Values are always bound; a statement's text depends only on which filters are given.
 */
import type { DeliveryFilterStatus } from "../../model/statuses.ts";
import type { Statement } from "../../database/types.ts";
import { REPLAYABLE } from "../content/queries.ts";
import { HELD } from "../destinations/queries.ts";
import { statement } from "../model/statement.ts";

const RECORD = `d.id, d.seq::text as seq, d.destination_id, d.event_id, d.event_type, d.integration_id, d.item_id, d.route_id,
  d.route_version, d.form, case when d.status = 'scheduled' and ${HELD} then 'held' else d.status end as status, d.due_at,
  d.attempts, d.tries, d.job_id, d.cause, d.detail, d.last_status, encode(d.body_sha256, 'hex') as body_sha256, d.created_at, d.finished_at`;

const WHOSE = `
join relay.destinations x on x.id = d.destination_id join relay.health h on h.destination_id = d.destination_id`;

export const GET_DELIVERY = statement(
  "get_delivery",
  `select ${RECORD} from relay.deliveries d ${WHOSE} where d.id = $1`,
);

/** The last $2 attempts at delivery $1, the first of them first. */
export const ATTEMPTS_OF = statement(
  "attempts_of",
  `
select * from (
  select number, started_at, duration_ms, url, address, status, error, response_headers, response_head, job_id
  from relay.attempts where delivery_id = $1 order by number desc limit $2
) a order by number`,
);

export const CANCEL_DELIVERY = statement(
  "cancel_delivery",
  `update relay.deliveries set status = 'cancelled', due_at = null, finished_at = now()
  where id = $1 and status = 'scheduled' returning id`,
);

/** Cancels scheduled deliveries of destination $1, ten thousand at most; repeat until it cancels none. */
export const CANCEL_DELIVERIES_OF = `
  update relay.deliveries set status = 'cancelled', due_at = null, finished_at = now()
  where id = any (array(
    (select id from relay.deliveries where destination_id = $1 and status = 'scheduled' and ordering_key is null order by due_at limit 5000)
    union all
    (select id from relay.deliveries where destination_id = $1 and status = 'scheduled' and ordering_key is not null order by ordering_key limit 5000)))`;

export const BODY_OF = statement(
  "body_of",
  'select event_id as "eventId", event_type as "eventType", form, body, user_id as "userId" from relay.deliveries where id = $1',
);

/** The filters that are plain comparisons. */
export const DELIVERY_FILTERS = ["destination_id", "item_id", "event_id", "event_type", "cause"] as const;
export type DeliveryColumn = (typeof DELIVERY_FILTERS)[number];

export interface DeliveryShape {
  /** in the order of their values, which begin with $4 */
  given: readonly DeliveryColumn[];
  status: DeliveryFilterStatus | null;
}

/** Places of one window, for filters that no index covers. */
export const WINDOW_PLACES = 100_000;

/** True when a page searches a window of places: no index covers one of the filters. */
export const isWindowed = ({ given, status }: DeliveryShape): boolean =>
  !given.includes("item_id") &&
  !given.includes("event_id") &&
  (given.some((name) => name === "cause" || name === "event_type") || (status !== null && !isOpen(status)));

/** The undelivered statuses, which partial indexes cover. */
const isOpen = (status: DeliveryFilterStatus | null): boolean =>
  status === "scheduled" || status === "held" || status === "dead" || status === "undelivered";

/**
 * A page, newest first. $1 how many, $2 places before this one, $3 from that one on; then the filters' values. Places are
 * those of `seq`. They are searched in indexes, destination by destination, and only the rows of the page are read.
 */
export function listDeliveriesQuery(shape: DeliveryShape): Statement {
  const { given, status } = shape;
  const name = ["list_deliveries", ...given.map((column) => column.slice(0, 7)), status ?? ""]
    .filter(Boolean)
    .join("_");
  return statement(
    name,
    `
select ${RECORD} from (${isWanted(shape) ? directly(shape) : byDestination(shape)}) found
join relay.deliveries d on d.destination_id = found.destination_id and d.seq = found.seq ${WHOSE}
order by d.seq desc`,
  );
}

const isWanted = ({ given }: DeliveryShape): boolean => given.includes("item_id") || given.includes("event_id");

const PLACES = "r.seq < $2::bigint and r.seq >= $3::bigint";

const conditionsOf = ({ given }: DeliveryShape, without?: DeliveryColumn): string =>
  given.flatMap((column, index) => (column === without ? [] : [` and r.${column} = $${index + 4}`])).join("");

/** For an item or an event, which have few deliveries. */
function directly(shape: DeliveryShape): string {
  return `
  select r.destination_id, r.seq from relay.deliveries r
  join relay.destinations x on x.id = r.destination_id join relay.health h on h.destination_id = r.destination_id
  where ${PLACES}${conditionsOf(shape)}${statusOf(shape.status)}
  order by r.seq desc limit $1`;
}

function statusOf(status: DeliveryFilterStatus | null): string {
  if (status === null) return "";
  if (status === "undelivered") return " and r.status in ('scheduled', 'dead')";
  if (status === "held") return ` and r.status = 'scheduled' and ${HELD}`;
  if (status === "scheduled") return ` and r.status = 'scheduled' and not ${HELD}`;
  return ` and r.status = '${status}'`;
}

function byDestination(shape: DeliveryShape): string {
  const at = shape.given.indexOf("destination_id");
  const conditions = `${PLACES}${conditionsOf(shape, "destination_id")}`;
  return `
  select x.id as destination_id, r.seq
  from relay.destinations x join relay.health h on h.destination_id = x.id
  cross join lateral (
    select r.seq from (${sources(shape.status, conditions)}) r order by r.seq desc limit $1
  ) r
  where ${at === -1 ? "true" : `x.id = $${at + 4}`}${ofHolding(shape.status)}
  order by r.seq desc limit $1`;
}

function ofHolding(status: DeliveryFilterStatus | null): string {
  if (status === "held") return ` and ${HELD}`;
  return status === "scheduled" ? ` and not ${HELD}` : "";
}

/**
 * The places at destination x. Each part yields at most a page, in order, from a partial index of its own, so its cost does not grow
 * with the number of delivered ones.
 */
function sources(status: DeliveryFilterStatus | null, conditions: string): string {
  const part = (more: string): string =>
    `(select r.seq from relay.deliveries r where r.destination_id = x.id and ${more} and ${conditions}
      order by r.seq desc limit $1)`;
  const dead = part("r.status = 'dead'");
  const scheduled = [
    part("r.status = 'scheduled' and r.ordering_key is null"),
    part("r.status = 'scheduled' and r.ordering_key is not null"),
  ];
  if (status === "dead") return dead;
  if (status === "scheduled" || status === "held") return scheduled.join(" union all ");
  if (status === "undelivered") return [...scheduled, dead].join(" union all ");
  return `select r.seq from relay.deliveries r
    where r.destination_id = x.id and ${conditions}${statusOf(status)} order by r.seq desc limit $1`;
}

/** The first and last place at the destination $1, or at any. */
export const PLACES_THERE = statement(
  "delivery_places",
  `
select min(low.seq)::text as least, max(high.seq)::text as most
from relay.destinations x
cross join lateral (select seq from relay.deliveries r where r.destination_id = x.id order by seq limit 1) low
cross join lateral (select seq from relay.deliveries r where r.destination_id = x.id order by seq desc limit 1) high
where $1::text is null or x.id = $1`,
);

/** The count of a group stops here; an index alone counts. */
const GROUP_COUNT_MAX = 1001;
/** So many of a group's oldest are checked for being replayable: each check reads the row, perhaps from disk. */
const CHECKED = 100;

const OF_GROUP = "r.destination_id = g.destination_id and r.status = 'dead' and coalesce(r.cause, '') = g.cause";

/** The group after another one: one probe of the index. */
const nextGroup = (destination: string, cause: string): string => `
  select r.destination_id, coalesce(r.cause, '') as cause from relay.deliveries r
  where r.status = 'dead' and ($1::text is null or r.destination_id = $1)
    and (r.destination_id, coalesce(r.cause, '')) > (${destination}, ${cause})
  order by r.destination_id, coalesce(r.cause, '') limit 1`;

/**
 * Groups of dead letters by destination ($1, or any) and cause, in that order, after the group $2, $3, at most $4. The caller skips
 * those of deleted destinations.
 */
export const DEAD_LETTER_GROUPS = statement(
  "dead_letter_groups",
  `
with recursive groups as (
  (select *, 1 as n from (${nextGroup("$2::text", "$3::text")}) first)
  union all
  select next.*, g.n + 1 from groups g cross join lateral (${nextGroup("g.destination_id", "g.cause")}) next where g.n < $4
)
select g.destination_id, g.cause as place, x.name as destination_name, nullif(g.cause, '') as cause, counted.count,
  x.deleted_at is not null as is_deleted, first.finished_at as first_at, last.finished_at as last_at,
  counted.count - lost.count as replayable
from groups g join relay.destinations x on x.id = g.destination_id
cross join lateral (
  select count(*)::int as count from (
    select from relay.deliveries r where ${OF_GROUP} order by r.finished_at limit ${GROUP_COUNT_MAX}) r) counted
cross join lateral (select r.finished_at from relay.deliveries r where ${OF_GROUP} order by r.finished_at limit 1) first
cross join lateral (select r.finished_at from relay.deliveries r where ${OF_GROUP} order by r.finished_at desc limit 1) last
cross join lateral (
  select count(*)::int as count from (
    select r.* from relay.deliveries r where ${OF_GROUP} order by r.finished_at limit ${CHECKED}) r
  where not ${REPLAYABLE}) lost
order by g.n`,
);
