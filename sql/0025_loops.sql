-- A page loop that had to wait goes on later where it stopped. Its pages stay in sync.staged_pages under the lease that read
-- them; a crash of Postgres empties that table, which is noticed, and the loop starts over.
create table sync.loops (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  lease_token    uuid not null,                        -- under which its pages are staged
  first_cursor   text,                                 -- where it began; null: at the start, and what it lacks is removed
  next_cursor    text not null,                        -- of the page that comes next
  pages          jsonb not null,                       -- of each staged page whether it holds rows, and removals
  read_with      text not null,                        -- the options that shape its rows
  full_for       uuid[] not null,                      -- webhooks that ask for everything to be read and were there when it began
  generation     bigint not null,                      -- of the subject in the run that paused it
  begun_at       timestamptz not null default now(),
  primary key (integration_id, kind, id, resource)
);
