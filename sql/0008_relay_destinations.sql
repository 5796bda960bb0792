-- Destinations and the keys that sign what they receive.

create schema relay;

create table relay.destinations (
  id              text primary key,                    -- dst_…
  name            text not null default '',
  description     text not null default '',
  url             text not null,
  headers_sealed  bytea,                               -- JSON object of header names and values; null: none
  header_names    text[] not null default '{}',
  ca              text,                                -- PEM, trusted besides the usual ones
  timeout_ms      integer not null default 15000 check (timeout_ms between 1000 and 30000),
  schedule        integer[] not null default '{5,300,1800,7200,18000,36000,36000}', -- seconds before each retry
  rate_limit      integer check (rate_limit > 0),      -- attempts in each rate_window_ms; null: no limit
  rate_window_ms  integer not null default 1000 check (rate_window_ms between 1000 and 60000),
  concurrency     integer not null default 8 check (concurrency between 1 and 256),
  ordering        text not null default 'parallel' check (ordering in ('parallel', 'per_item')),
  disable_after_s integer not null default 432000,     -- of failures without a success
  paused_at       timestamptz,
  disabled_at     timestamptz,
  disabled_reason text,                                -- gone, asked_by_receiver, failing, by_hand
  version         integer not null default 1,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  deleted_at      timestamptz
);

-- Keys that sign what a destination receives. During a rotation several do, the newest first.
create table relay.signing_keys (
  id             text primary key,                     -- sgk_…
  destination_id text not null references relay.destinations (id) on delete cascade,
  scheme         text not null check (scheme in ('v1', 'v1a')),
  secret_sealed  bytea not null,                       -- whsec_… or whsk_…
  public_key     text,                                 -- whpk_…, of v1a
  created_at     timestamptz not null default now(),
  expires_at     timestamptz                           -- null: until it is rotated
);
create index signing_keys_by_destination on relay.signing_keys (destination_id, created_at);
