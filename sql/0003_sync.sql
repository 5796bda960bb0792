-- What is due, who works on it, and what came of it.

create schema sync;

-- A subject is what a run brings up to date. Its row is the queue:
--
--   idle      due_at null
--   due       due_at <= now(), lease_token null
--   running   lease_token set, due_at = when the lease ends (so a dead worker's subject becomes due by itself)
--   waiting   due_at in the future, lease_token null: a retry, or a rate limit
--
-- Every mark bumps generation; a run that finishes at an older generation than it claimed leaves the subject due.
create table sync.subjects (
  integration_id  text not null,
  kind            text not null,                       -- item, institution
  id              text not null,
  due_at          timestamptz,
  not_before      timestamptz,                         -- a mark makes it due no sooner (backoff after 429 or an outage)
  generation      bigint not null default 0,
  oldest_unserved uuid,                                -- no webhook of it that waits for a run is older than this id
  wanted          text[] not null default '{}',        -- resources asked for besides what the webhooks touch; * is all
  taken           text[] not null default '{}',        -- what claims moved here from wanted and no run has brought yet
  lease_token     uuid,
  attempts        integer not null default 0,          -- failed in a row
  status          text not null default 'pending'
    check (status in ('pending', 'ok', 'retrying', 'waiting', 'needs_user', 'ended', 'misconfigured', 'unlinked')),
  last_error      jsonb,                               -- {"class","error_type","error_code","message","resource"?,"at"}
  verified_at     timestamptz,                         -- the mirror was equal to Plaid then
  created_at      timestamptz not null default now(),
  primary key (integration_id, kind, id)
) with (fillfactor = 80);
create index subjects_due on sync.subjects (integration_id, due_at) where due_at is not null;
create index subjects_running on sync.subjects (integration_id) where lease_token is not null;

-- Where each resource of a subject stands; written in the transaction that applies its rows.
create table sync.cursors (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  cursor         text,                                 -- null: no increments; the next run reads everything
  rows           bigint not null,                      -- rows that are not removed, so that nobody has to count them
  updated_at     timestamptz not null default now(),
  primary key (integration_id, kind, id, resource)
);

-- The runs of late; the item's timeline. Bounded by the janitor.
create table sync.runs (
  id             uuid primary key,                     -- UUIDv7
  integration_id text not null,
  kind           text not null,
  subject_id     text not null,
  started_at     timestamptz not null,
  finished_at    timestamptz not null,
  outcome        text not null,
  webhooks       integer not null,                     -- how many it served
  summary        jsonb not null                        -- the update_info of those webhooks
);
create index runs_by_subject on sync.runs (subject_id, kind, id);

-- Pages of a loop that is under way, waiting for their one transaction. Unlogged: after a crash the loop starts over.
create unlogged table sync.staged_pages (
  lease_token uuid not null,
  resource    text not null,
  page        integer not null,
  payload     text not null,                           -- as Plaid sent it; parsed once, when it is applied
  staged_at   timestamptz not null default now(),
  primary key (lease_token, resource, page)
);
alter table sync.staged_pages alter column payload set storage external;

-- Plaid's limits, shared by all processes: the generic cell rate algorithm, one row an endpoint of a client or of an
-- item. A request may go when now >= arrival - burst, and moves arrival on by step. Unlogged: forgetting it costs one
-- burst.
create unlogged table sync.rate_limits (
  key          text primary key,
  arrival      timestamptz not null,
  step         interval not null,                      -- between requests in the long run
  burst        interval not null,                      -- how far ahead of that a caller may run
  granted      boolean not null default true,          -- whether the latest request was let through
  strikes      integer not null default 0,             -- times that Plaid said 429 of late
  slowed_until timestamptz                             -- Plaid said 429: nobody asks before this
);
