-- Listeners: URLs that take the logins of your users. A login has the user's items synced.

create schema listeners;

create table listeners.listeners (
  id               text primary key,                   -- lsn_…, part of its URL
  kind             text not null check (kind in ('auth0', 'generic')),
  name             text not null,
  integration_id   text,                               -- a login concerns the user's items of this integration; null: of all
  token_sha256     bytea not null check (octet_length(token_sha256) = 32), -- of what its sender has in the Authorization header
  throttle_s       integer not null check (throttle_s between 60 and 604800), -- an item is synced for a login once in so many seconds
  event_types      text[] not null default '{}',       -- of an auth0 listener: the types of log events that are logins
  cut_prefix       text,                               -- cut off the front of each user's id, such as auth0|
  logins           bigint not null default 0,          -- counted since its creation, like the four below
  events_ignored   bigint not null default 0,          -- log events that are no logins, or name no user
  unknown_users    bigint not null default 0,          -- logins of users who have no linked item
  webhooks         bigint not null default 0,          -- that logins made
  items_fresh      bigint not null default 0,          -- items that needed none
  last_received_at timestamptz,                        -- when its sender last posted with the right token
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now()
);
create index listeners_by_integration on listeners.listeners (integration_id) where integration_id is not null;

-- Rows only to be locked: a login locks the row of its user's hash while it decides which items need a webhook and until these
-- are stored. So logins of one user at the same time make one webhook for each item, and the table does not grow with users.
create table listeners.users (
  bucket integer primary key
);
insert into listeners.users select generate_series(0, 1023);
