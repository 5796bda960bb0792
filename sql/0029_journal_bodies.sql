-- Pruning of old webhooks: the body and the JWT go, everything else stays, with the SHA-256 and the length of the body.

alter table journal.webhooks alter column body drop not null;
alter table journal.webhooks
  add column body_sha256 bytea,                        -- of a body that was pruned; else null
  add column body_bytes integer,                       -- its length
  add column body_pruned_at timestamptz;               -- then body and verification became null

-- Webhooks up to this id have been looked at: each was pruned, or is a gap's (whose body names fields and no values), or has a row in
-- journal.kept_bodies. So a round reads what became old since the round before, however many webhooks are kept.
alter table journal.retention add column bodies_seen_to uuid not null default '00000000-0000-0000-0000-000000000000';

-- Webhooks that were old enough to be pruned when something still needed their bodies. Each round looks at them again.
create table journal.kept_bodies (
  id uuid primary key
);

-- What pruning removed from each week, and what rewriting the week gave back to the disk.
create table journal.pruned_weeks (
  week         date primary key,                       -- its Monday
  webhooks     bigint not null,                        -- how many were pruned
  bytes        bigint not null,                        -- of their bodies and JWTs
  unused       bigint not null,                        -- of these bytes, those that were pruned since the week was last rewritten
  given_back   bigint not null default 0,              -- bytes by which rewriting made the week smaller
  tried_at     timestamptz,                            -- when rewriting last began, whether it succeeded or not
  rewritten_at timestamptz
);

-- Writes the rows of an old week into a new partition and puts it in the place of the old one. Old weeks get no new rows, so the
-- space of pruned bodies would stay unused otherwise, also after a vacuum. Nobody changes the week meanwhile; everybody can read it, until
-- the exchange, which locks the journal for some milliseconds as making a week does. The caller holds the lock `partitions` and limits
-- the waits for locks. Returns by how many bytes the week became smaller; null where it has no partition.
create function journal.rewrite_week(monday date) returns bigint
language plpgsql as $$
declare
  week record;
  name text;
  fresh text;
  bounds text[];
  before bigint;
  after bigint;
begin
  select partition, starts_at into week from journal.weeks where starts_at = monday::timestamp at time zone 'UTC';
  if not found then
    return null;
  end if;
  execute format('lock table %s in share row exclusive mode', week.partition);
  before := pg_total_relation_size(week.partition);
  select relname into name from pg_class where oid = week.partition;
  fresh := name || '_rewritten';
  bounds := array[tartan.least_id_at(week.starts_at)::text, tartan.least_id_at(week.starts_at + interval '1 week')::text];
  execute format('create table journal.%I (like %s including all)', fresh, week.partition);
  execute format('insert into journal.%I select * from %s order by id', fresh, week.partition);
  -- Attaching a table that has this constraint need not read it.
  execute format('alter table journal.%I add constraint rewritten check (id >= %L and id < %L)', fresh, bounds[1], bounds[2]);
  execute format('analyze journal.%I', fresh);
  after := pg_total_relation_size(format('journal.%I', fresh)::regclass);
  execute format('alter table journal.webhooks detach partition %s', week.partition);
  execute format('alter table journal.webhooks attach partition journal.%I for values from (%L) to (%L)', fresh, bounds[1], bounds[2]);
  execute format('drop table %s', week.partition);
  execute format('alter table journal.%I drop constraint rewritten', fresh);
  execute format('alter table journal.%I rename to %I', fresh, name);
  return before - after;
end
$$;
