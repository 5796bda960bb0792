/** The statements of the watch for integrations whose webhooks have stopped. Values are always bound; time is Postgres' clock. */
import type { Statement } from "../database/types.ts";

export const PLAN_WATCHES: Statement = {
  name: "silence_plan_watches",
  text: `
insert into silence.watches (integration_id, look_at)
select id, now() from tartan.integrations i
where deleted_at is null and not exists (select from silence.watches w where w.integration_id = i.id)
limit 1000 on conflict do nothing`,
};
export const COUNT_WATCHES: Statement = {
  name: "silence_count_watches",
  text: `select count(*)::int as count from silence.watches`,
};

/** Claims the integration whose look has been due longest for $1 seconds. $2 a longer break between looks begins the watch anew. */
export const CLAIM_WATCH: Statement = {
  name: "silence_claim_watch",
  text: `
with due as (
  select w.integration_id from silence.watches w join tartan.integrations i on i.id = w.integration_id
  where w.look_at <= now() and i.deleted_at is null order by w.look_at limit 1 for update of w skip locked
)
update silence.watches w set look_at = now() + $1 * interval '1 second', lease = lease + 1, looked_at = now(),
  watched_since = case when looked_at >= now() - $2 * interval '1 second' then watched_since else now() end
from due where w.integration_id = due.integration_id
returning w.integration_id, w.lease::text, w.read_to, w.last_webhook, w.last_webhook_at, w.active_hours, w.watched_since, w.stopped_at,
  w.silent_since, w.cause, now() as now`,
};

/**
 * The last webhook of Plaid in each hour from $2 to now, with the hour's number since 1970; two weeks at most. A commit may make a webhook
 * visible late, so the last minute is read again.
 */
export const NEW_HOURS: Statement = {
  name: "silence_new_hours",
  text: `
select (extract(epoch from h.hour) / 3600)::int as hour, w.id, w.received_at
from generate_series(date_trunc('hour', greatest($2::timestamptz - interval '1 minute', now() - interval '14 days')), now(), interval '1 hour')
    as h (hour)
  cross join lateral (
    select id, received_at from journal.webhooks
    where integration_id = $1 and source = 'PLAID' and id >= tartan.least_id_at(greatest(h.hour, $2::timestamptz - interval '1 minute'))
      and id < tartan.least_id_at(h.hour + interval '1 hour')
    order by id desc limit 1
  ) w
order by 1`,
};

/** $3 read until then, $4 and $5 the last webhook, $6 the active hours, $7 seconds until the next look. */
export const END_LOOK: Statement = {
  name: "silence_end_look",
  text: `
update silence.watches set read_to = $3::timestamptz, last_webhook = $4::uuid, last_webhook_at = $5::timestamptz, active_hours = $6::int[],
  look_at = now() + $7 * interval '1 second'
where integration_id = $1 and lease = $2::bigint`,
};

/** $3 when the alarm was raised or null, $4 since when nothing came, $5 the cause or null, $6 its details. */
export const SET_ALARM: Statement = {
  name: "silence_set_alarm",
  text: `
update silence.watches set stopped_at = $3::timestamptz, silent_since = $4::timestamptz, cause = $5, details = $6::jsonb
where integration_id = $1 and lease = $2::bigint`,
};

/** How many webhooks Plaid says it sent to the intake of $1 after $2 and that did not arrive; counted up to $3. */
export const MISSED_OF_LIST: Statement = {
  name: "silence_missed_of_list",
  text: `
select count(*)::int as count from (
  select from silence.plaid_deliveries where integration_id = $1 and sent_at > $2::timestamptz and sent_at < now() - interval '5 minutes'
    and to_intake and (outcome = 'recovered' or (status <> 'DELIVERED' and outcome = 'open' and attempts > 0)) limit $3
) missed`,
};
/** Gaps found after $2, with what they say; the newest $3. */
export const GAPS_SINCE: Statement = {
  name: "silence_gaps_since",
  text: `
select body from journal.webhooks where integration_id = $1 and source = 'RECONCILER' and webhook_code = 'GAP_FOUND'
  and id > tartan.least_id_at($2::timestamptz) and octet_length(body) < 16384 order by id desc limit $3`,
};

/** Whether the integration has an item of which Plaid sends webhooks: it sends none of an item that ended, nor news of one that waits for its user. */
export const HAS_SPEAKING: Statement = {
  name: "silence_has_speaking",
  text: `
select exists (select from tartan.items i
  left join sync.subjects s on s.integration_id = i.integration_id and s.kind = 'item' and s.id = i.item_id
  where i.integration_id = $1 and i.access_token_sealed is not null
    and coalesce(s.status, 'pending') not in ('ended', 'needs_user', 'unlinked')) as has`,
};

/* What the cause is. */

/** The most frequent refusal since $2: of what may be signed by Plaid ($3), or of what is not. */
export const REFUSED_SINCE: Statement = {
  name: "silence_refused_since",
  text: `
select reason, sum(count)::int as count from journal.refusals where integration_id = $1 and refused_at > $2::timestamptz
  and (reason not in ('webhook_secret_missing', 'webhook_secret_mismatch', 'webhook_malformed')) = $3::boolean
group by reason order by count desc limit 1`,
};

/** What Plaid says of the last webhook since $2 that it tried to deliver in vain, and how many of the last day's it did not deliver. */
export const FAILING_SINCE: Statement = {
  name: "silence_failing_since",
  text: `
select last_http_status as status, coalesce(last_attempt_at, sent_at) as at,
  (select round(100.0 * count(*) filter (where status <> 'DELIVERED') / greatest(count(*), 1))::int from (
    select status from silence.plaid_deliveries
    where integration_id = $1 and to_intake and attempts > 0 and sent_at > now() - interval '1 day'
    order by sent_at desc limit 1000) day) as percent
from silence.plaid_deliveries
where integration_id = $1 and sent_at > $2::timestamptz and to_intake and attempts > 0 and status <> 'DELIVERED'
order by sent_at desc limit 1`,
};

/** Of a thousand items: how many there are, and the URLs to which Plaid sends their webhooks. */
export const WEBHOOK_URLS: Statement = {
  name: "silence_webhook_urls",
  text: `
select webhook as url, count(*)::int as count from (
  select p.webhook from plaid.items p where p.integration_id = $1 and p.removed_at is null limit 1000) sample
group by webhook`,
};

/** Whether Plaid's list is open and was read within the last hour, and has anything that Plaid sent after the last webhook ($2). */
export const LIST_SAYS: Statement = {
  name: "silence_list_says",
  text: `
select l.read_to is not null and l.state = 'available' and l.read_to > now() - interval '1 hour' as current,
  exists (select from silence.plaid_deliveries d where d.integration_id = $1 and d.sent_at > $2::timestamptz) as sent
from silence.sent_lists l where l.integration_id = $1`,
};

export const HAS_RECEIVER: Statement = {
  name: "silence_has_receiver",
  text: `select exists (select from tartan.processes where 'receiver' = any (roles) and seen_at > now() - interval '1 minute') as has`,
};

/* For users. */

/** Integrations with an alarm, or with which Plaid does not speak; $1 at most. */
export const LIST_STOPPED: Statement = {
  name: "silence_list_stopped",
  text: `
select w.integration_id, i.name, w.stopped_at, coalesce(w.silent_since, w.last_webhook_at) as silent_since, w.cause, w.details
from silence.watches w join tartan.integrations i on i.id = w.integration_id
where w.cause is not null and i.deleted_at is null order by w.stopped_at nulls last, w.integration_id limit $1`,
};
export const COUNT_LISTS: Statement = {
  name: "silence_count_lists",
  text: `
select state, count(*)::int as count, count(*) filter (where state <> 'unavailable' and error is not null)::int as failing
from silence.sent_lists l join tartan.integrations i on i.id = l.integration_id where i.deleted_at is null group by state`,
};
