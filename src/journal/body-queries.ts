/** The statements that prune the bodies of old webhooks, by the database's clock. */

/** Tartan's own webhooks about gaps keep their bodies: they hold names of fields and Plaid's codes, and the list of gaps shows them. */
const IS_GAP = "w.source = 'RECONCILER' and coalesce(w.webhook_code, '') = 'GAP_FOUND'";

/** A run that a webhook waits for may need its body, such as the token of a Link session that Plaid sends in it. */
const IS_PRUNABLE = "w.processed_at is not null";

const FACTS = `w.id, octet_length(w.body) + coalesce(octet_length(w.verification), 0) as bytes, ${IS_PRUNABLE} as prunable`;

/** A webhook with a lesser id is older than $1 days, and dispatched. */
const OLD = `least(tartan.least_id_at(now() - $1::int * interval '1 day'),
    coalesce(events.undispatched_since(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'))`;

/** What became older than $1 days and has not been examined, behind id $2; $3 rows at most. */
export const UNSEEN_BODIES = `
select ${FACTS} from journal.webhooks w
where w.id > greatest($2::uuid, (select bodies_seen_to from journal.retention)) and w.id < ${OLD} and w.body is not null and not (${IS_GAP})
order by w.id limit $3`;

/** What was kept in earlier rounds, behind id $2. */
export const KEPT_BODIES = `
select ${FACTS} from journal.kept_bodies k join journal.webhooks w on w.id = k.id
where k.id > $2::uuid and w.id < ${OLD} and w.body is not null order by k.id limit $3`;

/** Prunes the webhooks $1, which lie between $2 and $3, and counts them by week. */
export const PRUNE_BODIES = `
with old as materialized (
  select id, received_at, octet_length(body) + coalesce(octet_length(verification), 0) as bytes from journal.webhooks
  where id = any ($1::uuid[]) and id >= $2 and id <= $3 and body is not null and processed_at is not null order by id for update
), pruned as (
  update journal.webhooks w set body = null, verification = null, body_sha256 = sha256(w.body), body_bytes = octet_length(w.body),
    body_pruned_at = now()
  from old where w.id = old.id and w.id >= $2 and w.id <= $3
), forgotten as (
  delete from journal.kept_bodies where id in (select id from old)
)
insert into journal.pruned_weeks as p (week, webhooks, bytes, unused)
select date_trunc('week', received_at at time zone 'UTC')::date, count(*), sum(bytes), sum(bytes) from old group by 1
on conflict (week) do update set webhooks = p.webhooks + excluded.webhooks, bytes = p.bytes + excluded.bytes,
  unused = p.unused + excluded.unused`;

export const KEEP_BODIES = "insert into journal.kept_bodies (id) select unnest($1::uuid[]) on conflict do nothing";
export const NOTE_SEEN = "update journal.retention set bodies_seen_to = greatest(bodies_seen_to, $1::uuid)";

/** What is about webhooks and weeks that retention has deleted. */
export const FORGET_KEPT =
  "delete from journal.kept_bodies k where not exists (select from journal.webhooks w where w.id = k.id)";
export const FORGET_PRUNED_WEEKS = `
with gone as (
  delete from journal.pruned_weeks where week < (select min(starts_at at time zone 'UTC')::date from journal.weeks) returning week
)
select journal.end_rewrite(week) from gone`;

/** A tenth of a week's size is worth the work. */
const LEAST_PART = 10;

const NOT_TRIED = "coalesce(tried_at < now() - interval '6 hours', true)";

/**
 * Weeks that are wholly older than $1 days and would become smaller by a tenth at least, the oldest first. One that could not be
 * rewritten is left alone for a while, since each attempt may copy it in vain.
 */
export const WEEKS_TO_REWRITE = `
select p.week::text as week from journal.pruned_weeks p
join journal.weeks w on w.starts_at = p.week::timestamp at time zone 'UTC'
where tartan.least_id_at(w.starts_at + interval '1 week') <= ${OLD}
  and p.unused > 0 and p.unused * ${LEAST_PART} >= pg_total_relation_size(w.partition)
  and ${NOT_TRIED}
order by p.week`;

/** What changes partitions waits no longer than this for its lock: all later statements on the journal wait behind it. */
export const SHORTEST_LOCK_WAIT = "select set_config('lock_timeout', '500ms', true)";

/** Begins to rewrite the week of Monday $1, unless another process has just begun. The column `file` is null where it has no partition. */
export const BEGIN_REWRITE = `
update journal.pruned_weeks set tried_at = now() where week = $1::date and ${NOT_TRIED} returning journal.begin_rewrite(week) as file`;

export const COPY_WEEK = "select journal.copy_week($1::date)";

/** $2 is the week's file, as it was at the beginning. In a transaction that holds the lock `partitions`. */
export const EXCHANGE_WEEK = `
update journal.pruned_weeks set given_back = given_back + journal.exchange_week(week, $2::bigint), unused = 0, rewritten_at = now()
where week = $1::date`;

/** Removes what the attempt has left. */
export const END_REWRITE = "select journal.end_rewrite($1::date)";

/** What pruning has removed so far. */
export const PRUNED = `
select coalesce(sum(webhooks), 0)::bigint as webhooks, coalesce(sum(bytes), 0)::bigint as bytes,
  coalesce(sum(given_back), 0)::bigint as given_back_bytes from journal.pruned_weeks`;
