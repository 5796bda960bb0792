-- Pruning of old webhooks: the body and the JWT go, everything else stays, with the SHA-256 and the length of the body.

alter table journal.webhooks alter column body drop not null;
alter table journal.webhooks
  add column body_sha256 bytea,                        -- of a body that was pruned; else null
  add column body_bytes integer,                       -- its length
  add column body_pruned_at timestamptz;               -- then body and verification became null

-- Webhooks up to this id have been examined: each was pruned, or is a gap's (whose body names fields and no values), or has a row in
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

-- Rewriting an old week gives the space of pruned bodies back to the disk. A vacuum would not, since old weeks get no new rows. It has
-- three steps, each a transaction, so that nobody who reads or writes the journal waits while the rows are copied: a statement that names
-- no ids locks every week, and a prepared one does so too.
--
--   begin:    from now on a trigger notes which rows of the week change
--   copy:     the rows are written into a new table
--   exchange: what changed meanwhile is copied again, and the new table takes the week's place; that locks the journal for milliseconds
--
-- A process that ends in between leaves the trigger and maybe the table; the next `begin` of the week removes them. The column tried_at keeps
-- other processes from the week for hours, and a copy ends within minutes.

-- Rows of weeks that are being rewritten that changed since `begin`.
create table journal.changed_meanwhile (
  partition text not null,
  id        uuid not null
);
create index changed_meanwhile_by_partition on journal.changed_meanwhile (partition, id);

create function journal.note_changed() returns trigger
language plpgsql as $$
begin
  insert into journal.changed_meanwhile (partition, id) values (tg_table_name, case tg_op when 'DELETE' then old.id else new.id end);
  return null;
end
$$;

-- Removes what a rewriting that did not end well has left. A trigger that cannot be dropped at once, since somebody reads the week for long,
-- stays and does no harm.
create function journal.end_rewrite(monday date) returns void
language plpgsql as $$
declare
  name text := 'webhooks_' || to_char(monday, 'IYYY"w"IW');
begin
  execute format('drop table if exists journal.%I', name || '_rewritten');
  delete from journal.changed_meanwhile where partition = name;
  if to_regclass('journal.' || name) is not null then
    begin
      execute format('drop trigger if exists rewriting on journal.%I', name);
    exception when lock_not_available then
      null;
    end;
  end if;
end
$$;

-- Returns what tells the week's present file apart; null where it has no partition.
create function journal.begin_rewrite(monday date) returns bigint
language plpgsql as $$
declare
  name text := 'webhooks_' || to_char(monday, 'IYYY"w"IW');
begin
  if to_regclass('journal.' || name) is null then
    return null;
  end if;
  execute format('drop table if exists journal.%I', name || '_rewritten');
  delete from journal.changed_meanwhile where partition = name;
  execute format('create or replace trigger rewriting after insert or update or delete on journal.%I
    for each row execute function journal.note_changed()', name);
  return pg_relation_filenode(to_regclass('journal.' || name));
end
$$;

create function journal.copy_week(monday date) returns void
language plpgsql as $$
declare
  name text := 'webhooks_' || to_char(monday, 'IYYY"w"IW');
  fresh text := name || '_rewritten';
  first timestamptz := monday::timestamp at time zone 'UTC';
begin
  execute format('create table journal.%I (like journal.%I including all)', fresh, name);
  execute format('insert into journal.%I select * from journal.%I order by id', fresh, name);
  -- Attaching a table that has this constraint need not read it.
  execute format('alter table journal.%I add constraint rewritten check (id >= %L and id < %L)', fresh,
    tartan.least_id_at(first), tartan.least_id_at(first + interval '1 week'));
  execute format('analyze journal.%I', fresh);
end
$$;

-- Puts the copy in the place of the week whose file is `file`, and returns by how many bytes the week became smaller. The caller holds the lock
-- `partitions` and limits the waits for locks.
create function journal.exchange_week(monday date, file bigint) returns bigint
language plpgsql as $$
declare
  name text := 'webhooks_' || to_char(monday, 'IYYY"w"IW');
  fresh text := name || '_rewritten';
  first timestamptz := monday::timestamp at time zone 'UTC';
  before bigint;
  after bigint;
begin
  -- In the order in which statements lock them.
  lock table only journal.webhooks in access exclusive mode;
  execute format('lock table journal.%I in access exclusive mode', name);
  if pg_relation_filenode(to_regclass('journal.' || name)) <> file then
    raise exception 'the week of % was emptied while it was copied', monday;
  elsif (select count(*) from journal.changed_meanwhile where partition = name) > 10000 then
    raise exception 'too much of the week of % changed while it was copied', monday;
  end if;
  execute format('delete from journal.%I where id in (select id from journal.changed_meanwhile where partition = %L)', fresh, name);
  execute format('insert into journal.%I select * from journal.%I
    where id in (select id from journal.changed_meanwhile where partition = %L)', fresh, name, name);
  before := pg_total_relation_size(format('journal.%I', name)::regclass);
  after := pg_total_relation_size(format('journal.%I', fresh)::regclass);
  execute format('alter table journal.webhooks detach partition journal.%I', name);
  execute format('alter table journal.webhooks attach partition journal.%I for values from (%L) to (%L)', fresh,
    tartan.least_id_at(first), tartan.least_id_at(first + interval '1 week'));
  execute format('drop table journal.%I', name);
  execute format('alter table journal.%I drop constraint rewritten', fresh);
  execute format('alter table journal.%I rename to %I', fresh, name);
  delete from journal.changed_meanwhile where partition = name;
  return before - after;
end
$$;
