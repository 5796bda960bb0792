-- Link: which Link tokens Tartan made and for whom, and the public tokens that it exchanges, each once. No token is here, only its
-- SHA-256: a webhook of Plaid's carries the token, and its hash finds the row. Only a watched Link token is kept itself, sealed.

create schema linking;

-- A Link token that Tartan made. The webhooks about its sessions name no user of yours: this row does. Deleted a week after the token ends.
create table linking.link_tokens (
  token_sha256   bytea primary key,
  integration_id text not null,
  user_id        text,                                 -- your identifier of the user
  item_id        text,                                 -- the item of a token for update mode; null: its sessions link new items
  adopt          boolean,                              -- whether its items are adopted; null: as the integration says
  created_at     timestamptz not null default now(),
  expires_at     timestamptz not null                  -- as Plaid says
);
create index link_tokens_by_end on linking.link_tokens (expires_at);
create index link_tokens_by_integration on linking.link_tokens (integration_id, item_id);

-- A Link token about which Plaid is asked, since a webhook about a session may never come. Its sessions link items that are adopted, or
-- repair an item. The row is deleted when a session of it ended well and that was noted, and an hour after the token's end.
create table linking.watched_tokens (
  id             text primary key,                     -- SHA-256 of the Link token, in hexadecimal digits
  token_sha256   bytea not null unique references linking.link_tokens (token_sha256) on delete cascade,
  integration_id text not null,
  token_sealed   bytea not null,                       -- Plaid answers about a Link token only to who has it
  asked          integer not null default 0,           -- how often Plaid was asked; what an earlier question found is not written
  next_at        timestamptz not null default now() + interval '5 minutes'
);
create index watched_tokens_due on linking.watched_tokens (next_at);
create index watched_tokens_by_integration on linking.watched_tokens (integration_id);

-- A webhook about a session of Link that was accepted and not looked into yet. Sync's marker writes it in the transaction in which it
-- reads the webhook; the worker of linking deletes it.
create table linking.arrivals (
  webhook_id uuid primary key
);

-- A public token, and what became of it. Plaid exchanges each once, within 30 minutes. Its row is kept for 30 days.
--
--   pending ─▶ exchanging ─▶ linked
--      ▲           ├──────▶ failed, for the reason
--      └───────────┘ Plaid did not answer, or refuses for a while
create table linking.public_tokens (
  id              uuid primary key,                    -- UUIDv7
  integration_id  text not null,
  token_sha256    bytea not null,
  adopt           boolean not null,                    -- the worker exchanges it; false: only a request that brings the token
  status          text not null default 'pending' check (status in ('pending', 'exchanging', 'linked', 'failed')),
  reason          text check (reason in ('expired', 'exchanged_elsewhere', 'lost', 'refused')), -- of 'failed'
  user_id         text,                                -- your identifier of the user
  link_session_id text,
  webhook_id      uuid,                                -- the first webhook that brought it; null: none did
  received_at     timestamptz not null,
  expires_at      timestamptz not null,                -- 30 minutes after it came
  next_at         timestamptz not null default now(),  -- the next attempt; while 'exchanging': the end of the lease
  attempts        integer not null default 0,
  fence           bigint not null default 0,           -- raised by each claim; what an earlier holder reports of a failure is not written
  in_doubt        boolean not null default false,      -- an attempt had no answer: Plaid may have exchanged the token
  last_error      text,                                -- Plaid's code of the last failure
  item_id         text,
  settled_at      timestamptz,
  check ((status = 'failed') = (reason is not null)),
  unique (integration_id, token_sha256)
);
create index public_tokens_due on linking.public_tokens (next_at) where adopt and status in ('pending', 'exchanging');
create index public_tokens_open on linking.public_tokens (expires_at) where status in ('pending', 'exchanging');
create index public_tokens_by_status on linking.public_tokens (status, id);
create index public_tokens_by_user on linking.public_tokens (user_id, id) where user_id is not null;
create index public_tokens_by_integration on linking.public_tokens (integration_id, id);
create index public_tokens_by_item on linking.public_tokens (item_id, id) where item_id is not null;

-- The webhooks that brought a public token; each shows what became of it.
create table linking.public_token_webhooks (
  webhook_id   uuid not null,
  public_token uuid not null references linking.public_tokens (id) on delete cascade,
  primary key (webhook_id, public_token)
);
create index public_token_webhooks_by_token on linking.public_token_webhooks (public_token);
