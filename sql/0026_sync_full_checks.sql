-- The latest full check of each item, one row at most: a run with the request `full_check` reads everything from the start and compares
-- each row with the mirror before it applies it. Erased with the item; deleted a month after it was requested.
create table sync.full_checks (
  integration_id text not null,
  item_id        text not null,
  requested_at   timestamptz not null,
  generation     bigint not null,                      -- of the subject at the request; a run that claimed an older one may not know of it
  finished_at    timestamptz,                          -- null: its runs have not ended
  result         jsonb not null default '{"resources": {}, "differences": []}',  -- by its runs so far; the shape is FullCheckResult
  primary key (integration_id, item_id)
);
create index full_checks_by_time on sync.full_checks (requested_at);
