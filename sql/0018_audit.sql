-- Who changed what, for as long as TARTAN_AUDIT_RETENTION_DAYS says. Written in the transaction of the change, never changed, and never
-- a secret.

create table tartan.audit_log (
  id             uuid primary key,                     -- UUIDv7
  at             timestamptz not null default now(),
  actor          text not null,                        -- admin key, or an API key's name; cli:<user> for a command; tartan
  action         text not null,                        -- such as integration.changed
  integration_id text,
  target         text,                                 -- the id or name of what was changed, where it is not the integration itself
  reason         text,                                 -- given by the actor
  details        jsonb not null default '{}'
);
create index audit_log_by_integration on tartan.audit_log (integration_id, id) where integration_id is not null;
create index audit_log_by_actor on tartan.audit_log (actor, id);
create index audit_log_by_action on tartan.audit_log (action, id);
create index audit_log_by_target on tartan.audit_log (target, id) where target is not null;

create function tartan.keep_audit_log() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('tartan.trims_audit_log', true) = 'on' then
    return old;
  end if;
  raise exception 'tartan.audit_log is append-only' using errcode = 'insufficient_privilege',
    hint = 'TARTAN_AUDIT_RETENTION_DAYS says how long its rows are kept.';
end
$$;
create trigger keep_audit_log before update or delete on tartan.audit_log for each row execute function tartan.keep_audit_log();
create trigger keep_audit_log_whole before truncate on tartan.audit_log for each statement execute function tartan.keep_audit_log();

-- Deletes at most `most` rows that are older than `days` days; returns how many. Nothing else deletes any.
create function tartan.trim_audit_log(days integer, most integer) returns integer
language plpgsql as $$
declare
  gone integer;
begin
  -- Only a superuser may bind such a setting to a function.
  perform set_config('tartan.trims_audit_log', 'on', true);
  delete from tartan.audit_log where id in (
    select id from tartan.audit_log where id < tartan.least_id_at(now() - days * interval '1 day') order by id limit most);
  get diagnostics gone = row_count;
  perform set_config('tartan.trims_audit_log', 'off', true);
  return gone;
end
$$;
