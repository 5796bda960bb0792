/**
 * The statements of destinations. Values are always bound; names of columns come from constants.
 */
import { statement } from "../model/statement.ts";

/** The columns that creating and changing a destination can set. */
export const SETTINGS = [
  "url",
  "name",
  "description",
  "headers_sealed",
  "header_names",
  "ca",
  "timeout_ms",
  "schedule",
  "rate_limit",
  "rate_window_ms",
  "concurrency",
  "ordering",
  "disable_after_s",
] as const;
export type Setting = (typeof SETTINGS)[number];

/** $1 its id, then the settings. */
export const insertDestination = (settings: readonly Setting[]): string =>
  `insert into relay.destinations (${["id", ...settings].join(", ")})
    values (${["id", ...settings].map((_, index) => `$${index + 1}`).join(", ")})`;

/** $1 its id, then the settings. */
export const updateDestination = (settings: readonly Setting[]): string =>
  `update relay.destinations set ${settings.map((name, index) => `${name} = $${index + 2}, `).join("")}
    version = version + 1, updated_at = now()
    where id = $1 and deleted_at is null`;

export const INSERT_HEALTH = `
  with health as (insert into relay.health (destination_id) values ($1) returning destination_id, epoch)
  insert into relay.under_way (destination_id, epoch) select destination_id, epoch from health`;

/**
 * Locks the destination until the transaction ends; deliveries can be inserted for it all the same. The health is locked first, in
 * the same order as the recorder locks.
 */
export const HOLD_DESTINATION = `
  with health as materialized (select destination_id from relay.health where destination_id = $1 for no key update)
  select d.id from health join relay.destinations d on d.id = health.destination_id
  where d.deleted_at is null for no key update of d`;

/** True when the deliveries that are scheduled at destination `x` with health `h` are held. */
export const HELD = `(x.paused_at is not null or x.disabled_at is not null or coalesce(h.hold_until > now(), false))`;

/** A hint to the workers that a destination or route changed. */
export const NOTIFY_RELAY = "select pg_notify('tartan_relay', '')";

/* States. Each yields a row where there was something to change. */

const change = (set: string, unless: string): string =>
  `update relay.destinations set ${set}, version = version + 1, updated_at = now()
    where id = $1 and deleted_at is null and ${unless} returning id`;

export const PAUSE = change("paused_at = now()", "paused_at is null");
export const RESUME = change("paused_at = null", "paused_at is not null");
/** Also for one whose circuit is open: its worker sees the new version and closes the circuit. */
export const ENABLE = change(
  "disabled_at = null, disabled_reason = null",
  "(disabled_at is not null or exists (select from relay.health h where h.destination_id = $1 and h.breaker <> 'closed'))",
);
export const DISABLE_BY_HAND = change("disabled_at = now(), disabled_reason = 'by_hand'", "disabled_at is null");

/**
 * Resets the health of a destination that failed: the time during which it was held is not time of failures. Its worker sees the
 * new version and resets its health too.
 */
export const RESET_HEALTH = `
  update relay.health set breaker = 'closed', openings = 0, hold_until = null, recent = '[]',
    failing_since = null, failing_ms = 0, failures = 0, warned = 0, asked_until = null
  where destination_id = $1 and (failing_since is not null or hold_until is not null or breaker <> 'closed')`;

/** Disables destination $1 for the reason $2. */
export const DISABLE_DESTINATION = statement(
  "disable",
  `with disabled as (
  update relay.destinations set disabled_at = now(), disabled_reason = $2, version = version + 1, updated_at = now()
  where id = $1 and disabled_at is null returning id
) select pg_notify('tartan_relay', '') from disabled`,
);

/* Deletion. Secrets are wiped at once; finished deliveries stay in the list. */

export const DELETE_DESTINATION = `
  update relay.destinations set deleted_at = now(), headers_sealed = null, version = version + 1, updated_at = now()
  where id = $1 and deleted_at is null`;
export const DELETE_KEYS = "delete from relay.signing_keys where destination_id = $1";

/* Keys. */

export const INSERT_KEY = `
  insert into relay.signing_keys (id, destination_id, scheme, secret_sealed, public_key) values ($1, $2, $3, $4, $5)
  returning id, scheme, public_key, created_at, expires_at`;
/** The keys that sign now expire in $2 seconds at the latest. */
export const EXPIRE_KEYS = `
  update relay.signing_keys set expires_at = least(expires_at, now() + $2 * interval '1 second') where destination_id = $1`;
/** Expired keys, and all but the newest $2: a rotation every minute must not make headers that no server accepts. */
export const DROP_KEYS = `
  delete from relay.signing_keys where destination_id = $1 and (expires_at <= now() or id not in (
    select id from relay.signing_keys where destination_id = $1 order by created_at desc, id desc limit $2))`;
export const LIST_KEYS = `
  select id, scheme, public_key, created_at, expires_at from relay.signing_keys
  where destination_id = $1 and (expires_at is null or expires_at > now()) order by created_at desc, id desc`;

/* Reading. */

/** Counts of scheduled and dead deliveries stop here. */
const COUNT_MAX = 10_001;

const PUBLIC = `
select d.id, d.name, d.description, d.url, d.header_names, d.ca is not null as has_ca, d.timeout_ms, d.schedule,
  case when d.rate_limit is not null then json_build_object('count', d.rate_limit, 'window_ms', d.rate_window_ms) end as rate_limit,
  d.concurrency, d.ordering, d.disable_after_s,
  case when d.disabled_at is not null then 'disabled' when d.paused_at is not null then 'paused' else 'active' end as status,
  d.disabled_reason, h.breaker, h.hold_until, h.failures, h.failing_since, h.last_success_at, h.last_failure_at, h.last_error,
  waiting.scheduled, waiting.oldest_due_at, given_up.dead, signing.keys, d.version, d.created_at, d.updated_at
from relay.destinations d
join relay.health h on h.destination_id = d.id
cross join lateral (
  select least(count(*), ${COUNT_MAX})::int as scheduled, min(due_at) as oldest_due_at from (
    (select due_at from relay.deliveries r
      where r.destination_id = d.id and r.status = 'scheduled' and r.ordering_key is null order by due_at limit ${COUNT_MAX})
    union all
    (select due_at from relay.deliveries r
      where r.destination_id = d.id and r.status = 'scheduled' and r.ordering_key is not null limit ${COUNT_MAX})
  ) r
) waiting
cross join lateral (
  select count(*)::int as dead from (
    select from relay.deliveries r where r.destination_id = d.id and r.status = 'dead' limit ${COUNT_MAX}
  ) r
) given_up
cross join lateral (
  select coalesce(json_agg(json_build_object('id', k.id, 'scheme', k.scheme, 'public_key', k.public_key,
    'created_at', k.created_at, 'expires_at', k.expires_at) order by k.created_at desc, k.id desc), '[]') as keys
  from relay.signing_keys k where k.destination_id = d.id and (k.expires_at is null or k.expires_at > now())
) signing
where d.deleted_at is null`;

export const LIST_DESTINATIONS = statement("list_destinations", `${PUBLIC} order by d.created_at, d.id`);
export const GET_DESTINATION = statement("get_destination", `${PUBLIC} and d.id = $1`);

/** Destinations with their keys, for delivery: those in $1, or all. */
export const LOAD_DESTINATIONS = statement(
  "open_destinations",
  `
select d.id, d.version, d.url, d.headers_sealed, d.ca, d.timeout_ms, d.schedule, d.rate_limit, d.rate_window_ms, d.concurrency,
  d.ordering, d.disable_after_s, d.paused_at is not null as paused, d.disabled_at is not null as disabled,
  array(select k.id from relay.signing_keys k where k.destination_id = d.id and (k.expires_at is null or k.expires_at > now())
    order by k.created_at desc, k.id desc) as key_ids,
  array(select k.scheme from relay.signing_keys k where k.destination_id = d.id and (k.expires_at is null or k.expires_at > now())
    order by k.created_at desc, k.id desc) as key_schemes,
  array(select k.secret_sealed from relay.signing_keys k where k.destination_id = d.id
    and (k.expires_at is null or k.expires_at > now()) order by k.created_at desc, k.id desc) as key_secrets,
  array(select k.expires_at from relay.signing_keys k where k.destination_id = d.id
    and (k.expires_at is null or k.expires_at > now()) order by k.created_at desc, k.id desc) as key_expiries
from relay.destinations d
where d.deleted_at is null and ($1::text[] is null or d.id = any ($1))
order by d.created_at, d.id`,
);

/* Retention. */

/** When the oldest delivery of destination `id` was created; null without any. Deliveries are created in the order of `seq`. */
export const oldestAt = (id: string): string =>
  `(select r.created_at from relay.deliveries r where r.destination_id = ${id} order by r.seq limit 1)`;

/** Deleted destinations without deliveries, with all that belongs to them. */
export const FORGET_DESTINATIONS = `
delete from relay.destinations x where x.deleted_at < $1 and ${oldestAt("x.id")} is null`;
