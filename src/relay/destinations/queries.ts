/**
 * The statements of destinations. Values are always bound; names of columns come from constants.
 */
import type { Statement } from "../../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });

/** What of a destination's row can be set when it is created and changed. */
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
 * Until the transaction ends nobody else changes it; deliveries can be made for it all the same. How it fares is locked
 * first, as by those who record deliveries.
 */
export const HOLD_DESTINATION = `
  with health as materialized (select destination_id from relay.health where destination_id = $1 for no key update)
  select d.id from health join relay.destinations d on d.id = health.destination_id
  where d.deleted_at is null for no key update of d`;

/** A hint to the processes that deliver. */
export const NOTIFY_RELAY = "select pg_notify('tartan_relay', '')";

/* States. Each yields a row where there was something to change. */

const change = (set: string, unless: string): string =>
  `update relay.destinations set ${set}, version = version + 1, updated_at = now()
    where id = $1 and deleted_at is null and ${unless} returning id`;

export const PAUSE = change("paused_at = now()", "paused_at is null");
export const RESUME = change("paused_at = null", "paused_at is not null");
/** Also one whose circuit is open: its worker hears of it by the version, and closes it. */
export const ENABLE = change(
  "disabled_at = null, disabled_reason = null",
  "(disabled_at is not null or exists (select from relay.health h where h.destination_id = $1 and h.breaker <> 'closed'))",
);
export const DISABLE_BY_HAND = change("disabled_at = now(), disabled_reason = 'by_hand'", "disabled_at is null");

/**
 * Forgets that the destination failed, if it did: the time during which it was held is not time spent failing. Whoever
 * holds it hears of the change by its version, and forgets too.
 */
export const FORGIVE = `
  update relay.health set breaker = 'closed', openings = 0, hold_until = null, recent = '[]',
    failing_since = null, failing_ms = 0, failures = 0, warned = 0, asked_until = null
  where destination_id = $1 and (failing_since is not null or hold_until is not null or breaker <> 'closed')`;

/* Deletion. What is secret goes at once; what it was sent stays, for those who ask. */

export const DELETE_DESTINATION = `
  update relay.destinations set deleted_at = now(), headers_sealed = null, version = version + 1, updated_at = now()
  where id = $1 and deleted_at is null`;
export const DELETE_KEYS = "delete from relay.signing_keys where destination_id = $1";
export const DELETE_ITS_ROUTES = `
  update relay.routes set deleted_at = now(), updated_at = now() where destination_id = $1 and deleted_at is null`;
export const CANCEL_ITS_JOBS = `
  update relay.jobs set status = 'cancelled', updated_at = now(), finished_at = now()
  where destination_id = $1 and status in ('running', 'paused')`;
/** A part at a time; repeat until it cancels none. */
export const CANCEL_ITS_DELIVERIES = `
  update relay.deliveries set status = 'cancelled', due_at = null, finished_at = now()
  where id = any (array(
    (select id from relay.deliveries where destination_id = $1 and status = 'scheduled' and lane is null order by due_at limit 5000)
    union all
    (select id from relay.deliveries where destination_id = $1 and status = 'scheduled' and lane is not null order by lane limit 5000)))`;

/* Keys. */

export const INSERT_KEY = `
  insert into relay.signing_keys (id, destination_id, scheme, secret_sealed, public_key) values ($1, $2, $3, $4, $5)
  returning id, scheme, public_key, created_at, expires_at`;
/** Those that sign now do so for $2 seconds more at most. */
export const EXPIRE_KEYS = `
  update relay.signing_keys set expires_at = least(expires_at, now() + $2 * interval '1 second') where destination_id = $1`;
/** Those that sign no longer, and more than the newest $2: a rotation every minute must not make headers that no server takes. */
export const DROP_KEYS = `
  delete from relay.signing_keys where destination_id = $1 and (expires_at <= now() or id not in (
    select id from relay.signing_keys where destination_id = $1 order by created_at desc, id desc limit $2))`;
export const LIST_KEYS = `
  select id, scheme, public_key, created_at, expires_at from relay.signing_keys
  where destination_id = $1 and (expires_at is null or expires_at > now()) order by created_at desc, id desc`;

/* Reading. */

/** What waits and what is dead is counted no further than this. */
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
      where r.destination_id = d.id and r.status = 'scheduled' and r.lane is null order by due_at limit ${COUNT_MAX})
    union all
    (select due_at from relay.deliveries r
      where r.destination_id = d.id and r.status = 'scheduled' and r.lane is not null limit ${COUNT_MAX})
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

/** Destinations as couriers use them: those in $1, or all. */
export const OPEN_DESTINATIONS = statement(
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
